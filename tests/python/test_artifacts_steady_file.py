import errno
import gc
import os

import h5py
import numpy as np
import pytest

from cellferry.artifacts import steady_file
from cellferry.artifacts.steady_file import SteadyFile, new_hdf5


def test_hdf5_reads_back_what_it_wrote(tmp_path):
    values = np.arange(100_000)
    with new_hdf5(tmp_path / "f.h5") as (file, _):
        file.create_dataset("a", data=values, chunks=(1000,), compression="gzip")
        file["b/c"] = "text"
        del file["b"]
        np.testing.assert_array_equal(file["a"][:], values)
    with h5py.File(tmp_path / "f.h5", "r") as file:
        np.testing.assert_array_equal(file["a"][:], values)
        assert list(file) == ["a"]


@pytest.mark.parametrize("after", [0, 1, 3, 20])
def test_a_disk_that_fills_up_is_an_error_and_no_crash(tmp_path, monkeypatch, after):
    written = []
    real = os.write

    def limited(descriptor, data):
        if len(written) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(len(data))
        return real(descriptor, data)

    def build():
        with new_hdf5(tmp_path / "f.h5") as (file, under):
            for i in range(50):
                file.create_dataset(str(i), data=np.random.default_rng(0).random(5000))
                under.check()

    with monkeypatch.context() as patch:
        patch.setattr(steady_file.os, "write", limited)
        with pytest.raises(OSError, match="No space left") as error:
            build()
    assert error.value.errno == errno.ENOSPC
    del error
    gc.collect()  # a file that HDF5 could not close crashes here


def test_hdf5s_own_errors_are_raised_as_they_are(tmp_path):
    def build():
        with new_hdf5(tmp_path / "f.h5") as (file, _):
            file["a"] = 1
            file["a"] = 2

    with pytest.raises(OSError, match="name already exists"):
        build()


def test_what_was_never_written_reads_as_zeros(tmp_path):
    with SteadyFile(tmp_path / "f") as file:
        file.write(b"ab")
        buffer = bytearray(b"xxxx")
        file.seek(0)
        assert file.readinto(buffer) == 4
        assert bytes(buffer) == b"ab\0\0"
        assert file.seek(-1, os.SEEK_END) == 1
        assert file.truncate(1) == 1
    assert (tmp_path / "f").read_bytes() == b"a"
