"""Two sets of cells of a job compared, run by run of genes. Runs in the helper process only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ...artifacts.marker_sums import MarkerSums
from ..comparing import Comparison, contrast_of, figures_of, narrowed, sides_of
from . import obs_duckdb, vars_h5
from .queries import check_same_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_VALUES = 10_000_000
"""Values of one call: a call has a time limit."""


class Tested(TypedDict):
    """Figures of a run of genes, cells of both sides, and where the run ends."""

    stop: int
    n_genes: int
    sizes: list[int]
    figures: dict[str, list[Any]]


def page_compare(  # noqa: PLR0917 - a helper gets them by name
    obs_path: str,
    vars_path: str,
    column: str,
    labels: Sequence[str],
    asked: dict[str, Any],
    start: int,
) -> Tested:
    """Return the test of the genes from ``start`` on, as many as one call can have.

    Parameters
    ----------
    obs_path, vars_path, column, labels
        As in :func:`~.pages.page_cells`.
    asked
        A :class:`~..comparing.Comparison`, checked.
    start
        Position of the first gene.

    Raises
    ------
    Failure
        A side is none, both share cells, or one has fewer than three.
    """
    matrix, database = vars_h5.opened(vars_path), obs_duckdb.opened(obs_path)
    check_same_cells(matrix, database)

    def cells_of_rows(rows: Sequence[int]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.isin(database.codes(column, labels), list(rows))
        return found

    sides = Comparison.model_validate(asked)
    inside, outside = sides_of(sides, len(labels), matrix.n_cells, cells_of_rows)
    contrast, options = contrast_of(inside, outside, math.e)
    stop, block = matrix.run(start, MOST_VALUES)
    sums = MarkerSums(matrix.names[start:stop], [contrast], options)
    with np.errstate(over="ignore", invalid="ignore"):
        sums.take(0, narrowed(block, inside | outside))
        table = sums.table(["a"])
    sizes = [int(inside.sum()), int(outside.sum())]
    return {"stop": stop, "n_genes": matrix.n_genes, "sizes": sizes, "figures": figures_of(table)}
