"""Two sets of cells compared gene by gene: the test that markers are found with."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from ...annotations.report.blocks import NOWHERE
from ...artifacts.marker_sums import MarkerSums
from ...errors import CellferryError, counted
from ...study.expression.blocks import sparse_view
from ...study.markers.contrasts import two_sets
from ...study.markers.rules import MarkerOptions
from ..bodies import Body
from ..failures import Code, Failure, fail
from .decide import MOST_MASK, cells_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...artifacts.vars_h5.reader import VarsFile
    from ...study.expression.source import Block
    from .page import ReviewPage

MOST_RANKED = 2000
"""Cells of each side that are ranked; of more as many are drawn."""
MOST_GENES = 200
RUN_VALUES = 4_000_000
"""Values that are read at once."""
LEAST_CELLS = 3


class Side(Body):
    """One side: rows, or cells by a bit mask, or all that are not on the other."""

    rows: Annotated[list[int], Field(max_length=100_000)] | None = None
    cells: Annotated[str, Field(max_length=MOST_MASK)] | None = None
    rest: bool | None = None


class Comparison(Body):
    """Two sides."""

    a: Side
    b: Side


def compare(page: ReviewPage, asked: Comparison) -> dict[str, Any]:
    """Return the genes by which two sides differ most, tested.

    Parameters
    ----------
    page
        Of the review, with expression.
    asked
        Two sets of cells.

    Returns
    -------
    dict
        ``genes`` (``gene``, ``lfc``, ``here``, ``elsewhere``, ``p``, ``p_adj``; by p, then by the
        size of the fold change), ``n_a``, ``n_b`` (cells with expression), ``note``.

    Raises
    ------
    Failure
        A side is none, both share cells, or one has fewer than three.
    """
    file = page.vars_file
    if file is None:
        message = "This object has no values of genes that could be compared."
        raise Failure(Code.NO_EXPRESSION, message)
    first = _side(page, asked.a, "a")
    if first is None:
        fail("`a` must name `rows` or `cells`.")
    second = _side(page, asked.b, "b")
    inside, outside = first, ~first if second is None else second
    measured = page.folder.measured()
    if measured is not None:
        inside, outside = inside[measured], outside[measured]
    sizes = int(inside.sum()), int(outside.sum())
    for name, n in zip("ab", sizes, strict=True):
        if n < LEAST_CELLS:
            fail(f"`{name}` has {counted(n, 'cell')}; a test needs {LEAST_CELLS} on each side.")
    most = MOST_RANKED if max(sizes) > MOST_RANKED else None
    base = float(page.folder.record()["log_base"])
    options = MarkerOptions(return_thresh=None, max_cells_per_ident=most, log_base=base).checked()
    try:
        contrast = two_sets(inside, outside, "a")
    except CellferryError as error:
        fail(f"{error.message} {error.hint}", error)
    sums = MarkerSums(file.var_names, [contrast], options)
    _read(page, file, sums, inside | outside)
    table = sums.table(["a"])
    order = np.lexsort((-np.abs(table.avg_log_fc), table.p_val))[:MOST_GENES]
    columns = {
        "lfc": table.avg_log_fc, "here": table.pct_1, "elsewhere": table.pct_2,
        "p": table.p_val, "p_adj": table.p_val_adj,
    }  # fmt: skip
    genes = [
        {"gene": str(table.gene[i]), **{n: float(values[i]) for n, values in columns.items()}}
        for i in order.tolist()
    ]
    return {"genes": genes, "n_a": sizes[0], "n_b": sizes[1], "note": _note(sizes)}


def _read(page: ReviewPage, file: VarsFile, sums: MarkerSums, members: NDArray[np.bool_]) -> None:
    """Read all genes into the sums; the next ones are read while some are summed."""
    some = not members.all()

    def take(start: int, block: Block) -> None:
        sums.take(start, _narrowed(block, members) if some else block)

    with ThreadPoolExecutor(1, thread_name_prefix="cellferry") as pool:
        before: Future[None] | None = None
        for start, stop in file.runs(RUN_VALUES):
            with page.reading:
                block = file.genes(start, stop)
            if before is not None:
                before.result()
            before = pool.submit(take, start, block)
        if before is not None:
            before.result()


def _narrowed(block: Block, members: NDArray[np.bool_]) -> Block:
    """Return a block with the values of some cells only; the others are zeros of no group."""
    kept = members[block.indices]
    pointers = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])[block.indptr]
    arrays = (block.data[kept], block.indices[kept], pointers)
    return sparse_view(arrays, (int(block.shape[0]), int(block.shape[1])), "genes")


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


def _side(page: ReviewPage, side: Side, name: str) -> NDArray[np.bool_] | None:
    """Return which cells are on a side; None for all that are not on the other."""
    given = [part is not None for part in (side.rows, side.cells)] + [bool(side.rest)]
    if sum(given) != 1:
        fail(f"`{name}` must have one of `rows`, `cells` and `rest`.")
    if side.rest:
        return None
    if side.cells is not None:
        found = np.zeros(page.n_cells, dtype=bool)
        found[cells_in(side.cells, page.n_cells, f"`{name}.cells`")] = True
        return found
    rows, n = side.rows or [], len(page.before)
    if any(not 0 <= row < n for row in rows):
        fail(f"`{name}.rows` must be from 0 to {n - 1}.")
    wanted = np.zeros(NOWHERE + 1, dtype=bool)
    wanted[rows] = True
    return wanted[page.rows_of_cells]
