"""A source that asks for its blocks: the same matrix for any blocks and any way of reading."""

import json
import threading
import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellferry.errors import CellferryError, InternalError, InvalidObjectError
from cellferry.events import CancelledWork, run_in_worker
from cellferry.pulled import AHEAD, PulledSource, ask_by, block_question, checked_answer

GENES = ("A", "B", "C", "D")


class Matrix:
    """A matrix that is asked for in blocks, and what was asked, by which thread."""

    def __init__(self, values, cuts=()):
        self.values = sparse.csr_matrix(np.asarray(values, dtype=np.float64))
        self.starts = sorted({0, *cuts})
        self.asked = []
        self.threads = set()

    def read(self, k):
        self.asked.append(k)
        self.threads.add(threading.get_ident())
        stops = [*self.starts[1:], self.values.shape[0]]
        start = self.starts[k - 1]
        rows = self.values[start : stops[k - 1]]
        return {
            "n_blocks": len(self.starts),
            "row_start": start,
            "indptr": rows.indptr,
            "indices": rows.indices,
            "data": rows.data,
        }

    def source(self, **options):
        return PulledSource(self.values.shape[0], GENES, self.read, **options)


def whole(source):
    blocks = list(source)
    if not blocks:
        return np.zeros(source.shape)
    starts, parts = zip(*blocks, strict=True)
    assert list(starts) == np.cumsum([0, *(p.shape[0] for p in parts[:-1])]).tolist()
    assert all(p.has_canonical_format for p in parts)
    return sparse.vstack(parts).toarray()


def read_in_worker(source):
    return run_in_worker(lambda _events: whole(source))


@st.composite
def matrices(draw):
    n = draw(st.integers(0, 12))
    values = draw(st.lists(st.integers(0, 3), min_size=4 * n, max_size=4 * n))
    cuts = draw(st.sets(st.integers(1, max(n - 1, 1)))) if n > 1 else set()
    return np.reshape(values, (n, 4)).astype(float), cuts


@settings(deadline=None, max_examples=60)
@given(matrices(), st.lists(st.tuples(st.booleans(), st.integers(0, 13)), max_size=4))
def test_any_blocks_and_any_reading_give_the_same_matrix(made, readings):
    """Each reading is by this thread or another, and is left after some blocks."""
    values, cuts = made
    matrix = Matrix(values, cuts)
    source = matrix.source()

    def partly(n):
        blocks = iter(source)
        seen = [block.toarray() for _, block in (next(blocks, None) for _ in range(n)) if block is not None]
        blocks.close()
        return seen

    def some(n):
        found, blocks = [], iter(source)
        for _ in range(n):
            item = next(blocks, None)
            if item is None:
                break
            found.append(item[1].toarray())
        blocks.close()
        return found

    for elsewhere, n in readings:
        found = run_in_worker(lambda _events, n=n: some(n)) if elsewhere else some(n)
        together = np.vstack([np.zeros((0, 4)), *found])
        np.testing.assert_array_equal(together, values[: len(together)])
    np.testing.assert_array_equal(whole(source), values)
    np.testing.assert_array_equal(read_in_worker(source), values)
    assert matrix.threads <= {threading.get_ident()}
