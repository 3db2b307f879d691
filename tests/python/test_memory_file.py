import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.errors import InternalError
from cellferry.memory_file import MemoryFile

pytestmark = pytest.mark.skipif(not MemoryFile.usable(), reason="needs memfd_create of Linux")


def memory_files():
    """Return those that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            if "memfd:cellferry" in str(entry.readlink()):
                found.append(entry.name)
    return sorted(found)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["<f8", "<i4", "|u1"]), st.integers(0, 5000)), max_size=4)
)
def test_what_was_written_is_read_back(pieces):
    rng = np.random.default_rng(1)
    written = [rng.integers(0, 200, n).astype(dtype) for dtype, n in pieces]
    file = MemoryFile()
    file.path.write_bytes(b"".join(values.tobytes() for values in written))
    read = file.arrays([dtype for dtype, _ in pieces], [n for _, n in pieces])
    assert len(read) == len(written)
    for one, other in zip(read, written, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_another_process_of_the_user_can_write_it():
    file = MemoryFile()
    code = f"open({str(file.path)!r}, 'wb').write(bytes(range(10)))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert file.arrays(["|u1"], [10])[0].tolist() == list(range(10))


def test_arrays_outlive_the_file_and_may_be_changed():
    before = memory_files()
    file = MemoryFile()
    assert memory_files() != before
    file.path.write_bytes(bytes(8))
    [values] = file.arrays(["<i4"], [2])
    values[0] = 7
    assert values.tolist() == [7, 0]
    # Until then the mapping has a descriptor of its own.
    del values
    assert memory_files() == before


def test_a_file_of_another_size_is_refused_and_can_be_closed_twice():
    before = memory_files()
    file = MemoryFile()
    file.path.write_bytes(bytes(9))
    with pytest.raises(InternalError, match="has 9 bytes, not 8"):
        file.arrays(["<i4"], [2])
    file.close()
    file.close()
    assert memory_files() == before


def test_a_child_process_does_not_inherit_it():
    file = MemoryFile()
    code = "import os, sys; os.fstat(int(sys.argv[1]))"
    command = [sys.executable, "-c", code, file.path.name]
    told = subprocess.run(command, capture_output=True, text=True, close_fds=False, check=False)
    assert "Bad file descriptor" in told.stderr
    file.close()
