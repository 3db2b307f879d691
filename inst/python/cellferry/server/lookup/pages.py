"""What the page of a job shows of its artifacts. Runs in the helper process only."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ...annotations.report.blocks import (
    codes_block,
    column_of,
    coordinates_block,
    embedding_entry,
    gene_block,
)
from ...study.markers.wilcoxon import Groups, group_sums
from ..failures import Code, Failure
from . import obs_duckdb, vars_h5
from .queries import check_same_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...annotations.report.blocks import Column

MOST_COLUMNS = 200
"""Columns of metadata that a page offers."""
MOST_VALUES = 20_000_000
"""Values of one call for sums: a call has a time limit."""
OURS = "__"
"""What the names of columns begin with that are none of the metadata."""


class CellsIndex(TypedDict):
    """Cells and columns, as the index of the page has them."""

    n: int
    embeddings: list[dict[str, Any]]
    columns: list[dict[str, Any]]
    sizes: list[int]


class GenesIndex(TypedDict):
    """Names of the genes, and how many there are."""

    names: list[str]


class Sums(TypedDict):
    """Of a run of genes: cells with a value and sums, genes x labels, and where it ends."""

    stop: int
    positive: str
    sums: str


def page_cells(
    obs_path: str, vars_path: str | None, column: str, labels: Sequence[str]
) -> CellsIndex:
    """Return what the page's index has of the cells.

    Parameters
    ----------
    obs_path, vars_path
        The artifacts; vars.h5 must be of the same cells.
    column, labels
        Where the clusters are, and the values of the rows.
    """
    database = obs_duckdb.opened(obs_path)
    if vars_path is not None:
        check_same_cells(vars_h5.opened(vars_path), database)
    found = _coordinates(database)
    columns = (_column(database, name) for name in _columns(database))
    codes = database.codes(column, labels)
    sizes = np.bincount(codes[codes >= 0], minlength=len(labels))
    return {
        "n": database.n_cells,
        "embeddings": [] if found is None else [embedding_entry(*found)],
        "columns": [column.entry() for column in columns if column is not None],
        "sizes": sizes.tolist(),
    }


def page_genes(vars_path: str) -> GenesIndex:
    """Return the names of all genes: symbols where the file says which they are."""
    return {"names": vars_h5.opened(vars_path).names}


def page_block(  # noqa: PLR0917 - a helper gets them by name
    obs_path: str, vars_path: str | None, column: str, labels: Sequence[str], kind: str, number: int
) -> str:
    """Return a block in base64.

    Parameters
    ----------
    obs_path, vars_path, column, labels
        As in :func:`page_cells`.
    kind, number
        ``coordinates``, ``clusters``, ``column`` or ``gene``, and which of them.

    Raises
    ------
    Failure
        There is no such block.
    """
    database = obs_duckdb.opened(obs_path)
    if kind == "gene" and vars_path is not None:
        matrix = vars_h5.opened(vars_path)
        check_same_cells(matrix, database)
        if number >= matrix.n_genes:
            raise _missing()
        cells, values = matrix.column(number)
        return _packed(gene_block(cells, values, matrix.n_cells))
    if kind == "clusters":
        return _packed(codes_block(database.codes(column, labels)))
    if kind == "coordinates" and number == 0:
        found = _coordinates(database)
        if found is not None:
            return _packed(coordinates_block(found[1]))
    if kind == "column":
        names = [n for n in _columns(database) if _column(database, n) is not None]
        if number < len(names):
            made = _column(database, names[number])
            assert made is not None
            return _packed(made.block())
    raise _missing()


def page_sums(
    obs_path: str, vars_path: str, column: str, labels: Sequence[str], start: int
) -> Sums:
    """Return the figures of the genes from ``start`` on, as many as one call can have.

    Parameters
    ----------
    obs_path, vars_path, column, labels
        As in :func:`page_cells`.
    start
        Position of the first gene.
    """
    matrix, database = vars_h5.opened(vars_path), obs_duckdb.opened(obs_path)
    check_same_cells(matrix, database)
    codes, n = database.codes(column, labels), len(labels)
    groups = Groups(np.where(codes < 0, n, codes).astype(np.int32), n)
    stop, block = matrix.run(start, MOST_VALUES)
    with np.errstate(over="ignore", invalid="ignore"):
        found = group_sums(block, groups, scale=1.0, ranks=False)
    return {
        "stop": stop,
        "positive": _packed(found.positive[:, :n].astype("<i8").tobytes()),
        "sums": _packed(np.nan_to_num(found.sums[:, :n]).astype("<f8").tobytes()),
    }


def _coordinates(database: obs_duckdb.ObsFile) -> tuple[str, NDArray[np.float64]] | None:
    """Return name and n x 2 coordinates, NaN where a cell has none; None without an embedding."""
    found = database.coordinates(1)
    if found is None:
        return None
    name, _, x, y = found
    both = [np.ma.filled(v.astype(np.float64), np.nan) for v in (x, y)]
    return name, np.column_stack(both)


def _columns(database: obs_duckdb.ObsFile) -> list[str]:
    return [name for name in database.columns if not name.startswith(OURS)][:MOST_COLUMNS]


def _column(database: obs_duckdb.ObsFile, name: str) -> Column | None:
    frame = database.sql.execute(
        f"SELECT {database.column(name)} FROM {obs_duckdb.TABLE} ORDER BY rowid"
    ).fetchdf()
    return column_of(name, frame.iloc[:, 0])


def _packed(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _missing() -> Failure:
    return Failure(Code.NOT_FOUND, "This job does not have it.")
