"""How much was seen: how unlikely a cluster has as many markers of a type by chance.

The best genes of the cluster that are markers of anything are compared with the markers of the
type and of all that it is a kind of, by the hypergeometric tail. It does not look at strengths and
weights, by which a type was found: among a hundred types some have two strong genes in any list of
marker genes, but few have more of them than such a list has of each.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from ..score import SUPPORT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..hierarchy import Hierarchy
    from ..score import Signal

BEST_GENES = 50
"""Markers of a cluster that are looked at, by strength; all that tie at the end are in."""
FEWEST_GENES = 1000
"""Markers among which chance has its choice, if a table of types or a panel has fewer."""
MANY_GENES = 200
"""Markers that are looked at besides: those of a fifth of the cells are all weak."""
WEAK = 0.05
"""Strength from which they count."""
SECOND_LOOK = 0.5
"""What the second number of genes that is looked at costs."""
LEAST_LEFT = 3
"""Markers without which there is no second lineage."""
SHARED = 12.0
"""Surprise that a second lineage needs besides, if the first lists all of its markers."""
ASKED = 12
"""How many types are compared by the exact probability."""


def raised_markers(strength: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the best raised genes of a cluster among those that are markers of something."""
    return np.flatnonzero(_best(strength, SUPPORT, BEST_GENES))


def _best(strength: NDArray[np.float64], least: float, most: int) -> NDArray[np.bool_]:
    """Return which genes are raised and among the best, with all that tie at the end."""
    raised = strength >= least
    if raised.sum() > most:
        raised &= strength >= np.sort(strength[raised])[-most]
    return raised


def surprise(hierarchy: Hierarchy, signal: Signal, i: int, *, subtypes: bool = True) -> float:
    """Return -log10 of the probability that as many markers of a type are raised by chance.

    Parameters
    ----------
    subtypes
        Count the markers of its subtypes as well, if that is more of a surprise.
    """
    found = _surprise(hierarchy, signal.strength, hierarchy.marks[i], signal.measured)
    if subtypes:
        below = _surprise(hierarchy, signal.strength, hierarchy.marks_below[i], signal.measured)
        found = max(found, below)
    return found


def explained(hierarchy: Hierarchy, signal: Signal, i: int) -> float:
    """Return the part of the best markers of a cluster that a type or its subtypes list, 0 to 1."""
    which = signal.measured & (hierarchy.counted | hierarchy.marks_below[i])
    best = raised_markers(np.where(which, signal.strength, 0.0))
    return float(hierarchy.marks_below[i][best].mean()) if len(best) else 0.0


def most_unexplained(
    hierarchy: Hierarchy,
    signal: Signal,
    explained: NDArray[np.bool_],
    others: NDArray[np.bool_],
    *,
    weak: bool,
) -> tuple[float, int | None]:
    """Return the type that is the largest surprise in what is not explained.

    Parameters
    ----------
    explained
        Per gene, whether it counts for nothing. A type that lists some of them has less left to be
        known by, and needs more of it: :data:`SHARED` times the part that is gone is taken away.
    others
        Per type, whether it is asked about.
    weak
        Whether weak genes count, and many of them.
    """
    least, most_genes, cost = (WEAK, MANY_GENES, SHARED) if weak else (SUPPORT, BEST_GENES, 0.0)
    free = signal.measured & ~explained & hierarchy.counted
    raised = _best(np.where(free, signal.strength, 0.0), least, most_genes)
    total, drawn = max(int(free.sum()), FEWEST_GENES), int(raised.sum())
    rows = np.flatnonzero(others)
    found, known = (hierarchy.mark_weights.count(genes)[rows] for genes in (raised, free))
    asked = np.flatnonzero(found >= LEAST_LEFT)
    if not len(asked):
        return 0.0, None
    usual = known[asked] * drawn / total
    asked = asked[np.argsort(-(found[asked] - usual) / np.sqrt(usual + 0.1), kind="stable")]
    most: tuple[float, int | None] = (0.0, None)
    for k in asked[:ASKED]:
        marks = hierarchy.marks[rows[k]]
        shared = float((marks & explained).sum() / max(marks.sum(), 1))
        seen = -tail(int(found[k]), int(known[k]), drawn, total) - cost * shared
        if seen > most[0]:
            most = (seen, int(rows[k]))
    return most


def _surprise(
    hierarchy: Hierarchy,
    strength: NDArray[np.float64],
    marks: NDArray[np.bool_],
    which: NDArray[np.bool_],
) -> float:
    # What a user adds is no choice that chance had for the packaged types.
    which = which & (hierarchy.counted | marks)
    strength, known = np.where(which, strength, 0.0), marks & which
    # A small table, or a panel, does not make the choice smaller.
    total, listed = max(int(which.sum()), FEWEST_GENES), int(known.sum())
    best = raised_markers(strength)
    seen = -tail(int(known[best].sum()), listed, len(best), total)
    if int((strength >= WEAK).sum()) <= BEST_GENES:
        return seen
    # Where thousands are raised (cell lines), markers of the type are not all among the best.
    more = np.flatnonzero(_best(strength, WEAK, MANY_GENES))
    return max(seen, -tail(int(known[more].sum()), listed, len(more), total) - SECOND_LOOK)


def tail(shared: int, listed: int, drawn: int, total: int) -> float:
    """Return log10 P(X >= shared): ``drawn`` genes of ``total``, of which ``listed`` count."""
    if shared <= max(0, drawn + listed - total):
        return 0.0
    k = np.arange(shared, min(listed, drawn) + 1)
    ways = _choose(listed, k) + _choose(total - listed, drawn - k)
    most = float(ways.max())
    summed = most + math.log(float(np.exp(ways - most).sum()))
    return min((summed - float(_choose(total, drawn))) / math.log(10), 0.0)


def _choose(n: int, k: NDArray[np.intp] | int) -> NDArray[np.float64]:
    logs = _log_factorials(1 << max(n, 1).bit_length())
    return np.asarray(logs[n] - logs[k] - logs[n - k], dtype=np.float64)


@functools.cache
def _log_factorials(most: int) -> NDArray[np.float64]:
    """Return the logarithms of the factorials of 0 to ``most``."""
    return np.cumsum(np.log(np.maximum(np.arange(most + 1), 1.0)))
