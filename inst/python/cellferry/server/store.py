"""The data folder of a server: its lock, its SQLite database, its files.

::

    server.sqlite     what is known of uploads and jobs (write-ahead log)
    signing.key       what signed addresses are signed with
    lock              kept open by the one server that uses the folder
    uploads/<id>      the bytes of an upload
    jobs/<id>/        input.json, arrays.npz, run/, results.json of a job
    incoming/         bodies that are still arriving; emptied at every start
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataInUseError, OutputError
from ..files import locked
from .failures import Code, Failure

if TYPE_CHECKING:
    from filelock import BaseFileLock

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

    Raises
    ------
    DataInUseError
        Another server uses the folder.
    OutputError
        The folder cannot be written, or is of another version.
    """

    def __init__(self, folder: Path, free_bytes: int = 0) -> None:
        # The helpers that read uploads run in another folder.
        self.folder = folder = folder.absolute()
        self.free_bytes = free_bytes
        self._mutex = threading.RLock()
        try:
            for name in ("uploads", "jobs", "incoming"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            # Results and metadata of patients may be in it.
            folder.chmod(0o700)
            self._lock = _lock(folder)
        except OSError as error:
            message = f'The data folder "{folder}" cannot be written: {error.strerror}.'
            raise OutputError(message, "Choose another with --data.") from error
        try:
            self._sql = _open(folder)
        except sqlite3.DatabaseError as error:
            self._lock.release()
            message = f'The database of the data folder "{folder}" cannot be used: {error}.'
            raise OutputError(message, "Choose another folder with --data.") from error
        for left in (folder / "incoming").iterdir():
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
        """Give a cursor for queries."""
        with self._mutex:
            yield self._sql.cursor()

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
            self._sql.close()
            self._lock.release()


def new_id() -> str:
    """Return an id that nobody can guess."""
    return str(uuid.uuid4())


def is_id(text: str) -> bool:
    """Return whether a text has the form of our ids, and so can be no path."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def now() -> float:
    """Return the time in seconds since 1970."""
    return time.time()


def _lock(folder: Path) -> BaseFileLock:
    lock = locked(folder / "lock", seconds=0.2)
    if lock is None:
        message = f'Another server uses the data folder "{folder}".'
        raise DataInUseError(message, "Stop it, or choose another folder with --data.")
    return lock


def _open(folder: Path) -> sqlite3.Connection:
    sql = sqlite3.connect(folder / "server.sqlite", isolation_level=None, check_same_thread=False)
    sql.execute("PRAGMA journal_mode = WAL")
    sql.execute("PRAGMA synchronous = FULL")
    sql.execute("PRAGMA foreign_keys = ON")
    (version,) = sql.execute("PRAGMA user_version").fetchone()
    if version == 0:
        sql.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {SCHEMA};COMMIT;")
    elif version != SCHEMA:
        sql.close()
        message = f"it has version {version}, and this cellferry reads {SCHEMA}"
        raise sqlite3.DatabaseError(message)
    return sql
