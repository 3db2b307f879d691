"""Cells that an assay does not have are absent, and no rows of zeros."""

import numpy as np
import pytest

from cellferry import errors
from r_session import needs_rpy2, pbmc, r_with, seurat_generation

pytestmark = needs_rpy2


def sketched():
    """An object whose default assay has 30 of its 80 cells, as SketchData() leaves it."""
    cells = "colnames(x)[seq(1, 80, length.out = 30)]"
    if seurat_generation() >= 5:
        code = f"x[['sketch']] <- subset(x[['RNA']], cells = {cells})"
    else:
        # Seurat 4 has no such objects, but nothing forbids one.
        code = f"x@assays$sketch <- subset(x[['RNA']], cells = {cells})"
    code = f"{{ {code}; x@active.assay <- 'sketch'; x }}"
    return r_with(f"suppressWarnings({code})", x=pbmc())


def test_only_the_cells_of_the_assay_are_read_and_that_is_said():
    from cellferry.seurat import to_anndata, to_seurat

    robj = sketched()
    with pytest.warns(errors.CellsWithoutExpressionWarning, match="50 of 80 cells have no values"):
        adata = to_anndata(robj)
    whole = to_anndata(robj, assay="RNA")
    assert (adata.n_obs, whole.n_obs) == (30, 80)
    part = whole[adata.obs_names]
    np.testing.assert_array_equal(adata.X.toarray(), part.X.toarray())
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), part.layers["counts"].toarray())
    np.testing.assert_array_equal(adata.obsm["X_pca"], part.obsm["X_pca"])
    assert list(adata.obs["groups"]) == list(part.obs["groups"])
    assert list(adata.obs[adata.uns["seurat"]["active_ident"]]) == list(
        part.obs[whole.uns["seurat"]["active_ident"]]
    )
    report = adata.uns["seurat"]["report"].set_index("item")
    assert report.loc["cells", "action"] == "coerced"
    assert "50 of 80" in report.loc["cells", "why"]
    made = to_seurat(adata)
    assert len(r_with("colnames(x)", x=made)) == 30
    assert "cells" not in set(whole.uns["seurat"]["report"]["item"])


def test_a_layer_of_fewer_cells_than_the_first_is_left_and_not_filled():
    from cellferry.seurat import to_anndata

    if seurat_generation() >= 5:
        code = "m <- LayerData(x[['RNA']], 'counts')[, 1:20]; x[['RNA']]$counts <- NULL; "
        code += "LayerData(x[['RNA']], 'counts') <- m; x"
    else:
        code = "x@assays$RNA@counts <- x@assays$RNA@counts[, 1:20]; x"
    adata = to_anndata(r_with(f"suppressWarnings({{ {code} }})", x=pbmc()))
    assert adata.n_obs == 80
    assert "counts" not in adata.layers
    row = adata.uns["seurat"]["report"].set_index("item").loc["counts"]
    assert row["action"] == "left"
    assert "20 of 80 cells" in row["why"]
