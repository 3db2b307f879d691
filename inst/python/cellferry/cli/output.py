"""How results look on a terminal, and the files that are written beside a name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from ..annotations.clusters import PRINTED, Annotations

EXIT_ERROR, EXIT_USAGE, EXIT_FAILED_CLUSTERS = 1, 2, 3


_ARGUMENTS = re.compile(
    r"`?\b(cluster_column|gene_column|group_key|markers|study_context|allow_upload|overwrite)"
    r"(?:=True\b|=(?=[\s.,;:)]|$)|`)"
)
"""Arguments of Python that have an option of the same name, as messages write them."""


def in_its_words(text: str) -> str:
    """Return a message with the options of the command line for the arguments of Python.

    Parameters
    ----------
    text
        A message or a hint.

    Examples
    --------
    >>> in_its_words("Name it by cluster_column=, or pass overwrite=True.")
    'Name it by --cluster-column, or pass --overwrite.'
    """
    return _ARGUMENTS.sub(lambda found: "--" + found[1].replace("_", "-"), text)


def table(annotations: Annotations) -> str:
    """Return the five printed columns as aligned text.

    Examples
    --------
    >>> from cellferry.annotations.clusters import Annotation
    >>> print(table(Annotations((Annotation("0", "ok", n_cells=3, label="B cell"),))))
    cluster  n_cells  label   confidence  status
    0              3  B cell              ok
    """
    rows = [[_shown(getattr(row, name)) for name in PRINTED] for row in annotations]
    return aligned(PRINTED, rows, right=("n_cells", "confidence"))


def aligned(names: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Return rows of text in columns, two spaces apart.

    Parameters
    ----------
    names
        Of the columns.
    rows
        One text per column.
    right
        Columns that are aligned to the right.
    """
    # Not a rich table: it takes 200 times as long, and cuts lines to the width of a terminal.
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (
            " " * (width - cell_len(cell)) + cell
            if name in right
            else cell + " " * (width - cell_len(cell))
            for cell, width, name in zip(cells, widths, names, strict=True)
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(names), *map(line, rows)])


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)


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
