"""Which folder is a data folder of ours, what is in it, and what may be removed from it.

A folder that somebody names by mistake must stay as it is. So a folder that is not empty is
taken only if a server of ours made it, no link in it is followed, and only what has a name of
our making is ever removed. What has one and cannot be understood is set aside instead.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import OutputError
from ..files import PRIVATE, write_json

MARKER = "cellferry-server.json"
SCHEMA = "cellferry.server/1"
DATABASE = "server.sqlite"
KEY = "signing.key"
LOCKS = ("lock", "lock.sqlite")
FOLDERS = ("uploads", "jobs", "incoming")
ASIDE = "set-aside"
"""Where things go that a server does not understand and that may be of use to people."""

PRIVATE_FOLDER = 0o700
_OURS = frozenset({MARKER, DATABASE, KEY, *LOCKS, *FOLDERS, ASIDE})
_OF_SQLITE = ("-wal", "-shm", "-journal")
_OF_SYSTEMS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "lost+found"})
_TABLES = frozenset({"uploads", "chunks", "jobs", "clusters", "job_uploads"})


def prepare(folder: Path) -> None:
    """Make a data folder, or make sure that one that is there is ours.

    The permissions of a folder that was there stay; what is made in it is its owner's alone.

    Raises
    ------
    OutputError
        It is not ours, or has a link in a place of ours.
    OSError
        It cannot be read or written.
    """
    try:
        folder.mkdir(parents=True, mode=PRIVATE_FOLDER)
    except FileExistsError:
        _check_ours(folder)
    for name in FOLDERS:
        (folder / name).mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    if not (folder / MARKER).exists():
        write_json(folder / MARKER, {"schema": SCHEMA}, mode=PRIVATE)


def make_private(path: Path) -> None:
    """Make an empty file that is its owner's alone, if there is none."""
    if not path.exists():
        # Not opened otherwise: to close a file again frees the locks of SQLite on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE))


def is_id(text: str) -> bool:
    """Return whether a text has the form of our ids, and so can be no path."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def own_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that have an id for a name; no link is one."""
    return _own(folder, stat.S_ISREG)


def own_folders(folder: Path) -> Iterator[Path]:
    """Yield the folders of a folder that have an id for a name; no link is one."""
    return _own(folder, stat.S_ISDIR)


def set_aside(path: Path, folder: Path) -> Path:
    """Move something out of the server's way and return where it is.

    Parameters
    ----------
    path
        In a folder of the data folder.
    folder
        The data folder.
    """
    target = folder / ASIDE / path.parent.name
    target.mkdir(parents=True, mode=PRIVATE_FOLDER, exist_ok=True)
    moved = target / path.name
    if moved.exists():
        moved = target / f"{path.name}-{uuid.uuid4().hex[:8]}"
    path.rename(moved)
    return moved


def has_tables(sql: sqlite3.Connection) -> bool:
    """Return whether a database has our tables.

    Raises
    ------
    sqlite3.DatabaseError
        It is no database, or one of others.
    """
    rows = sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    names = {row[0] for row in rows if not row[0].startswith("sqlite_")}
    if names and not names >= _TABLES:
        message = "it has the tables of another program"
        raise sqlite3.DatabaseError(message)
    return bool(names)


def _own(folder: Path, is_kind: Callable[[int], bool]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if is_id(path.name) and is_kind(path.lstat().st_mode):
            yield path


def _check_ours(folder: Path) -> None:
    names = set(os.listdir(folder))  # noqa: PTH208 - raises what is to be said of a file
    linked = sorted(n for n in names & _OURS if (folder / n).is_symlink())
    if linked:
        message = f'"{linked[0]}" in the data folder "{folder}" is a link, and none is followed.'
        hint = "Put the whole folder where it should be, and name that place with --data."
        raise OutputError(message, hint)
    if not _is_ours(folder, {n for n in names if not _is_of_no_account(n)}):
        message = (
            f'The folder "{folder}" is not empty and no data folder of a cellferry server. '
            "Nothing in it was changed."
        )
        raise OutputError(message, "Choose an empty or a new folder with --data.")


def _is_ours(folder: Path, names: set[str]) -> bool:
    if not names:
        return True
    if MARKER in names:
        return _is_marker(folder / MARKER)
    if DATABASE in names and _is_our_database(folder / DATABASE):
        return True
    # Servers up to 0.1.0 wrote no marker, and the database may be lost.
    if KEY in names and names & {*LOCKS} and (folder / KEY).stat().st_size == 32:
        return True
    # The first start of a server that was killed on its way.
    parts = [folder / name for name in names & {*FOLDERS}]
    return (
        all(_base(name) in _OURS for name in names)
        and bool(names & {*LOCKS})
        and not any(any(path.iterdir()) for path in parts)
    )


def _base(name: str) -> str:
    return next((name.removesuffix(s) for s in _OF_SQLITE if name.endswith(s)), name)


def _is_of_no_account(name: str) -> bool:
    """Whether an entry was left by the system, or by a server that was killed at its start."""
    partial = name.startswith(f".{Path(MARKER).stem}.") and name.endswith(".partial.json")
    return name in _OF_SYSTEMS or name.startswith("._") or partial


def _is_marker(path: Path) -> bool:
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(content, dict) and str(content.get("schema")).startswith("cellferry.server/")


def _is_our_database(path: Path) -> bool:
    # Looked at in a copy: SQLite would make files beside one that may not be ours.
    if not path.is_file():
        return False
    with tempfile.TemporaryDirectory() as copy:
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).is_file():
                shutil.copyfile(path.with_name(name), Path(copy, name))
        sql = sqlite3.connect(Path(copy, path.name))
        try:
            return has_tables(sql)
        except sqlite3.DatabaseError:
            return False
        finally:
            sql.close()
