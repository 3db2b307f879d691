from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.artifacts.vars_h5 import chunks, lz4
from cellferry.artifacts.vars_h5.chunks import ChunkedArray


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
