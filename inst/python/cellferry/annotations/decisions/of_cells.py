"""Which decision about cells counts for each cell, for any number of decisions at once.

There may be as many decisions as cells: nothing here goes over all cells once per decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from .decision import Decision


def index_of(cells: Sequence[str]) -> pd.Index[Any]:
    """Return names of cells to look others up in, several times: see :func:`positions`."""
    import pandas as pd

    return pd.Index(list(cells), dtype="object")


def positions(wanted: Sequence[str], cells: Sequence[str] | pd.Index[Any]) -> NDArray[np.intp]:
    """Return the places of names among cells, -1 for those that are not there."""
    import pandas as pd

    own = cells if isinstance(cells, pd.Index) else index_of(cells)
    found: NDArray[np.intp] = own.get_indexer(index_of(wanted))
    return found


@dataclass(frozen=True, eq=False)
class Placed:
    """The cells of decisions among those of an object; decisions about clusters have none.

    Attributes
    ----------
    at
        Places of the cells of all decisions, one after the other, -1 for those that are not there.
    starts
        Decision i has ``at[starts[i]:starts[i + 1]]``, in the order of its cells.
    """

    at: NDArray[np.intp]
    starts: NDArray[np.intp]

    def of(self, number: int) -> NDArray[np.intp]:
        """Return the places of the cells of one decision."""
        return self.at[self.starts[number] : self.starts[number + 1]]


def placed(decisions: Sequence[Decision], cells: Sequence[str] | pd.Index[Any]) -> Placed:
    """Return where the cells of decisions are.

    Examples
    --------
    >>> from .decision import Decision
    >>> one = Decision("1", "unknown", "", "", cells=("c", "x"))
    >>> placed([one], ["a", "b", "c"]).of(0).tolist()
    [2, -1]
    """
    names = [name for d in decisions if d.of_cells for name in d.cells]
    starts = np.zeros(len(decisions) + 1, dtype=np.intp)
    np.cumsum([len(d.cells) if d.of_cells else 0 for d in decisions], out=starts[1:])
    at = positions(names, cells) if names else np.zeros(0, dtype=np.intp)
    return Placed(at, starts)


@dataclass(frozen=True, eq=False)
class Chosen:
    """Which decision counts for each cell.

    Attributes
    ----------
    decision
        Its number, -1 without one.
    place
        Which of the decision's cells it is.
    """

    decision: NDArray[np.intp]
    place: NDArray[np.intp]


def chosen_by_hand(decisions: Sequence[Decision], cells: Sequence[str]) -> Chosen:
    """Return for each cell the last decision about cells that has it.

    Parameters
    ----------
    decisions
        All, the oldest first. A withdrawal is one, and leaves a cell without.
    cells
        Names.
    """
    chosen, place = np.full((2, len(cells)), -1, dtype=np.intp)
    if any(d.of_cells for d in decisions):
        where = placed(decisions, cells)
        lengths = np.diff(where.starts)
        numbers = np.repeat(np.arange(len(decisions)), lengths)
        within = np.arange(len(where.at)) - np.repeat(where.starts[:-1], lengths)
        withdrawn = np.array([d.action == "withdrawn" for d in decisions])
        there = where.at >= 0
        # Of several values for one cell numpy keeps the last one, which is the last decision.
        chosen[where.at[there]] = np.where(withdrawn[numbers], -1, numbers)[there]
        place[where.at[there]] = within[there]
    return Chosen(chosen, place)


def by_hand(decisions: Sequence[Decision], cells: Sequence[str]) -> NDArray[np.intp]:
    """Return for each cell the number of the last decision about cells that has it, else -1."""
    return chosen_by_hand(decisions, cells).decision
