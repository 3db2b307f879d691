"""How results look on a terminal, and the files that are written beside a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from ..annotations.clusters import Annotations
from ..annotations.printed import aligned

__all__ = [
    "EXIT_ERROR",
    "EXIT_FAILED_CLUSTERS",
    "EXIT_USAGE",
    "aligned",
    "output_paths",
    "print_files",
    "remember",
    "table",
    "write_all",
]

EXIT_ERROR, EXIT_USAGE, EXIT_FAILED_CLUSTERS = 1, 2, 3


def table(annotations: Annotations) -> str:
    """Return the printed columns of every row as aligned text."""
    return annotations.table()


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


def remember(folder: Path, written: Sequence[Path]) -> None:
    """Note the files in the record of the run, so that it may replace them later."""
    from ..runs.run import Run

    run = Run.open(folder)
    for path in written:
        run.wrote(path)


def write_all(writers: dict[Path, Callable[[Path], object]]) -> list[Path]:
    """Write each file under a temporary name and rename it, so that none is ever half there."""
    from ..errors import OutputError
    from ..files import replacing

    for path, write in writers.items():
        try:
            with replacing(path) as partial:
                write(partial)
        except OSError as error:
            message = f'The file "{path}" cannot be written: {error.strerror or error}.'
            raise OutputError(message, "Choose another place with --out.") from error
    return list(writers)
