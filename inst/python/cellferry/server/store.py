"""The data folder of a server: its lock, its SQLite database, its files.

::

    cellferry-server.json  says whose folder this is
    server.sqlite          what is known of uploads and jobs (write-ahead log)
    signing.key            what signed addresses are signed with
    lock, lock.sqlite      kept by the one server that uses the folder (the second for 0.1.0)
    uploads/<id>           the bytes of an upload
    jobs/<id>/             job.json, input.json, arrays.npz, run/, results.json, decisions.jsonl
    incoming/              bodies that are still arriving; emptied at every start
    set-aside/             what a server did not understand and did not delete
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataInUseError, OutputError
from ..files import locked
from .failures import Code, Failure
from .folder import DATABASE, LOCKS, has_tables, is_id, make_private, prepare

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["Store", "is_id", "new_id", "now"]

Recover = Callable[[Path, sqlite3.Cursor], None]
"""Fills an empty database from the files of a data folder."""

SCHEMA = 1

_TABLES = """
CREATE TABLE uploads (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, size INTEGER, chunk_bytes INTEGER NOT NULL,
    state TEXT NOT NULL, created REAL NOT NULL, expires REAL NOT NULL
) STRICT;
CREATE TABLE chunks (
    upload TEXT NOT NULL REFERENCES uploads(id) ON DELETE CASCADE, position INTEGER NOT NULL,
    size INTEGER NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (upload, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
    visibility TEXT NOT NULL, needs_keys INTEGER NOT NULL, request_key TEXT UNIQUE,
    request_hash TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, error TEXT,
    created REAL NOT NULL, finished REAL
) STRICT;
CREATE TABLE clusters (
    job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, position INTEGER NOT NULL,
    cluster TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (job, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_uploads (
    job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, kind TEXT NOT NULL,
    upload TEXT NOT NULL REFERENCES uploads(id), PRIMARY KEY (job, kind)
) STRICT, WITHOUT ROWID;
"""


class Store:
    """The data folder, used by this process alone until it is closed.

    Parameters
    ----------
    folder
        Made when it does not exist.
    free_bytes
        What must stay free on its disk.
    recover
        Called where the database is new or was lost, before anything else is done.

    Raises
    ------
    DataInUseError
        Another server uses the folder.
    OutputError
        The folder is not one of a server, cannot be written, or is of another version.
    """

    def __init__(self, folder: Path, free_bytes: int = 0, recover: Recover | None = None) -> None:
        # The helpers that read uploads run in another folder.
        self.folder = folder = folder.absolute()
        self.free_bytes = free_bytes
        self._mutex = threading.RLock()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._mine = threading.local()
        try:
            prepare(folder)
            self._lock = _Lock(folder)
        except OSError as error:
            message = f'The data folder "{folder}" cannot be written: {error.strerror}.'
            raise OutputError(message, "Choose another with --data.") from error
        try:
            self._sql = _open(folder, recover)
        except BaseException as error:
            self._lock.release()
            if not isinstance(error, sqlite3.DatabaseError | OSError):
                raise
            message = f'The database of the data folder "{folder}" cannot be used: {error}.'
            hint = (
                f"Choose another folder with --data. Or move {DATABASE} and the files beside it "
                "that begin with this name away: jobs are then taken up from their folders."
            )
            raise OutputError(message, hint) from error
        for left in (folder / "incoming").iterdir():
            if re.fullmatch("[0-9a-f]{32}", left.name) and not left.is_symlink() and left.is_file():
                left.unlink()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """Give a cursor whose changes are on disk, all or none, when the block ends."""
        with self._mutex:
            cursor = self._sql.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                self._sql.rollback()
                raise
            self._sql.commit()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """Give a cursor for queries, which no other thread keeps waiting."""
        reader: _Reader | None = getattr(self._mine, "reader", None)
        if reader is None:
            reader = self._mine.reader = _Reader(self.folder)
            self._readers.add(reader)
        yield reader.sql.cursor()

    def incoming(self) -> Path:
        """Return a new name for a body that arrives."""
        return self.folder / "incoming" / uuid.uuid4().hex

    def job_folder(self, job: str) -> Path:
        """Return the folder of a job whose id came from the database."""
        return self.folder / "jobs" / job

    def upload_path(self, upload: str) -> Path:
        """Return the file of an upload whose id came from the database."""
        return self.folder / "uploads" / upload

    def check_space(self, needed: int) -> None:
        """Raise :class:`Failure` unless the disk can take so many more bytes."""
        free = shutil.disk_usage(self.folder).free
        if free - needed < self.free_bytes:
            message = "The disk of the server is too full for this."
            raise Failure(Code.INSUFFICIENT_STORAGE, message)

    def close(self) -> None:
        """Let go of the folder."""
        with self._mutex:
            for reader in list(self._readers):
                reader.sql.close()
            self._sql.close()
            self._lock.release()


def new_id() -> str:
    """Return an id that nobody can guess."""
    return str(uuid.uuid4())


def now() -> float:
    """Return the time in seconds since 1970."""
    return time.time()


class _Reader:
    """A connection of one thread, which ends with the thread."""

    def __init__(self, folder: Path) -> None:
        self.sql = _connect(folder)
        self.sql.execute("PRAGMA query_only = ON")

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self.sql.close()


class _Lock:
    """The locks of a data folder: ours, and the one that servers up to 0.1.0 look at."""

    def __init__(self, folder: Path) -> None:
        ours: BaseFileLock | None = None
        for name in LOCKS:
            make_private(folder / name)
        try:
            ours = locked(folder / LOCKS[0], seconds=0.2)
            self._old = sqlite3.connect(
                folder / LOCKS[1], timeout=0.2, isolation_level=None, check_same_thread=False
            )
            if ours is None or not _is_locked(self._old):
                self._old.close()
                message = f'Another server uses the data folder "{folder}".'
                raise DataInUseError(message, "Stop it, or choose another folder with --data.")
        except BaseException:
            if ours is not None:
                ours.release()
            raise
        self._ours = ours

    def release(self) -> None:
        self._old.close()
        self._ours.release()


def _is_locked(sql: sqlite3.Connection) -> bool:
    try:
        sql.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        return False
    return True


def _connect(folder: Path) -> sqlite3.Connection:
    path = folder / DATABASE
    make_private(path)
    sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    sql.execute("PRAGMA journal_mode = WAL")
    sql.execute("PRAGMA synchronous = FULL")
    sql.execute("PRAGMA foreign_keys = ON")
    return sql


def _open(folder: Path, recover: Recover | None) -> sqlite3.Connection:
    sql = _connect(folder)
    try:
        (version,) = sql.execute("PRAGMA user_version").fetchone()
        if not has_tables(sql):
            _make(sql, folder, recover)
        elif version != SCHEMA:
            message = f"it has version {version}, and this cellferry reads {SCHEMA}"
            raise sqlite3.DatabaseError(message)
    except BaseException:
        sql.close()
        raise
    return sql


def _make(sql: sqlite3.Connection, folder: Path, recover: Recover | None) -> None:
    """Make the tables and fill them, all or nothing: what is half known would be deleted."""
    cursor = sql.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    try:
        for statement in _TABLES.split(";"):
            cursor.execute(statement)
        if recover is not None:
            recover(folder, cursor)
        cursor.execute(f"PRAGMA user_version = {SCHEMA}")
    except BaseException:
        sql.rollback()
        raise
    sql.commit()
