"""A source that asks for its blocks: the same matrix for any blocks and any way of reading."""

import json
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellferry.bridge.callbacks import ask_by, block_question, checked_answer
from cellferry.bridge.sources import BLOCKS_AHEAD, OnDemandSource
from cellferry.errors import CellferryError, InternalError, InvalidObjectError
from cellferry.runs.worker import CancelledWork, run_in_worker

GENES = ("A", "B", "C", "D")


class Matrix:
    """A matrix that is asked for in blocks, and what was asked, by which thread."""

    def __init__(self, values, cuts=()):
        self.values = sparse.csr_matrix(np.asarray(values, dtype=np.float64))
        self.starts = sorted({0, *cuts})
        self.requested = []
        self.threads = set()

    def read(self, k):
        self.requested.append(k)
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
        return OnDemandSource(self.values.shape[0], GENES, self.read, **options)


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


@pytest.mark.slow
def test_in_another_thread_the_next_block_is_fetched_and_no_more():
    matrix = Matrix(np.ones((6, 4)), range(1, 6))
    source, never = matrix.source(), threading.Event()

    def work(events):
        seen = []
        for start, _ in source:
            seen.append(start)
            never.wait(0.2)
            most = len(seen) + BLOCKS_AHEAD
            assert len(matrix.requested) <= most
        return seen

    assert run_in_worker(work) == list(range(6))
    assert matrix.requested == [1, 2, 3, 4, 5, 6]
    # In its own thread nothing is fetched before it is needed.
    blocks = iter(source)
    next(blocks)
    assert matrix.requested[6:] == [1]


def test_two_readers_at_once_each_get_the_whole():
    matrix = Matrix(np.arange(40).reshape(10, 4), range(1, 10))
    source = matrix.source()

    def work(_events):
        found = [np.zeros((0, 4))] * 2
        threads = [
            threading.Thread(target=lambda i=i: found.__setitem__(i, whole(source)))
            for i in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    for one in run_in_worker(work):
        np.testing.assert_array_equal(one, matrix.values.toarray())
    assert matrix.threads == {threading.get_ident()}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_error_of_the_reader_is_raised_where_it_is_read(elsewhere):
    matrix = Matrix(np.ones((4, 4)), (1, 2, 3))

    def read(k):
        if k == 3:
            raise ConnectionError("the disk is gone")
        return matrix.read(k)

    source = OnDemandSource(4, GENES, read)
    seen = []

    def work(_events=None):
        for start, _ in source:
            seen.append(start)

    with pytest.raises(ConnectionError, match="the disk is gone"):
        run_in_worker(work) if elsewhere else work()
    assert seen == [0, 1]


def test_an_interrupt_while_a_block_is_made_ends_both_threads():
    matrix, ended = Matrix(np.ones((3, 4)), (1, 2)), threading.Event()

    def read(k):
        if k == 2:
            raise KeyboardInterrupt
        return matrix.read(k)

    source = OnDemandSource(3, GENES, read)

    def work(_events):
        try:
            whole(source)
        except CancelledWork:
            ended.set()
            raise

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_in_worker(work)
    assert ended.wait(5)
    assert time.monotonic() - begin < 5
    # By itself, in its own thread, too.
    with pytest.raises(KeyboardInterrupt):
        whole(source)


def test_values_keep_their_type_and_are_sorted():
    def read(_k):
        return {
            "n_blocks": 1,
            "row_start": 0,
            "indptr": np.array([0, 2], "<i4"),
            "indices": np.array([3, 1], "<i4"),
            "data": np.array([0.5, 0.25], "<f4"),
        }

    ((start, block),) = OnDemandSource(1, GENES, read, nnz=2)
    assert (start, block.dtype) == (0, np.float32)
    assert block.indices.tolist() == [1, 3]
    assert block.data.tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    "damage",
    [
        {"row_start": 1},
        {"indices": np.array([0, 4])},
        {"indptr": np.array([0, 3])},
        {"indptr": np.array([0, 1, 2, 2, 2])},
    ],
)
def test_blocks_that_do_not_fit_are_refused(damage):
    fits = {"n_blocks": 1, "row_start": 0, "indptr": np.array([0, 2]),
            "indices": np.array([0, 1]), "data": np.ones(2)}  # fmt: skip
    assert whole(OnDemandSource(1, GENES, lambda _k: fits)).sum() == 2
    with pytest.raises(InvalidObjectError, match="does not fit"):
        whole(OnDemandSource(1, GENES, lambda _k: {**fits, **damage}))


def test_too_few_rows_are_an_error():
    matrix = Matrix(np.ones((2, 4)), (1,))
    with pytest.raises(InvalidObjectError, match="Only 2 of 3 rows"):
        whole(OnDemandSource(3, GENES, matrix.read))


def answer_of_r(answer, *buffers):
    return [bytearray(json.dumps(answer).encode()), *map(bytearray, buffers)]


def test_r_is_asked_in_bytes_and_answers_in_bytes():
    questions = []

    def of_r(question):
        assert isinstance(question, bytearray)
        questions.append(json.loads(question))
        ones = np.ones(2, "<f8").tobytes()
        return answer_of_r({"data": {"$buffer": 0, "type": "<f8"}, "n_blocks": 1}, ones)

    found = ask_by(of_r)(block_question("counts", 3))
    assert questions == [{"kind": "block", "part": "counts", "block": 3}]
    assert found["data"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("condition", "error"),
    [
        ({"class": "interrupt", "text": ""}, KeyboardInterrupt),
        (
            {"class": "cellferry_unsupported_object_error", "text": "No.\ni Do."},
            CellferryError,
        ),
        ({"class": "simpleError", "text": "no such file"}, InternalError),
    ],
)
def test_what_went_wrong_in_r_is_raised_here(condition, error):
    with pytest.raises(error) as caught:
        ask_by(lambda _question: answer_of_r({"failed": condition}))({})
    if condition["class"].startswith("cellferry"):
        assert (caught.value.code, caught.value.hint) == ("unsupported_object", "Do.")
    elif error is InternalError:
        assert "reading the object: no such file" in str(caught.value)
    assert checked_answer({"n_blocks": 1}, "here") == {"n_blocks": 1}
