import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.artifacts.vars_h5 import lz4

KINDS = {
    "zeros": lambda r, n: np.zeros(n, dtype=np.int32),
    "small": lambda r, n: r.integers(0, 4, n).astype(np.int32),
    "noise": lambda r, n: r.random(n).astype(np.float32),
    "indices": lambda r, n: np.cumsum(r.integers(1, 20, n)).astype(np.int32),
}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.integers(1, 5000), st.integers(0, 99), st.integers(1, 4))
def test_hdf5_itself_reads_what_was_compressed_outside_of_it(kind, n, seed, cuts):
    values = KINDS[kind](np.random.default_rng(seed), n)
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset("d", (n,), values.dtype, chunks=(n,), **hdf5plugin.LZ4())
        dataset.id.write_direct_chunk((0,), lz4.compress(np.array_split(values, cuts)))
        file.flush()
        np.testing.assert_array_equal(dataset[:], values)


def test_a_buffer_is_used_again_and_leaves_nothing_behind():
    buffer = np.empty(lz4.largest_size(4000), dtype=np.uint8)
    first = bytes(lz4.compress([np.arange(1000, dtype=np.int32)], buffer))
    bytes(lz4.compress([np.random.default_rng(0).random(1000).astype(np.float32)], buffer))
    assert bytes(lz4.compress([np.arange(1000, dtype=np.int32)], buffer)) == first


def test_what_repeats_gets_smaller_and_noise_hardly_larger():
    assert len(lz4.compress([np.zeros(10_000, dtype=np.int32)])) < 400
    noise = np.random.default_rng(0).random(10_000)
    assert len(lz4.compress([noise])) <= noise.nbytes + 16


def test_without_a_compressor_it_says_so(monkeypatch):
    monkeypatch.setattr(lz4, "compressor", lambda: None)
    with pytest.raises(RuntimeError, match="no LZ4 compressor"):
        lz4.compress([np.zeros(3)])


def test_a_missing_library_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(hdf5plugin, "PLUGIN_PATH", str(tmp_path))
    assert lz4.compressor.__wrapped__() is None
    (tmp_path / "libh5lz4.so").write_bytes(b"not a library")
    assert lz4.compressor.__wrapped__() is None
