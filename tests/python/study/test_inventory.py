import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellferry import study_report
from cellferry.errors import (
    CellferryError,
    InputError,
    InvalidOptionError,
    UnsupportedObjectError,
)
from cellferry.study.build import study_from_anndata
from r_session import needs_rscript


@pytest.fixture
def adata():
    made = anndata.AnnData(
        sparse.csr_matrix(np.eye(4, 3)),
        obs=pd.DataFrame({"leiden": list("0011"), "score": [0.5, 1, 2, 3]}, index=list("abcd")),
        var=pd.DataFrame({"symbol": ["A", "B", "C"]}, index=["g1", "g2", "g3"]),
    )
    made.layers["counts"] = made.X.copy()
    made.obsm["X_umap"] = np.zeros((4, 2))
    made.obsm["X_pca"] = np.zeros((4, 5))
    made.obsp["connectivities"] = sparse.eye(4, format="csr")
    made.varm["PCs"] = np.zeros((3, 5))
    made.uns["colours"] = ["red"]
    return made


def actions(report):
    return {(row["kind"], row["item"]): str(row["action"]) for _, row in report.iterrows()}


def test_every_item_is_listed_once_with_its_action(adata):
    report = study_report(adata)
    assert list(report.columns) == ["item", "kind", "what", "action", "why"]
    assert list(report["action"].cat.categories) == ["taken", "coerced", "left"]
    assert not report.duplicated(["item", "kind"]).any()
    assert actions(report) == {
        ("cells", "cells"): "taken",
        ("genes", "genes"): "taken",
        ("layer", "X"): "taken",
        ("layer", "counts"): "left",
        ("metadata", "leiden"): "taken",
        ("metadata", "score"): "taken",
        ("gene metadata", "symbol"): "left",
        ("embedding", "X_umap"): "taken",
        ("embedding", "X_pca"): "left",
        ("graph", "connectivities"): "left",
        ("loadings", "PCs"): "left",
        ("uns", "colours"): "left",
    }
    assert ((report["why"] == "") == (report["action"] == "taken")).all()


def test_the_report_says_what_the_study_takes(adata):
    adata.raw = adata.copy()
    found = actions(study_report(adata))
    assert found["layer", "raw"] == "taken"
    assert found["layer", "X"] == "left"
    study = study_from_anndata(adata, {"0": ["A"], "1": ["B"]}, group_key="leiden")
    assert set(study.obs.columns) == {item for kind, item in found if kind == "metadata"}
    assert study.coordinates[0] == "X_umap"
    del adata.obsm["X_umap"]
    assert actions(study_report(adata))["embedding", "X_pca"] == "coerced"


def test_anything_else_is_refused():
    with pytest.raises(UnsupportedObjectError, match="not of dict"):
        study_report({})


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_the_report_of_a_file_is_that_of_its_object(adata, kind, tmp_path):
    path = tmp_path / f"x.{kind}"
    if kind == "zarr":
        pytest.importorskip("zarr")
    getattr(adata, f"write_{kind}")(path)
    for given in (path, str(path)):
        assert actions(study_report(given)) == actions(study_report(adata))
    with pytest.raises(InvalidOptionError, match="`assay`"):
        study_report(path, assay="RNA")
    with pytest.raises(InputError, match="There is no file"):
        study_report(tmp_path / "none")


@pytest.mark.r
@needs_rscript
def test_the_report_of_an_rds_is_that_of_r(pbmc_rds):
    report = study_report(pbmc_rds)
    assert list(report) == ["item", "kind", "what", "action", "why"]
    found = actions(report)
    assert found["identity", "ident"] == "taken"
    assert found["metadata", "groups"] == "taken"
    assert found["loadings", "pca loadings"] == "left"
    with pytest.raises(CellferryError, match="nothing"):
        study_report(pbmc_rds, assay="nothing")
