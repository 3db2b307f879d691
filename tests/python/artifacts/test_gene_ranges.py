"""Rows in memory are cut into ranges of genes, each of which is transposed by itself."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.artifacts import gene_ranges
from cellferry.artifacts.gene_ranges import GeneRanges, cut_rows


@given(
    st.lists(st.sets(st.integers(0, 11)), max_size=8),
    st.sets(st.integers(1, 11), max_size=5),
    st.integers(1, 9),
    st.sampled_from([np.int32, np.int64]),
)
def test_rows_are_cut_where_a_column_of_the_next_run_begins(
    rows: list[set[int]], within: set[int], at_once: int, dtype: type
) -> None:
    bounds = [0, *sorted(within), 12]
    indices = np.array([i for row in rows for i in sorted(row)], dtype)
    indptr = np.cumsum([0, *(len(row) for row in rows)]).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gene_ranges, "CUT_AT_ONCE", at_once)
        cuts = cut_rows(indptr, indices, bounds)
    runs = [indices[a:b].tolist() for a, b in pairwise(cuts)]
    pairs = list(pairwise(bounds))
    expected = [sorted(i for i in row if a <= i < b) for row in rows for a, b in pairs]
    assert runs == expected
    assert cuts.dtype == dtype


def read(blocks: list[sp.csr_matrix], n_genes: int) -> tuple[GeneRanges, list[sp.csc_matrix]]:
    """Return the ranges, and the values of each."""
    ranges = GeneRanges(blocks, n_genes)
    for number in range(len(blocks)):
        ranges.cut(number)
    ranges.measure()
    numbers = range(len(ranges.bounds) - 1)
    return ranges, [ranges.turned(n, lambda _first, b, _place: b.copy()) for n in numbers]


@settings(max_examples=60, deadline=None)
@given(
    heights=st.lists(st.integers(0, 9), min_size=1, max_size=6),
    n_genes=st.integers(1, 30),
    values=st.integers(1, 200),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    kinds=st.tuples(
        st.sampled_from([np.int32, np.int64]), st.sampled_from([np.float32, np.float64, np.int32])
    ),
    is_compiled=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_ranges_side_by_side_are_scipys_csc(
    heights: list[int],
    n_genes: int,
    values: int,
    density: float,
    kinds: tuple[type, type],
    is_compiled: bool,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    dense = random.integers(1, 99, (sum(heights), n_genes)).astype(kinds[1])
    whole = sp.csr_matrix(dense * (random.random(dense.shape) < density))
    whole.indices, whole.indptr = whole.indices.astype(kinds[0]), whole.indptr.astype(kinds[0])
    ends = np.cumsum([0, *heights])
    blocks = [whole[a:b] for a, b in pairwise(ends)]
    for block in blocks:
        block.indices, block.indptr = block.indices.astype(kinds[0]), block.indptr.astype(kinds[0])
        # As the memory of R is.
        block.indices.flags.writeable = block.data.flags.writeable = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gene_ranges, "RANGE_VALUES", values)
        if not is_compiled:
            # As if a later SciPy did not have what is not public.
            patch.setitem(sys.modules, "scipy.sparse._sparsetools", None)
        ranges, found = read(blocks, n_genes)
    truth = whole.tocsc()
    truth.sort_indices()
    np.testing.assert_array_equal(np.concatenate([b.indices for b in found]), truth.indices)
    np.testing.assert_array_equal(np.concatenate([b.data for b in found]), truth.data)
    for block, (first, last) in zip(found, pairwise(ranges.bounds), strict=True):
        np.testing.assert_array_equal(
            block.indptr, truth.indptr[first : last + 1] - truth.indptr[first]
        )
        assert (block.indices.dtype, block.data.dtype) == (np.int32, kinds[1])
        assert block.shape == (sum(heights), last - first)


def test_ranges_have_about_as_many_values_wherever_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gene_ranges, "RANGE_VALUES", 3_000)
    # The first tenth of the genes has nine tenths of the values.
    chances = np.where(np.arange(500) < 50, 0.9, 0.01)
    random = np.random.default_rng(1)
    whole = sp.csr_matrix((random.random((600, 500)) < chances).astype(np.float32))
    _, found = read([whole[:200], whole[200:]], 500)
    sizes = [block.nnz for block in found]
    assert len(sizes) == -(-whole.nnz // 3_000)
    assert max(sizes) < 1.5 * min(sizes)
    assert sum(sizes) == whole.nnz


def test_a_large_matrix_has_larger_ranges_and_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gene_ranges, "RANGE_VALUES", 1)
    ranges, _ = read([sp.csr_matrix(np.ones((3, 200), np.float32))], 200)
    assert len(ranges.bounds) - 1 == gene_ranges.MOST_RANGES


def test_memory_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gene_ranges, "RANGE_VALUES", 10)
    ranges = GeneRanges([sp.csr_matrix(np.ones((5, 20), np.float32))], 20)
    ranges.cut(0)
    ranges.measure()
    places = {
        ranges.turned(number, lambda _first, block, _place: block.data.ctypes.data)
        for number in range(len(ranges.bounds) - 1)
    }
    assert len(places) == 1
