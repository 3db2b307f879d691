from concurrent.futures import Executor, Future, ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.artifacts.vars_h5 import chunks, lz4
from cellferry.artifacts.vars_h5.chunks import ChunkedArray
from cellferry.errors import InternalError


class Late(Executor):
    """Does nothing before it is asked for: the slowest threads there can be."""

    def submit(self, function, /, *arguments, **options):
        class Asked(Future):
            def result(self, timeout=None):
                if not self.done():
                    self.set_result(function(*arguments, **options))
                return super().result(timeout)

        return Asked()


def written(pieces, dtype=np.int32):
    with (
        h5py.File("x", "w", driver="core", backing_store=False) as file,
        ThreadPoolExecutor(2) as pool,
    ):
        array = ChunkedArray(file, "values", dtype, pool)
        for piece in pieces:
            array.append(piece)
        length = array.close()
        dataset = file["values"]
        file.flush()
        return length, dataset[:], dataset.chunks, dataset._filters


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=12), st.booleans())
def test_pieces_of_any_length_become_one_array(lengths, direct):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK", 16)
        if not direct:
            patch.setattr(lz4, "compressor", lambda: None)
        numbers = np.arange(sum(lengths), dtype=np.int32)
        pieces = np.split(numbers, np.cumsum(lengths)[:-1]) if lengths else []
        length, found, shape, filters = written(pieces)
    assert length == len(numbers)
    np.testing.assert_array_equal(found, numbers)
    assert shape[0] <= 16
    assert str(lz4.FILTER) in filters


def test_a_dataset_larger_than_one_growth_is_cut_to_its_length(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 4)
    numbers = np.arange(4 * chunks.GROWTH * 3 + 1, dtype=np.int32)
    length, found, _, _ = written([numbers])
    assert length == len(numbers)
    np.testing.assert_array_equal(found, numbers)


def test_values_of_another_type_are_converted():
    _, found, _, _ = written([np.array([1, 2], dtype=np.int64)])
    assert found.dtype == np.int32


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 70), st.booleans()), max_size=12),
    st.booleans(),
    st.sampled_from([lambda: ThreadPoolExecutor(2), Late]),
    st.randoms(use_true_random=False),
)
def test_parts_that_threads_compress_are_the_same_array(lengths, direct, threads, order):
    """Pieces whose chunk is not compressed yet keep their memory, however late that is."""
    numbers = np.arange(sum(n for n, _ in lengths), dtype=np.int32)
    ends = np.cumsum([0, *(n for n, _ in lengths)])
    with (
        pytest.MonkeyPatch.context() as patch,
        h5py.File("x", "w", driver="core", backing_store=False) as file,
        threads() as pool,
    ):
        patch.setattr(chunks, "CHUNK", 16)
        if not direct:
            patch.setattr(lz4, "compressor", lambda: None)
        array = ChunkedArray(file, "values", np.int32, pool)
        parts = {}
        # Threads may make them in any order; they are put in theirs.
        for i in order.sample(range(len(lengths)), len(lengths)):
            if lengths[i][1]:
                given_values = numbers[ends[i] : ends[i + 1]].copy()
                parts[i] = array.part(int(ends[i]), given_values)
                given_values[:] = -1
        for i in range(len(lengths)):
            if i in parts:
                array.put(parts[i])
            else:
                array.append(numbers[ends[i] : ends[i + 1]])
        assert array.close() == len(numbers)
        file.flush()
        np.testing.assert_array_equal(file["values"][:], numbers)


def test_a_part_in_a_wrong_place_is_refused(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 4)
    with (
        h5py.File("x", "w", driver="core", backing_store=False) as file,
        ThreadPoolExecutor(1) as pool,
    ):
        array = ChunkedArray(file, "values", np.int32, pool)
        array.append(np.arange(3, dtype=np.int32))
        with pytest.raises(InternalError, match="do not follow"):
            array.put(array.part(0, np.arange(8, dtype=np.int32)))
