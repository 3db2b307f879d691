"""What the command line can be given: whatever :mod:`cellferry.annotate.files` reads, and .rds.

``-`` is a marker table that comes on standard input, as a file until the command ends.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..annotate.files import Input
    from ..annotate.request import AnnotateRequest
    from ..annotate.verb import OnEvent
    from ..study.inputs.several import Where
    from .console import Console

STANDARD_INPUT = Path("-")


def place_given(_context: click.Context, _parameter: click.Parameter, given: Sequence[Path]) -> Any:
    """Return the path that was given, or several, which are read as one object."""
    from ..study.inputs.several import place_of

    if len(given) > 1 and STANDARD_INPUT in given:
        message = '"-" is a marker table, and no file among several.'
        raise click.BadParameter(message)
    return place_of(given) if len(given) > 1 else given[0]


_GZIP = b"\x1f\x8b"


def let_r_read(path: object) -> bool:
    """Let the verbs read an .rds, if this is one: by the bridge, which is imported only then.

    Returns whether it is one.

    Parameters
    ----------
    path
        Of any file or folder, or what names several.
    """
    from ..study.inputs.readers import give_readers, path_of_r

    if path_of_r(path) is None:
        return False
    from ..bridge.rds.readers import READERS

    give_readers(READERS)
    return True


def opened_input(
    request: AnnotateRequest, console: Console | None = None
) -> AbstractContextManager[Input]:
    """Read the study of the file of a request, and keep its object until the block ends.

    Parameters
    ----------
    request
        Its ``data`` is the path of the file or folder.
    console
        Where the progress of a search for markers is shown; None shows none.
    """
    from ..annotate import files

    def open_of_r(
        request: AnnotateRequest, finding: files.Finding
    ) -> AbstractContextManager[Input]:
        from ..bridge.rds import open_rds

        return open_rds(request, finding)

    def finding() -> AbstractContextManager[OnEvent | None]:
        from ..runs.progress import progress_events

        if console is None:
            return nullcontext()
        return progress_events(show=not console.quiet, title="Finding markers", line=console.note)

    return files.opened_input(request, open_of_r, finding=finding)


def is_standard_input(path: object) -> bool:
    """Whether this is ``-``."""
    return path == STANDARD_INPUT


@contextmanager
def with_standard_input(path: Where | None) -> Iterator[Any]:
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
