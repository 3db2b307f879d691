"""``-`` for a marker table: what comes on standard input, as a file until the command ends."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

STANDARD_INPUT = Path("-")
_GZIP = b"\x1f\x8b"


def is_standard_input(path: Path | None) -> bool:
    """Whether this is ``-``."""
    return path == STANDARD_INPUT


@contextmanager
def with_standard_input(path: Path | None) -> Iterator[Path | None]:
    """Return a path as it is, or of ``-`` a file with all that comes on standard input.

    It is a file, so that it may be as large as files may, and R can read it.

    Raises
    ------
    click.UsageError
        Nothing comes: standard input is a terminal.
    """
    if path is None or not is_standard_input(path):
        yield path
        return
    if sys.stdin is None or sys.stdin.isatty():
        message = '"-" reads a marker table from standard input, and nothing comes there.'
        raise click.UsageError(message)
    with tempfile.TemporaryDirectory(prefix="cellferry-stdin-") as folder:
        stream = sys.stdin.buffer
        start = stream.read(len(_GZIP))
        file = Path(folder) / ("stdin.csv.gz" if start == _GZIP else "stdin.csv")
        with file.open("wb") as copy:
            copy.write(start)
            shutil.copyfileobj(stream, copy)
        yield file
