"""Whatever a matrix is kept by, every gene is read once, whole, and in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from cellferry.artifacts import by_gene, gene_ranges
from cellferry.artifacts.by_gene import GeneReader
from cellferry.artifacts.vars_h5 import transpose
from cellferry.runs.worker import Events, run_in_worker
from cellferry.study.expression.matrix import MatrixSource


@pytest.fixture(autouse=True)
def few_values_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a small matrix be read in several shares, ranges and groups."""
    monkeypatch.setattr(by_gene, "FEW_VALUES", 0)
    monkeypatch.setattr(by_gene, "SHARE_VALUES", 50)
    monkeypatch.setattr(gene_ranges, "RANGE_VALUES", 100)
    monkeypatch.setattr(transpose, "GROUP_VALUES", 100)


@pytest.mark.parametrize("kept", ["csr", "unsorted", "duplicates", "csc", "dense"])
def test_every_gene_comes_once_and_whole(kept: str, tmp_path: Path) -> None:
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
    seen = np.zeros((60, 31), np.float32)

    def on_cells(row: int, block: sp.csr_matrix) -> None:
        seen[row : row + block.shape[0]] += block.toarray()

    with ThreadPoolExecutor(2) as pool:
        read = run_in_worker(
            lambda events: list(GeneReader(source, tmp_path, pool, 7, events, on_cells)), None
        )
    if kept != "csc":
        assert np.array_equal(seen, expected)
    assert np.array_equal(np.hstack([block.toarray() for _, block in read]), expected)
    ends = np.cumsum([block.shape[1] for _, block in read])
    assert [start for start, _ in read] == [0, *ends[:-1]]
    assert len(read) > 2


@pytest.mark.parametrize("kept", ["csr", "unsorted", "csc"])
def test_it_says_how_many_values_are_before_each_gene(kept: str, tmp_path: Path) -> None:
    matrix = sp.random(40, 25, 0.4, format="csr", random_state=4, dtype=np.float32)
    ends = matrix.tocsc().indptr
    if kept == "unsorted":
        matrix = matrix.tocsc().tocsr()[:, ::-1]
        ends = matrix.tocsc().indptr
        matrix.has_sorted_indices = False
    elif kept == "csc":
        matrix = matrix.tocsc()
    source = MatrixSource(matrix, [f"g{i}" for i in range(25)])

    def read(events: Events) -> list[tuple[int, int]]:
        reader = GeneReader(source, tmp_path, pool, 7, events)
        return list(reader.map(lambda first, block, place: (first, place)))

    with ThreadPoolExecutor(2) as pool:
        found = run_in_worker(read, None)
    assert [place for _, place in found] == [ends[first] for first, _ in found]
    assert len(found) > 2
