"""The decisions of a run: one line each, beside its journal, kept for ever.

They have a lock of their own for each line, so that a person can decide while the run works.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import OutputError, RunNotFoundError
from ..files import PRIVATE, Json, locked
from .decided import DECISIONS
from .places import home
from .run import Run

LOCK_SECONDS = 10.0


def decisions_file(run: str) -> Path:
    """Return where the decisions of a run are, or will be.

    Where the folder of the run is gone it is a folder of that id in the user's data folder.

    Parameters
    ----------
    run
        Id of the run, or its folder.
    """
    try:
        return Run.open(run).folder / DECISIONS
    except RunNotFoundError:
        return home() / "runs" / Path(run).name / DECISIONS


def append_decisions(run: str, decisions: Sequence[Mapping[str, Json]]) -> Path:
    """Add decisions to those of a run, and return the file.

    Parameters
    ----------
    run
        Id of the run.
    decisions
        As plain data.

    Raises
    ------
    OutputError
        They cannot be written.
    """
    path = decisions_file(run)
    append_to(path, decisions)
    return path


def append_to(path: Path, decisions: Sequence[Mapping[str, Json]]) -> None:
    """Add decisions to a file, all or none; whoever adds at the same time waits.

    Parameters
    ----------
    path
        The file.
    decisions
        As plain data.

    Raises
    ------
    OutputError
        They cannot be written.
    """
    lines = "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in decisions)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = locked(path.with_name(f".{DECISIONS}.lock"), seconds=LOCK_SECONDS)
        if lock is None:
            message = f'Another process has been writing "{path}" for {LOCK_SECONDS:.0f} s.'
            raise OutputError(message, "Try again.")
        try:
            _append(path, lines.encode("utf-8", "backslashreplace"))
        finally:
            lock.release()
    except OSError as error:
        message = f'The decisions cannot be written to "{path}": {error.strerror or error}.'
        raise OutputError(message, "Make room, or have the folder made writable.") from error


def _append(path: Path, content: bytes) -> None:
    """Add lines whole or not at all; half a line of a process that was killed is closed."""
    binary = getattr(os, "O_BINARY", 0)  # Windows would write two bytes for the end of a line
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | binary, PRIVATE)
    try:
        size = os.fstat(descriptor).st_size
        if size:
            # Not pread(), which Windows lacks; what is written goes to the end in any case.
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            if os.read(descriptor, 1) != b"\n":
                content = b"\n" + content
        written = os.write(descriptor, content)
        if written != len(content):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
