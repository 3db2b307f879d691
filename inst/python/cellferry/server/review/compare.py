"""Two sets of cells of a review compared gene by gene: the test that markers are found with."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ...annotations.report.blocks import NOWHERE
from ...artifacts.marker_sums import MarkerSums
from ..comparing import Comparison, answer_of, contrast_of, figures_of, narrowed, sides_of
from ..failures import Code, Failure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...artifacts.vars_h5.reader import VarsFile
    from ...study.expression.source import Block
    from .page import ReviewPage

RUN_VALUES = 4_000_000
"""Values that are read at once."""


def compare(page: ReviewPage, asked: Comparison) -> dict[str, Any]:
    """Return the genes by which two sides differ most, tested; see :func:`~..comparing.answer_of`.

    Parameters
    ----------
    page
        Of the review, with expression.
    asked
        Two sets of cells.

    Raises
    ------
    Failure
        A side is none, both share cells, or one has fewer than three.
    """
    file = page.vars_file
    if file is None:
        message = "This object has no values of genes that could be compared."
        raise Failure(Code.NO_EXPRESSION, message)

    def cells_of_rows(rows: Sequence[int]) -> NDArray[np.bool_]:
        wanted = np.zeros(NOWHERE + 1, dtype=bool)
        wanted[list(rows)] = True
        return wanted[page.rows_of_cells]

    inside, outside = sides_of(asked, len(page.before), page.n_cells, cells_of_rows)
    measured = page.folder.measured()
    if measured is not None:
        inside, outside = inside[measured], outside[measured]
    base = float(page.folder.record()["log_base"])
    contrast, options = contrast_of(inside, outside, base)
    sums = MarkerSums(file.var_names, [contrast], options)
    _read(page, file, sums, inside | outside)
    return answer_of(figures_of(sums.table(["a"])), (int(inside.sum()), int(outside.sum())))


def _read(page: ReviewPage, file: VarsFile, sums: MarkerSums, members: NDArray[np.bool_]) -> None:
    """Read all genes into the sums; the next ones are read while some are summed."""

    def take(start: int, block: Block) -> None:
        sums.take(start, narrowed(block, members))

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
