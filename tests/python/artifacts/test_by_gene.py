"""Cells are cut into the genes of several passes; what is read is the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from cellferry.artifacts import by_gene
from cellferry.artifacts.by_gene import GeneReader, cut_rows
from cellferry.runs.worker import run_in_worker
from cellferry.study.expression.matrix import MatrixSource


@given(
    st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=8),
    st.sets(st.integers(1, 11), max_size=5),
)
def test_rows_are_cut_where_a_column_of_the_next_run_begins(
    rows: list[set[int]], within: set[int]
) -> None:
    bounds = [0, *sorted(within), 12]
    indices = np.array([i for row in rows for i in sorted(row)], np.int32)
    indptr = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int32)
    cuts = cut_rows(indptr, indices, bounds)
    runs = [indices[a:b].tolist() for a, b in pairwise(cuts)]
    pairs = list(pairwise(bounds))
    expected = [sorted(i for i in row if a <= i < b) for row in rows for a, b in pairs]
    assert runs == expected
    assert cuts.dtype == indices.dtype


@pytest.mark.parametrize("kept", ["csr", "unsorted", "duplicates", "csc", "dense"])
def test_every_gene_comes_once_and_whole(
    kept: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(by_gene, "FEW_VALUES", 0)
    monkeypatch.setattr(by_gene, "SHARE_VALUES", 50)
    whole = sp.random(60, 31, 0.3, format="csr", random_state=3, dtype=np.float32)
    expected = whole.toarray()
    given_matrix: object = whole
    if kept == "unsorted":
        order = np.concatenate([np.arange(a, b)[::-1] for a, b in pairwise(whole.indptr)])
        arrays = (whole.data[order], whole.indices[order], whole.indptr)
        given_matrix = sp.csr_matrix(arrays, shape=whole.shape)
        assert not given_matrix.has_sorted_indices
    elif kept == "duplicates":
        arrays = (np.repeat(whole.data / 2, 2), np.repeat(whole.indices, 2), whole.indptr * 2)
        given_matrix = sp.csr_matrix(arrays, shape=whole.shape)
    elif kept == "csc":
        given_matrix = whole.tocsc()
    elif kept == "dense":
        given_matrix = expected
    source = MatrixSource(given_matrix, [f"g{i}" for i in range(31)])
    with ThreadPoolExecutor(2) as pool:
        read = run_in_worker(
            lambda events: list(GeneReader(source, tmp_path, pool, 7, events)), None
        )
    assert np.array_equal(np.hstack([block.toarray() for _, block in read]), expected)
    ends = np.cumsum([block.shape[1] for _, block in read])
    assert [start for start, _ in read] == [0, *ends[:-1]]
    assert len(read) > 2
