import anndata
import numpy as np
import pandas as pd
import pytest

from cellferry import errors
from cellferry.study.build import study_from_anndata


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


def expression(n=60, seed=0):
    random = np.random.default_rng(seed)
    counts = random.poisson(3, (n, 3)).astype(float)
    counts[: n // 2, 0] += 9
    logged = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    return counts, logged, np.repeat(["a", "b"], n // 2)


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
