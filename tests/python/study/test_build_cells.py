import anndata
import numpy as np
import pytest

from cell_data import GENES, cells
from cellferry.errors import GroupMissingError
from cellferry.study.build import study_of_cells


def dense(source):
    return np.vstack([block.toarray() for _, block in source])


def test_counts_and_values_are_found_where_they_are():
    adata = cells(6)
    study = study_of_cells(adata)
    assert np.array_equal(dense(study.counts), adata.layers["counts"].toarray())
    assert np.array_equal(dense(study.normalized), adata.X.toarray())
    assert study.clusters.names == ("0", "1", "2")
    assert study.genes == tuple(GENES)


def test_counts_in_raw_or_in_x():
    adata = cells(6)
    values, counts = adata.X, adata.layers.pop("counts")
    adata.raw = anndata.AnnData(counts, obs=adata.obs, var=adata.var)
    study = study_of_cells(adata)
    assert np.array_equal(dense(study.counts), counts.toarray())
    assert np.array_equal(dense(study.normalized), values.toarray())
    adata.raw = None
    adata.X = counts
    study = study_of_cells(adata)
    assert study.normalized is None
    assert study.counts is not None


def test_scaled_values_are_neither():
    adata = cells(6, counts=False)
    adata.X = adata.X.toarray() - 1
    study = study_of_cells(adata)
    assert study.normalized is None
    assert study.counts is None


def test_clusters_may_be_absent_but_not_misspelt():
    study = study_of_cells(cells(6, clusters=False))
    assert study.clusters.names == ()
    assert study.group_key is None
    with pytest.raises(GroupMissingError, match="leyden"):
        study_of_cells(cells(6), group_key="leyden")


def test_the_graph_comes_along(blood):
    name, graph = study_of_cells(blood).graph
    assert name == "connectivities"
    assert graph.shape == (700, 700)
