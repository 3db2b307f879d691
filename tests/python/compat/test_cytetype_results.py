import anndata
import numpy as np
import pandas as pd
import pytest

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.compat.cytetype_results import job_details, published, stored_results, write_results
from cellferry.study.study import Clusters, Study


def labelled(*rows, codes=(0, 1, -1)):
    provenance = {"job": "j", "report_url": "r", "api_url": "a", "options": {}, "service": {}}
    found = Annotations(rows, provenance=provenance)
    study = Study(Clusters(("0", "1"), np.array(codes, dtype=np.int32)), group_key="g")
    adata = anndata.AnnData(obs=pd.DataFrame(index=[f"c{i}" for i in range(len(codes))]))
    write_results(adata, found, study, "p")
    return adata, found, study


def test_columns_are_categorical_and_cells_without_a_cluster_have_none():
    adata, _, _ = labelled(
        Annotation("0", "ok", label="T", confidence=0.3, confidence_kind="stated"),
        Annotation("1", "failed", error="why"),
    )
    assert list(adata.obs["p_annotation_g"][:2]) == ["T", "Unknown"]
    assert all(isinstance(adata.obs[c].dtype, pd.CategoricalDtype) for c in adata.obs)
    assert adata.obs.iloc[2].isna().all()
    assert list(adata.obs["p_reviewerConfidence_g"].cat.categories) == ["Low", "Unknown"]


def test_a_failure_keeps_its_reason():
    _, found, study = labelled(Annotation("0", "unknown", label="Unknown"),
                               Annotation("1", "failed", error="why"))  # fmt: skip
    first, second = published(found, study)["annotations"]
    assert "error" not in first
    assert second["error"] == "why"


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ({"result": '{"annotations": []}'}, {"annotations": []}),
        ({"result": {"annotations": []}}, {"annotations": []}),
        ({"result": "{"}, None),
        ({"result": "[]"}, None),
        ({}, None),
        (None, None),
        ("x", None),
    ],
)
def test_results_of_old_releases_and_damaged_ones(stored, found):
    adata = anndata.AnnData(obs=pd.DataFrame(index=["a"]))
    if stored is not None:
        adata.uns["p_results"] = stored
    assert stored_results(adata, "p") == found
    assert job_details(adata, "p") is None
