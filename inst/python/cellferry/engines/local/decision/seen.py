"""How much was seen: how unlikely a cluster has as many markers of a type by chance.

The best genes of the cluster that are markers of anything are compared with the markers of the
type and of all that it is a kind of, by the hypergeometric tail. It does not look at strengths and
weights, by which a type was found: among a hundred types some have two strong genes in any list of
marker genes, but few have more of them than such a list has of each.
"""

from __future__ import annotations

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


def raised_markers(strength: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the best raised genes of a cluster among those that are markers of something."""
    raised = np.flatnonzero(strength >= SUPPORT)
    if len(raised) > BEST_GENES:
        least = np.sort(strength[raised])[-BEST_GENES]
        raised = raised[strength[raised] >= least]
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


def unexplained(hierarchy: Hierarchy, signal: Signal, best: int, other: int) -> float:
    """Return the surprise of a type among the genes that another and its relatives do not list."""
    free = signal.measured & ~hierarchy.marks_below[best]
    return _surprise(hierarchy, signal.strength, hierarchy.marks[other], free)


def _surprise(
    hierarchy: Hierarchy,
    strength: NDArray[np.float64],
    marks: NDArray[np.bool_],
    which: NDArray[np.bool_],
) -> float:
    # What a user adds is no choice that chance had for the packaged types.
    which = which & (hierarchy.counted | marks)
    raised = raised_markers(np.where(which, strength, 0.0))
    known = marks & which
    # A small table, or a panel, does not make the choice smaller.
    total = max(int(which.sum()), FEWEST_GENES)
    return -_tail(int(known[raised].sum()), int(known.sum()), len(raised), total)


def _tail(shared: int, listed: int, drawn: int, total: int) -> float:
    """Return log10 P(X >= shared): ``drawn`` genes of ``total``, of which ``listed`` count."""
    if shared <= max(0, drawn + listed - total):
        return 0.0
    ways = [
        _choose(listed, k) + _choose(total - listed, drawn - k)
        for k in range(shared, min(listed, drawn) + 1)
    ]
    most = max(ways)
    summed = most + math.log(sum(math.exp(w - most) for w in ways))
    return min((summed - _choose(total, drawn)) / math.log(10), 0.0)


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
