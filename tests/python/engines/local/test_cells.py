import anndata
import numpy as np
import pytest

from cell_data import GENES, MARKERS, cells
from cellferry import annotate_cells
from cellferry.engines.local.cells import LocalCells, expression_of
from cellferry.errors import EngineNeedsError, InvalidOptionError
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.study import Clusters, Study


def test_cells_get_the_type_whose_markers_they_express():
    adata = cells(60)
    found = annotate_cells(adata, progress=False)
    frame = found.to_frame()
    kinds = {"B cell": "B", "T cell": "T", "Monocyte": "ono"}
    right = [kinds[t] in str(x) for t, x in zip(adata.obs["truth"], frame["label"], strict=True)]
    assert np.mean(right) > 0.9
    assert found.provenance["read"] == "normalized"
    assert found.evidence["genes"]["recognised"] == 15


def test_counts_alone_give_the_same_labels():
    adata = cells(60)
    only = anndata.AnnData(adata.layers["counts"], obs=adata.obs[["truth"]], var=adata.var)
    first = annotate_cells(adata, progress=False)
    second = annotate_cells(only, progress=False)
    assert second.provenance["read"] == "counts"
    assert first.to_frame()["label"].tolist() == second.to_frame()["label"].tolist()


def test_smoothing_reads_the_graph_and_needs_one(blood):
    plain = annotate_cells(blood.copy(), progress=False)
    smooth = annotate_cells(blood.copy(), smooth=True, progress=False)
    assert smooth.counts()["unknown"] <= plain.counts()["unknown"]
    with pytest.raises(EngineNeedsError, match="neighbour graph"):
        annotate_cells(cells(6), smooth=True, progress=False)


def test_a_cell_without_neighbours_is_itself():
    from scipy.sparse import csr_matrix

    one, two = cells(9), cells(9)
    two.obsp["connectivities"] = csr_matrix((9, 9))
    plain = annotate_cells(one, progress=False).to_frame()
    smooth = annotate_cells(two, smooth=True, progress=False).to_frame()
    assert plain.equals(smooth.drop(columns="voted"))
    # It votes for itself.
    assert (smooth["voted"].astype(str) == smooth["label"].astype(str)).all()


def test_mouse_genes_are_read_with_the_mouse_table():
    adata = cells(30)
    adata = adata[:, [g for genes in MARKERS.values() for g in genes]].copy()
    adata.var_names = [g.capitalize() for g in adata.var_names]
    found = annotate_cells(adata, species="mouse", progress=False)
    assert found.provenance["species"] == "mouse"
    assert any("B cell" in x for x in found.label.levels)


def test_options_are_checked_and_described():
    with pytest.raises(InvalidOptionError, match="smooth"):
        LocalCells(smooth="yes")
    engine = LocalCells(smooth=True)
    assert LocalCells(**engine.describe()).describe() == engine.describe()
    assert engine.capabilities.answers == {"cells"}
    assert engine.capabilities.host is None
    assert "CD3E" in engine.capabilities.genes


def test_without_expression_it_says_what_is_needed():
    study = Study(Clusters((), np.full(1, -1, dtype=np.int32)), cells=("a",))
    with pytest.raises(EngineNeedsError, match="log-normalised values or raw counts"):
        expression_of(study, "local")


def test_counts_in_the_place_of_normalized_values_are_read_as_counts():
    adata = cells(60)
    counts = MatrixSource(adata.layers["counts"], GENES)
    rows = Clusters((), np.full(60, -1, dtype=np.int32))
    common = {"cells": tuple(adata.obs_names), "genes": tuple(GENES)}
    stated = annotate_cells(Study(rows, normalized=counts, **common), progress=False)
    meant = annotate_cells(Study(rows, counts=counts, **common), progress=False)
    assert stated.provenance["read"] == "counts"
    assert stated.to_frame().equals(meant.to_frame())


def test_linear_values_are_logged_as_counts_are():
    adata = cells(60)
    rows = Clusters((), np.full(60, -1, dtype=np.int32))
    common = {"cells": tuple(adata.obs_names), "genes": tuple(GENES)}
    counts = adata.layers["counts"].toarray()
    cpm = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 1e6 + (counts > 0) * 0.25
    found = annotate_cells(
        Study(rows, normalized=MatrixSource(cpm, GENES), **common), progress=False
    )
    meant = annotate_cells(
        Study(rows, counts=MatrixSource(counts, GENES), **common), progress=False
    )
    assert found.provenance["read"] == "linear"
    assert found.to_frame()["label"].equals(meant.to_frame()["label"])
