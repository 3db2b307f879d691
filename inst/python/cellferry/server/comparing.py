"""Two sets of cells compared gene by gene: what a page asks, and the test that answers it.

The values come from the folder of a review (``review/compare.py``), or run by run from a helper
that reads files of clients (``lookup/comparing.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from ..annotations.decisions.decision import cells_of_mask
from ..errors import CellferryError, counted
from ..study.expression.blocks import sparse_view
from ..study.markers.contrasts import two_sets
from ..study.markers.rules import MarkerOptions
from .bodies import Body
from .failures import fail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..study.expression.source import Block
    from ..study.markers.contrasts import Contrast
    from ..study.markers.tested import MarkerTable

MOST_MASK = 64 * 1024**2
MOST_RANKED = 2000
"""Cells of each side that are ranked; of more as many are drawn."""
MOST_GENES = 200
LEAST_CELLS = 3
COLUMNS = {
    "lfc": "avg_log_fc", "here": "pct_1", "elsewhere": "pct_2", "p": "p_val", "p_adj": "p_val_adj",
}  # fmt: skip
"""What a page calls the columns of a table of markers."""

RowsToCells = Callable[[Sequence[int]], "NDArray[np.bool_]"]


class Side(Body):
    """One side: rows, or cells by a bit mask, or all that are not on the other."""

    rows: Annotated[list[int], Field(max_length=100_000)] | None = None
    cells: Annotated[str, Field(max_length=MOST_MASK)] | None = None
    rest: bool | None = None


class Comparison(Body):
    """Two sides."""

    a: Side
    b: Side


def cells_in(mask: str, n_cells: int, where: str) -> NDArray[np.intp]:
    """Return the positions of the cells of a bit mask.

    Parameters
    ----------
    mask
        In base64; the lowest bit of the first byte is the first cell.
    n_cells
        Cells of the object.
    where
        What it is called in a message.

    Raises
    ------
    Failure
        It is no mask of so many cells.

    Examples
    --------
    >>> cells_in("BQ==", 3, "cells").tolist()
    [0, 2]
    """
    try:
        return cells_of_mask(mask, n_cells)
    except ValueError as error:
        fail(f"{where} {error}.", error)


def sides_of(
    asked: Comparison, n_rows: int, n_cells: int, cells_of_rows: RowsToCells
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which cells are on each side.

    Parameters
    ----------
    asked
        Two sides.
    n_rows, n_cells
        Of the page.
    cells_of_rows
        Rows -> which cells they have.

    Raises
    ------
    Failure
        A side is none, or names what is not there.
    """
    first = _side(asked.a, "a", n_rows, n_cells, cells_of_rows)
    if first is None:
        fail("`a` must name `rows` or `cells`.")
    second = _side(asked.b, "b", n_rows, n_cells, cells_of_rows)
    return first, ~first if second is None else second


def _side(
    side: Side, name: str, n_rows: int, n_cells: int, cells_of_rows: RowsToCells
) -> NDArray[np.bool_] | None:
    """Return which cells are on a side; None for all that are not on the other."""
    given = [part is not None for part in (side.rows, side.cells)] + [bool(side.rest)]
    if sum(given) != 1:
        fail(f"`{name}` must have one of `rows`, `cells` and `rest`.")
    if side.rest:
        return None
    if side.cells is not None:
        found = np.zeros(n_cells, dtype=bool)
        found[cells_in(side.cells, n_cells, f"`{name}.cells`")] = True
        return found
    rows = side.rows or []
    if any(not 0 <= row < n_rows for row in rows):
        fail(f"`{name}.rows` must be from 0 to {n_rows - 1}.")
    return cells_of_rows(rows)


def contrast_of(
    inside: NDArray[np.bool_], outside: NDArray[np.bool_], log_base: float
) -> tuple[Contrast, MarkerOptions]:
    """Return the contrast of two sets of cells and how it is tested; the same at every call.

    Parameters
    ----------
    inside, outside
        One value per cell.
    log_base
        Of the values.

    Raises
    ------
    Failure
        Both share cells, or one has fewer than three.
    """
    sizes = int(inside.sum()), int(outside.sum())
    for name, n in zip("ab", sizes, strict=True):
        if n < LEAST_CELLS:
            fail(f"`{name}` has {counted(n, 'cell')}; a test needs {LEAST_CELLS} on each side.")
    most = MOST_RANKED if max(sizes) > MOST_RANKED else None
    options = MarkerOptions(
        return_thresh=None, max_cells_per_ident=most, log_base=log_base
    ).checked()  # fmt: skip
    try:
        return two_sets(inside, outside, "a"), options
    except CellferryError as error:
        fail(f"{error.message} {error.hint}", error)


def narrowed(block: Block, members: NDArray[np.bool_]) -> Block:
    """Return a block with the values of some cells only; the others are zeros of no group."""
    if bool(members.all()):
        return block
    kept = members[block.indices]
    pointers = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])[block.indptr]
    arrays = (block.data[kept], block.indices[kept], pointers)
    return sparse_view(arrays, (int(block.shape[0]), int(block.shape[1])), "genes")


def figures_of(table: MarkerTable) -> dict[str, list[Any]]:
    """Return the columns of a table under the names of a page, and ``gene``."""
    figures = {name: getattr(table, column).tolist() for name, column in COLUMNS.items()}
    return {"gene": [str(gene) for gene in table.gene], **figures}


def answer_of(figures: dict[str, list[Any]], sizes: tuple[int, int]) -> dict[str, Any]:
    """Return what a page shows of two sets of cells.

    Parameters
    ----------
    figures
        As :func:`figures_of` makes them, of all genes.
    sizes
        Cells of both sides that have expression.

    Returns
    -------
    dict
        ``genes`` (``gene``, ``lfc``, ``here``, ``elsewhere``, ``p``, ``p_adj``; by p, then by the
        size of the fold change), ``n_a``, ``n_b``, ``note``.
    """
    order = np.lexsort((-np.abs(np.array(figures["lfc"], float)), np.array(figures["p"], float)))
    genes = [{n: values[i] for n, values in figures.items()} for i in order[:MOST_GENES].tolist()]
    return {"genes": genes, "n_a": sizes[0], "n_b": sizes[1], "note": _note(sizes)}


def _note(sizes: tuple[int, int]) -> str:
    drawn = [n for n in sizes if n > MOST_RANKED]
    if not drawn:
        return "Wilcoxon rank sum test of all cells."
    ranked = " and ".join(
        f"{MOST_RANKED:,} of {n:,}" if n > MOST_RANKED else f"all {n:,}" for n in sizes
    )
    return (
        f"Wilcoxon rank sum test of {ranked} cells, drawn at random; fold changes and shares are "
        "of all."
    )
