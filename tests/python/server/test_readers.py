"""Helper processes: crashes and endless reads cost one call."""

import threading
import time

import pytest

from cellferry.server.failures import Code, Failure
from cellferry.server.lookup import process as module
from cellferry.server.lookup.process import Readers
from server_files import N_CELLS, write_vars_h5

pytestmark = pytest.mark.process


@pytest.fixture
def readers():
    found = Readers(processes=2, seconds=20)
    yield found
    found.close()


@pytest.fixture
def path(tmp_path):
    return str(write_vars_h5(tmp_path / "v.h5"))


def test_a_process_is_used_again(readers, path):
    for _ in range(3):
        assert readers.call("inspect_vars_h5", path=path)["n_cells"] == N_CELLS
    assert len(readers._idle) == 1


def test_a_failure_keeps_its_code(readers, path):
    with pytest.raises(Failure) as caught:
        readers.call("expression", vars_path=path, obs_path=None, gene="x", max_cells=1)
    assert caught.value.code is Code.NOT_FOUND


def test_a_process_that_died_in_between_costs_nothing(readers, path):
    readers.call("inspect_vars_h5", path=path)
    readers._idle[0]._process.kill()
    assert readers.call("inspect_vars_h5", path=path)["n_cells"] == N_CELLS


def test_a_file_that_crashes_its_reader_is_refused(readers, path, monkeypatch):
    """Every process dies, as of a file on which the library crashes."""
    readers.call("inspect_vars_h5", path=path)
    ask = module._Process.ask

    def die(process, request, seconds):
        process._process.kill()
        return ask(process, request, seconds)

    monkeypatch.setattr(module._Process, "ask", die)
    with pytest.raises(Failure, match="broke off") as caught:
        readers.call("inspect_vars_h5", path=path)
    assert caught.value.code is Code.INVALID_ARTIFACT
    assert readers._idle == []
    monkeypatch.undo()
    assert readers.call("inspect_vars_h5", path=path)["n_cells"] == N_CELLS


def test_what_takes_too_long_is_ended(path, monkeypatch):
    readers = Readers(seconds=0.01)
    begun = time.monotonic()
    with pytest.raises(Failure, match="too long"):
        readers.call("inspect_vars_h5", path=path)
    assert time.monotonic() - begun < 10
    assert readers._idle == []
    readers.close()


def test_many_threads_share_few_processes(readers, path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(readers.call("inspect_vars_h5", path=path)))
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(readers._idle) <= 2


def test_processes_are_renewed(readers, path, monkeypatch):
    monkeypatch.setattr(module, "CALLS_PER_PROCESS", 2)
    readers.call("inspect_vars_h5", path=path)
    first = readers._idle[0]
    readers.call("inspect_vars_h5", path=path)
    readers.call("inspect_vars_h5", path=path)
    assert readers._idle[0] is not first
