import logging
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from cellferry import errors
from cellferry.study.build import compute_markers, study_from_anndata


def small(x, **obs):
    n = x.shape[0]
    frame = pd.DataFrame(obs, index=[f"c{i}" for i in range(n)])
    return anndata.AnnData(x, obs=frame, var=pd.DataFrame(index=["CD3E", "MS4A1", "LYZ"]))


def test_the_study_reads_the_raw_values_and_changes_nothing(blood):
    before = blood.copy()
    study = study_from_anndata(blood, group_key="louvain")
    assert study.cells == tuple(blood.obs_names)
    assert study.genes == tuple(blood.raw.var_names)
    (_, block), *_ = study.normalized
    np.testing.assert_array_equal(block.toarray(), blood.raw.X.toarray())
    assert study.clusters.names == tuple(blood.obs["louvain"].cat.categories)
    assert study.coordinates[0] == "X_umap"
    assert study.markers.clusters == study.clusters.names
    pd.testing.assert_frame_equal(blood.obs, before.obs)
    assert set(blood.uns) == set(before.uns)


def test_the_stored_ranking_is_used_when_it_is_of_this_group(blood):
    study = study_from_anndata(blood, group_key="louvain")
    first = blood.uns["rank_genes_groups"]["names"]["0"][0]
    rows = study.markers.cluster == study.markers.clusters.index("0")
    assert study.markers.gene[rows][0] == first


def test_a_ranking_without_fold_changes_is_made_anew_and_that_is_said(ranked_blood, caplog):
    import scanpy

    original = scanpy.datasets.pbmc68k_reduced()
    with caplog.at_level(logging.INFO, "cellferry"), warnings.catch_warnings():
        warnings.simplefilter("error", errors.CellferryWarning)
        study = study_from_anndata(original, group_key="bulk_labels")
    assert "700 cells in 10 clusters" in caplog.text
    assert study.markers.avg_log2fc is not None
    assert study.markers.pct_1 is not None
    assert set(study.markers.clusters) == set(study.clusters.names)


def test_the_group_is_found_by_the_ranking_or_by_a_usual_name(blood):
    assert study_from_anndata(blood).group_key == "louvain"
    x = np.ones((4, 3))
    adata = small(x, leiden=list("aabb"))
    assert study_from_anndata(adata, {"a": ["CD3E"], "b": ["LYZ"]}).group_key == "leiden"
    with pytest.raises(errors.GroupMissingError, match='"batch", "sample"'):
        study_from_anndata(small(x, batch=1, sample=2))
    with pytest.raises(errors.GroupMissingError) as caught:
        study_from_anndata(adata, group_key="leidn")
    assert caught.value.hint == 'Did you mean "leiden"?'


@pytest.mark.parametrize(
    ("x", "groups", "words"),
    [
        (np.random.default_rng(0).normal(size=(6, 3)), "aaabbb", "scaled"),
        (np.random.default_rng(0).integers(0, 9, (6, 3)).astype(float), "aaabbb", "raw counts"),
        (np.random.default_rng(0).random((6, 3)), "aaaaaa", "only one cluster"),
    ],
)
def test_markers_are_not_made_of_data_that_cannot_give_them(x, groups, words):
    adata = small(sparse.csr_matrix(x), leiden=list(groups))
    with pytest.raises(errors.MarkersRequiredError, match=words) as caught:
        study_from_anndata(adata, group_key="leiden")
    assert "markers=" in caught.value.hint


def test_markers_that_are_made_ignore_cells_without_a_cluster():
    random = np.random.default_rng(0)
    x = random.random((9, 3))
    x[:4, 0] += 3
    adata = small(x, leiden=["a"] * 4 + ["b"] * 4 + [None])
    study = study_from_anndata(adata, group_key="leiden")
    rows = study.markers.cluster == study.markers.clusters.index("a")
    assert study.markers.gene[rows][0] == "CD3E"
    assert "rank_genes_groups" not in adata.uns


def test_computing_needs_cells():
    from cellferry.study.study import Clusters, Study

    with pytest.raises(errors.MarkersRequiredError, match="no expression"):
        compute_markers(Study(Clusters(("a",))))
