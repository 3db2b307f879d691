"""How results look on a terminal, and the files that are written beside a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..annotations.clusters import Annotations
from ..annotations.printed import aligned

__all__ = [
    "EXIT_ERROR",
    "EXIT_FAILED_CLUSTERS",
    "EXIT_USAGE",
    "aligned",
    "in_bytes",
    "output_paths",
    "print_files",
    "table",
    "write_all",
]

if TYPE_CHECKING:
    from ..runs.run import Run

EXIT_ERROR, EXIT_USAGE, EXIT_FAILED_CLUSTERS = 1, 2, 3


def table(annotations: Annotations) -> str:
    """Return the printed columns of every row as aligned text."""
    return annotations.table()


def in_bytes(n: int) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> in_bytes(812), in_bytes(48_200), in_bytes(3_100_000)
    ('812 B', '48.2 kB', '3.1 MB')
    """
    size, unit = float(n), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{n} B" if unit == "B" else f"{size:.1f} {unit}"


def output_paths(name: Path, suffix: str | None = ".h5ad") -> dict[str, Path]:
    """Return the files of one annotation by kind; the name is used exactly as given.

    ``suffix`` is that of the labelled object; None where there is no object, and no cells.
    """
    suffixes = {
        "table": "_annotations.csv",
        "record": "_annotations.json",
        "report": "_report.html",
    }
    if suffix is not None:
        suffixes |= {"cells": "_cells.csv", "object": suffix}
    return {kind: name.with_name(name.name + end) for kind, end in suffixes.items()}


def print_files(files: Sequence[Path]) -> None:
    """Print where the files are."""
    for path in files:
        click.echo(f"wrote {path}")


def write_all(writers: dict[Path, Callable[[Path], object]], run: Run | None = None) -> list[Path]:
    """Write each file under a temporary name and rename it, so that none is ever half there.

    Parameters
    ----------
    writers
        File -> what writes it, given the temporary path.
    run
        Whose files they are: it may replace them later. None is nobody's.

    Raises
    ------
    OutputError
        A file cannot be written. Those before it are there, and the answers are kept.
    """
    from ..errors import OutputError
    from ..files import replacing

    for path, write in writers.items():
        try:
            if run is None:
                with replacing(path) as partial:
                    write(partial)
            else:
                run.write(path, write)
        except OSError as error:
            message = f'The file "{path}" cannot be written: {error.strerror or error}.'
            raise OutputError(message, "Choose another place with --out.") from error
        except OutputError as error:
            if run is not None:
                again = f"cellferry runs resume {run.id}"
                error.hint = f"All answers are kept. Make room, then: {again}"
            raise
    if run is not None:
        run.save()
    return list(writers)
