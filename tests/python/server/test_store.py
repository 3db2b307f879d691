"""The data folder: one server at a time, all or nothing, nobody else's eyes."""

import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from cellferry.errors import DataInUseError, OutputError
from cellferry.server.failures import Code, Failure
from cellferry.server.store import Store, is_id, new_id


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path / "data")
    yield found
    found.close()


def test_a_second_server_is_refused_until_the_first_ends(store):
    with pytest.raises(DataInUseError, match="Another server"):
        Store(store.folder)
    store.close()
    Store(store.folder).close()


def test_the_lock_ends_with_a_killed_process(tmp_path):
    script = (
        "import os, sys, pathlib; from cellferry.server.store import Store;"
        f"s = Store(pathlib.Path({str(tmp_path / 'data')!r})); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -9
    Store(tmp_path / "data").close()


def test_a_transaction_is_undone_as_a_whole(store):
    def insert():
        with store.transaction() as sql:
            sql.execute("INSERT INTO uploads VALUES ('a', 'vars_h5', 1, 1, 'open', 0, 0)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert()
    with store.reading() as sql:
        assert sql.execute("SELECT count(*) FROM uploads").fetchone() == (0,)


def test_what_was_arriving_is_gone_at_the_next_start(store):
    left = store.incoming()
    left.write_bytes(b"x")
    store.close()
    again = Store(store.folder)
    assert not left.exists()
    again.close()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_enter_the_folder(store):
    assert mode(store.folder) == 0o700
    for path in store.folder.iterdir():
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_the_permissions_of_a_folder_that_was_there_stay(tmp_path):
    (tmp_path / "data").mkdir(mode=0o750)
    Store(tmp_path / "data").close()
    assert mode(tmp_path / "data") == 0o750
    assert mode(tmp_path / "data" / "jobs") == 0o700


def test_a_server_of_0_1_0_and_this_one_see_each_other(store):
    """Up to 0.1.0 a server held ``lock.sqlite`` by an exclusive transaction."""
    old = sqlite3.connect(store.folder / "lock.sqlite", timeout=0, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        old.execute("BEGIN EXCLUSIVE")
    store.close()
    old.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DataInUseError, match="Another server"):
        Store(store.folder)
    old.close()
    Store(store.folder).close()


def test_queries_do_not_wait_for_what_is_being_written(store):
    found = []

    def look():
        with store.reading() as sql:
            found.append(sql.execute("SELECT count(*) FROM uploads").fetchone())

    with store.transaction() as sql:
        sql.execute("INSERT INTO uploads VALUES ('a', 'vars_h5', 1, 1, 'open', 0, 0)")
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(timeout=10)
        assert found == [(0,)]
    look()
    assert found[1:] == [(1,)]


def test_a_folder_of_another_version_or_a_file_is_refused(store, tmp_path):
    store.close()
    with sqlite3.connect(store.folder / "server.sqlite") as sql:
        sql.execute("PRAGMA user_version = 99")
    with pytest.raises(OutputError, match="99"):
        Store(store.folder)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        Store(tmp_path / "file")


def test_a_full_disk_is_a_failure(store):
    store.check_space(1)
    with pytest.raises(Failure) as caught:
        store.check_space(2**60)
    assert caught.value.code is Code.INSUFFICIENT_STORAGE


def test_ids_are_ours_or_none():
    assert is_id(new_id())
    for wrong in ("", "..", "../x", new_id().upper() + "A", "{" + new_id() + "}", "a" * 36):
        assert not is_id(wrong)
