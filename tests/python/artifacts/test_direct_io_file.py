import errno
import gc
import os
import subprocess
import sys
import threading

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.artifacts.vars_h5 import file as direct_io
from cellferry.artifacts.vars_h5.calls import Calls
from cellferry.artifacts.vars_h5.file import LARGE, PAGE, DirectIOFile, new_hdf5, pages

needs_uncached = pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="no O_DIRECT here")


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
    real = os.pwrite

    def limited(descriptor, data, place):
        if len(written) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(len(data))
        return real(descriptor, data, place)

    def build():
        with new_hdf5(tmp_path / "f.h5") as (file, under):
            for i in range(50):
                file.create_dataset(str(i), data=np.random.default_rng(0).random(5000))
                under.check()

    with monkeypatch.context() as patch:
        patch.setattr(direct_io.os, "pwrite", limited)
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
    with DirectIOFile(tmp_path / "f") as file:
        file.write(b"ab")
        buffer = bytearray(b"xxxx")
        file.seek(0)
        assert file.readinto(buffer) == 4
        assert bytes(buffer) == b"ab\0\0"
        assert file.seek(-1, os.SEEK_END) == 1
        assert file.truncate(1) == 1
    assert (tmp_path / "f").read_bytes() == b"a"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4 * LARGE // PAGE),
            st.sampled_from([0, 0, 0, 1, PAGE - 1]),
            st.integers(1, LARGE + 3 * PAGE),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 2**16),
)
def test_pieces_of_any_size_at_any_place_are_what_was_written(tmp_path_factory, pieces, seed):
    random = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("direct_io") / "f"
    truth = bytearray()
    with DirectIOFile(path) as file:
        for page, beside, size, large in pieces:
            place, length = page * PAGE + beside, size + (LARGE if large else 0)
            data = pages(length)[:length]
            data[:] = random.integers(0, 256, length, dtype=np.uint8)
            truth.extend(bytes(max(0, place + length - len(truth))))
            truth[place : place + length] = data.tobytes()
            file.seek(place)
            assert file.write(data) == length
            found = bytearray(len(truth))
            file.seek(0)
            file.readinto(found)
            assert found == truth
        file.check()
    assert path.read_bytes() == truth


def write_large(file):
    data = pages(LARGE + 10)[: LARGE + 10]
    data[:] = 7
    file.write(data)
    return data.tobytes()


def writing(monkeypatch, error_of):
    """Let writes past the cache fail, and return which descriptors were written to."""
    seen, real = [], os.pwrite

    def write(descriptor, data, place):
        seen.append(descriptor)
        if error := error_of(descriptor):
            raise OSError(error, os.strerror(error))
        return real(descriptor, data, place)

    monkeypatch.setattr(direct_io.os, "pwrite", write)
    return seen


@needs_uncached
def test_whole_pages_go_past_the_cache_and_the_rest_does_not(tmp_path, monkeypatch):
    with DirectIOFile(tmp_path / "f") as file:
        if file._uncached is None:
            pytest.skip("this file system has none")
        seen = writing(monkeypatch, lambda _: None)
        written = write_large(file)
        assert seen == [file._uncached, file._descriptor]
    assert (tmp_path / "f").read_bytes() == written


@needs_uncached
def test_a_file_system_that_takes_nothing_past_the_cache_is_written_as_usual(tmp_path, monkeypatch):
    with DirectIOFile(tmp_path / "f") as file:
        uncached = file._uncached
        writing(monkeypatch, lambda descriptor: errno.EINVAL if descriptor == uncached else 0)
        written = write_large(file)
        assert not file._takes_uncached
        file.check()
    assert (tmp_path / "f").read_bytes() == written


@needs_uncached
def test_a_disk_that_fills_up_past_the_cache_is_an_error(tmp_path, monkeypatch):
    with DirectIOFile(tmp_path / "f") as file:
        writing(monkeypatch, lambda _: errno.ENOSPC)
        write_large(file)
        with pytest.raises(OSError, match="No space left"):
            file.check()


def test_without_such_a_descriptor_all_goes_as_usual(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_DIRECT", raising=False)
    with DirectIOFile(tmp_path / "f") as file:
        written = write_large(file)
        file.check()
    assert (tmp_path / "f").read_bytes() == written


def test_kept_memory_is_written_later_and_given_back_once(tmp_path):
    path, truth, given_back = tmp_path / "f", b"", []
    with DirectIOFile(path) as file:
        for number in range(direct_io.MOST_LATER * 2):
            buffer = pages(LARGE + 10)
            buffer[:] = number % 251
            truth += buffer.tobytes()
            with file.kept(buffer, lambda number=number: given_back.append(number)):
                file.write(buffer)
        file.finish()
        found = bytearray(len(truth))
        file.seek(0)
        file.readinto(found)
        assert found == truth
    assert sorted(given_back) == list(range(direct_io.MOST_LATER * 2))
    assert path.read_bytes() == truth


def test_memory_that_is_not_kept_is_written_at_once(tmp_path):
    with DirectIOFile(tmp_path / "f") as file:
        kept, other, done = pages(LARGE), pages(LARGE), []
        other[:] = 1
        with file.kept(kept, lambda: done.append(1)):
            file.write(other)
            other[:] = 2
        assert done == [1]
    assert (tmp_path / "f").read_bytes() == b"\1" * LARGE


def test_what_fails_later_is_raised_at_the_end(tmp_path, monkeypatch):
    def build():
        with new_hdf5(tmp_path / "f.h5") as (_, under):
            buffer = pages(LARGE)
            with under.kept(buffer, lambda: done.append(True)):
                under.write(buffer)

    done: list[bool] = []
    writing(monkeypatch, lambda _: errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        build()
    assert done == [True]


PLACES = st.sampled_from([0, PAGE, LARGE, LARGE + 7, 2 * LARGE, 3 * LARGE])
STEPS = st.one_of(
    st.tuples(st.just("kept"), PLACES, st.integers(LARGE, LARGE + PAGE)),
    st.tuples(st.just("write"), PLACES, st.integers(1, LARGE + 3)),
    st.tuples(st.just("read"), PLACES, st.integers(1, 2 * LARGE)),
    st.tuples(st.just("truncate"), PLACES, st.just(0)),
    st.tuples(st.just("go on"), st.just(0), st.integers(1, 3)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=2, max_size=12), st.integers(0, 2**16))
def test_what_waits_for_the_thread_is_read_and_overwritten_in_its_order(
    tmp_path_factory, steps, seed
):
    """The thread stands still but where it may make some calls: nothing here waits for it."""
    random = np.random.default_rng(seed)
    path = tmp_path_factory.mktemp("direct_io") / "f"
    truth, may = bytearray(), threading.Semaphore(0)
    with DirectIOFile(path) as file:
        make = file._calls.put

        def gated(function):
            def call():
                may.acquire()
                function()

            return make(call)

        file._calls.put = gated
        try:
            for step, place, size in steps:
                if step == "truncate":
                    file.truncate(place)
                    truth[place:] = bytes(max(0, place - len(truth)))
                elif step == "go on":
                    for _ in range(size):
                        may.release()
                elif step == "read":
                    found = bytearray(size)
                    file.seek(place)
                    file.readinto(found)
                    assert found == bytes(truth[place : place + size]).ljust(size, b"\0")
                else:
                    data = pages(size)[:size]
                    data[:] = random.integers(0, 256, size, dtype=np.uint8)
                    truth.extend(bytes(max(0, place + size - len(truth))))
                    truth[place : place + size] = data.tobytes()
                    file.seek(place)
                    if step == "kept":
                        # Whoever has it again uses it for something else.
                        with file.kept(data, lambda data=data: data.fill(0)):
                            file.write(data)
                    else:
                        file.write(data)
                        data[:] = 0
        finally:
            for _ in range(100):
                may.release()
        file.finish()
    assert path.read_bytes() == truth


GARBAGE_IN_THE_THREAD = """
import gc, sys, threading
from pathlib import Path
import h5py
import numpy as np
from cellferry.artifacts.vars_h5 import file as direct_io
from cellferry.artifacts.vars_h5.calls import Calls

HDF5_IS_AT_WORK = threading.Event()
real = direct_io.DirectIOFile._write_whole

def write(self, view, place):
    if threading.current_thread() is not threading.main_thread():
        HDF5_IS_AT_WORK.wait(20)
        gc.collect()  # frees what is below, for which it takes the lock of h5py
    real(self, view, place)

direct_io.DirectIOFile._write_whole = write
gc.disable()
path = Path(sys.argv[1])
with direct_io.new_hdf5(path) as (file, under):
    n = direct_io.LARGE
    dataset = file.create_dataset("x", (4 * n,), "u1", chunks=(n,))
    garbage = [h5py.h5p.create(h5py.h5p.DATASET_CREATE)]
    garbage.append(garbage)
    del garbage
    for number in range(4):
        buffer = direct_io.pages(n)
        buffer[:] = number
        with under.kept(buffer, lambda: None):
            dataset.id.write_direct_chunk((number * n,), buffer.data)
    # A call of HDF5, under its lock, that reads and writes while the thread collects.
    def entered(name):
        reading = getattr(direct_io.DirectIOFile, name)
        def method(self, *arguments):
            HDF5_IS_AT_WORK.set()
            import time
            time.sleep(0.2)
            return reading(self, *arguments)
        return method
    for name in ("readinto", "write", "truncate"):
        setattr(direct_io.DirectIOFile, name, entered(name))
    file["names"] = np.array(["a", "b"] * 300, dtype=object)
    read = dataset[::n]
    file.flush()
with h5py.File(path) as file:
    print(read.tolist(), file["x"][::n].tolist(), len(file["names"]))
"""


@pytest.mark.process
def test_garbage_that_the_thread_collects_is_not_waited_for_with_the_lock_of_hdf5(tmp_path):
    """What is garbage is freed under the lock of h5py, on whichever thread Python collects it."""
    command = [sys.executable, "-c", GARBAGE_IN_THE_THREAD, str(tmp_path / "f.h5")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.strip() == "[0, 1, 2, 3] [0, 1, 2, 3] 600", done.stderr


def test_an_error_of_a_call_is_raised_by_whoever_waits_for_it():
    calls, made = Calls("cellferry-test"), []
    calls.put(lambda: 1 // 0)
    after = calls.put(lambda: made.append(1))
    with pytest.raises(ZeroDivisionError):
        calls.close()
    assert after.is_done
    assert made == [1]


def test_memory_that_was_given_back_is_used_again():
    pool = direct_io.PagePool(10_000)
    taken = [pool.take(10_000) for _ in range(direct_io.SLAB + 1)]
    places = [memory.ctypes.data for memory in taken]
    assert len(set(places)) == len(places)
    assert all(place % PAGE == 0 for place in places)
    assert all(memory.nbytes >= 10_000 for memory in taken)
    for i, memory in enumerate(taken):
        memory[:] = i
    assert [int(memory[0]) for memory in taken] == list(range(len(taken)))
    assert [int(memory[-1]) for memory in taken] == list(range(len(taken)))
    pool.give(taken[3])
    assert pool.take(5).ctypes.data == places[3]


def test_more_memory_than_a_pool_has_is_made_for_once():
    pool = direct_io.PagePool(10_000)
    large = pool.take(20_000)
    assert large.nbytes >= 20_000
    pool.give(large)
    assert pool.take(10).ctypes.data != large.ctypes.data
