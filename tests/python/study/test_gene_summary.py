"""Figures of every gene by cluster, against numpy over the dense matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellferry.study.clusters import Clusters
from cellferry.study.expression.gene_summary import (
    BINS,
    STEPS,
    GeneFigures,
    GeneSummary,
    drawn_gene,
)


def collected(values, codes, names, *, step=3, **options):
    clusters = Clusters(names, np.asarray(codes, np.int32))
    genes = [f"G{i}" for i in range(values.shape[1])]
    figures = GeneFigures(genes, clusters, **options)
    columns = sparse.csc_matrix(values)
    for start in range(0, values.shape[1], step):
        figures.take(start, columns[:, start : start + step])
    return figures.summary()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
def test_shares_and_means_are_those_of_all_cells(n_cells, n_genes, n_clusters, seed):
    random = np.random.default_rng(seed)
    values = random.gamma(1, 2, (n_cells, n_genes)) * (random.random((n_cells, n_genes)) < 0.4)
    codes = random.integers(-1, n_clusters, n_cells)
    names = tuple("abcd"[:n_clusters])
    found = collected(values, codes, names, drawn=range(n_genes), cells=np.arange(n_cells))
    for k in range(n_clusters):
        here = values[codes == k]
        assert found.sizes[k] == len(here)
        assert found.positive[:, k].tolist() == (here > 0).sum(axis=0).tolist()
        if len(here):
            np.testing.assert_allclose(found.means[:, k], np.expm1(here).mean(axis=0), rtol=1e-9)
    for gene, drawn in found.drawn.items():
        assert drawn.counts.sum(axis=1).tolist() == found.sizes.tolist()
        shown = drawn.codes / STEPS * drawn.top
        np.testing.assert_allclose(shown, values[:, gene], atol=drawn.top / STEPS + 1e-12)
        assert ((drawn.codes > 0) == (values[:, gene] > 0)).all()


def test_clusters_in_another_order_keep_their_figures_and_new_ones_have_none():
    values = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    found = collected(values, [0, 1, 1], ("a", "b"), drawn=[0], cells=np.arange(3))
    turned = found.of_clusters(["b", "new", "a"])
    assert turned.sizes.tolist() == [2, 0, 1]
    assert turned.positive.tolist() == [[1, 0, 1], [1, 0, 0]]
    assert turned.shares[:, 1].tolist() == [0, 0]
    assert turned.drawn[0].counts[2].tolist() == found.drawn[0].counts[0].tolist()


def test_a_gene_without_values_is_drawn_as_zeros():
    made = drawn_gene(np.zeros(0, int), np.zeros(0), np.array([0, 0]), np.array([2]), np.arange(2))
    assert (made.top, made.codes.tolist()) == (0.0, [0, 0])
    assert made.counts.tolist() == [[2] + [0] * (BINS - 1)]


def test_figures_need_cells():
    with pytest.raises(ValueError, match="without cells"):
        GeneFigures(["A"], Clusters(("a",)))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.text(min_size=1).filter(lambda t: "\0" not in t), max_size=5),
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True),
)
def test_figures_are_read_as_they_were_kept(genes, clusters):
    random = np.random.default_rng(0)
    shape = (len(genes), len(clusters))
    positive = random.integers(0, 9, shape)
    sizes = np.arange(len(clusters)) + 9
    means = random.random(shape).astype(np.float32).astype(float)
    kept = GeneSummary(tuple(genes), tuple(clusters), sizes, positive, means)
    read = GeneSummary.from_bytes(kept.to_bytes())
    assert (read.genes, read.clusters) == (kept.genes, kept.clusters)
    assert read.sizes.tolist() == sizes.tolist()
    assert read.positive.tolist() == positive.tolist()
    assert read.means.tolist() == means.tolist()


@pytest.mark.parametrize("cut", [0, 3, 40, 300])
def test_damaged_figures_are_refused(cut):
    kept = collected(np.ones((3, 2)), [0, 1, 1], ("a", "b")).to_bytes()
    with pytest.raises(ValueError, match="figures"):
        GeneSummary.from_bytes(kept[:cut])
