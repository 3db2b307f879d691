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
    assert "`markers`" in caught.value.hint


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


def expression(n=60, seed=0):
    random = np.random.default_rng(seed)
    counts = random.poisson(3, (n, 3)).astype(float)
    counts[: n // 2, 0] += 9
    logged = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    return counts, logged, np.repeat(["a", "b"], n // 2)


def test_a_ranking_of_raw_counts_is_not_used_and_that_is_said():
    import scanpy

    counts, logged, groups = expression()
    adata = small(logged, leiden=pd.Categorical(groups))
    adata.raw = small(counts)
    scanpy.tl.rank_genes_groups(adata, "leiden", pts=True)
    with pytest.warns(errors.NormalisationWarning, match="made of raw, which has raw counts") as w:
        study = study_from_anndata(adata, group_key="leiden")
    cure = w[-1].message.hint
    assert 'scanpy.tl.rank_genes_groups(adata, "leiden", pts=True, use_raw=False)' in cure
    scanpy.tl.rank_genes_groups(adata, "leiden", pts=True, use_raw=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.CellferryWarning)
        again = study_from_anndata(adata, group_key="leiden")
    assert list(again.markers.gene) == list(study.markers.gene)


def run_cure(hint, adata):
    """Run the Python of a hint, as a user would paste it."""
    import scanpy

    code = hint.split(": ", 1)[1].split(", and annotate again")[0]
    names = {"adata": adata, "scanpy": scanpy}
    exec(code, names)
    return names["adata"]


@pytest.mark.parametrize("where", ["X", "layer", "raw"])
def test_the_cure_of_values_that_give_no_markers_works(where):
    counts, logged, groups = expression()
    scaled = (logged - logged.mean(axis=0)) / logged.std(axis=0)
    adata = small(counts if where == "X" else scaled, leiden=pd.Categorical(groups))
    if where == "layer":
        adata.layers["counts"] = counts
    if where == "raw":
        adata.raw = small(counts, leiden=groups)
    with pytest.raises(errors.MarkersRequiredError) as caught:
        study_from_anndata(adata, group_key="leiden")
    assert study_from_anndata(run_cure(caught.value.hint, adata), group_key="leiden").markers


def test_an_obs_without_columns_is_said_to_have_none():
    with pytest.raises(errors.GroupMissingError, match="has no columns") as caught:
        study_from_anndata(small(np.ones((4, 3))))
    assert "annotate_cells(adata)" in caught.value.hint


def test_a_measurement_is_refused_before_it_is_ranked():
    _, logged, groups = expression()
    adata = small(logged, leiden=groups, depth=logged[:, 0])
    with pytest.raises(errors.GroupNotClustersError, match="is it a clustering") as caught:
        study_from_anndata(adata, group_key="depth")
    assert '"leiden"' in caught.value.hint
