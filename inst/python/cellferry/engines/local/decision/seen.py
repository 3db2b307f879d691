"""How much was seen: how unlikely a cluster has as many markers of a type by chance.

The best genes of the cluster that are markers of anything are compared with the markers of the
type and of all that it is a kind of, by the hypergeometric tail. It does not look at strengths and
weights, by which a type was found: among a hundred types some have two strong genes in any list of
marker genes, but few have more of them than such a list has of each.

Where a type is named, chance chooses as many transcription factors as the list has, and as many
other genes. Nearly all markers of some types (neural crest) are transcription factors: in a list of
nothing else, a regulon or a screen, many of them are no surprise. A second lineage is asked about
without these classes (:func:`most_unexplained`).

Where two markers are all that is raised, both are the type's or nothing is named, and the number
says nothing. It is asked how many pairs of genes are as good: two that define a type are one of
few, two that support it of many.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from ..score import SUPPORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..hierarchy import Hierarchy
    from ..score import Signal

BEST_GENES = 50
"""Markers of a cluster that are looked at, by strength; all that tie at the end are in."""
FEWEST_GENES = 1000
"""Markers among which chance has its choice, if a table of types or a panel has fewer."""
FEWEST_FACTORS = 100
"""Transcription factors among them: about the part that they are of the packaged markers."""
LEAST_CHANCE = 1e-300
"""Probability below which none is told from another."""
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


def seen_to_name(hierarchy: Hierarchy, signal: Signal, i: int, seen: float | None = None) -> float:
    """Return the surprise by which a type is named: :func:`surprise`, or what two genes are.

    Parameters
    ----------
    seen
        The surprise, where it is known.
    """
    which, strength = _chosen_from(hierarchy, signal, i)
    best = raised_markers(strength)
    if len(best) == 2 and not _has_weak(strength):
        return _of_two(hierarchy, i, which, best)
    return surprise(hierarchy, signal, i) if seen is None else seen


def _chosen_from(
    hierarchy: Hierarchy, signal: Signal, i: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which genes chance has to choose from, and how strong each of them is."""
    which = signal.measured & (hierarchy.counted | hierarchy.marks_below[i])
    return which, np.where(which, signal.strength, 0.0)


def _of_two(
    hierarchy: Hierarchy, i: int, which: NDArray[np.bool_], pair: NDArray[np.intp]
) -> float:
    """Return -log10 of the part of all pairs of genes of which the tiers add up to as much.

    Markers of subtypes do not count: two genes that mark two of them show neither.
    """
    profiles = hierarchy.profiles
    tier = profiles.own[hierarchy.inside[i]].max(axis=0) / profiles.specificity
    tier = np.round(np.where(hierarchy.marks[i], tier, 0.0), 6)
    values, counts = np.unique(np.append(tier[which], 0.0), return_counts=True)
    counts[0] += max(FEWEST_GENES - int(which.sum()), 0) - 1
    ways = np.outer(counts, counts) - np.diag(counts)
    as_good = values[:, None] + values >= tier[pair].sum()
    return abs(math.log10(float(ways[as_good].sum() / ways.sum())))


def _has_weak(strength: NDArray[np.float64]) -> bool:
    """Whether thousands are raised (cell lines): markers are not all among the best then."""
    return int((strength >= WEAK).sum()) > BEST_GENES


def explained(hierarchy: Hierarchy, signal: Signal, i: int) -> float:
    """Return the part of the best markers of a cluster that a type or its subtypes list, 0 to 1."""
    best = raised_markers(_chosen_from(hierarchy, signal, i)[1])
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
    strength = np.where(which, strength, 0.0)
    best = _best(strength, SUPPORT, BEST_GENES)
    seen = _in_classes(hierarchy.factors, marks, which, best)
    if not _has_weak(strength):
        return seen
    more = _best(strength, WEAK, MANY_GENES)
    return max(seen, _in_classes(hierarchy.factors, marks, which, more) - SECOND_LOOK)


def _in_classes(
    factors: NDArray[np.bool_],
    marks: NDArray[np.bool_],
    which: NDArray[np.bool_],
    best: NDArray[np.bool_],
) -> float:
    """Return -log10 P(as many markers among the best), of each class as many genes as they have."""
    known, classes = marks & which, []
    for genes, fewest in ((factors, FEWEST_FACTORS), (~factors, FEWEST_GENES - FEWEST_FACTORS)):
        # A small table, or a panel, does not make the choice smaller.
        total = max(int((which & genes).sum()), fewest)
        classes.append((int((known & genes).sum()), int((best & genes).sum()), total))
    return -tail_of_classes(int((known & best).sum()), classes)


def tail(shared: int, listed: int, drawn: int, total: int) -> float:
    """Return log10 P(X >= shared): ``drawn`` genes of ``total``, of which ``listed`` count."""
    if shared <= max(0, drawn + listed - total):
        return 0.0
    ways = _log_ways(shared, listed, drawn, total)
    most = float(ways.max())
    summed = most + math.log(float(np.exp(ways - most).sum()))
    return min((summed - float(_choose(total, drawn))) / math.log(10), 0.0)


def tail_of_classes(shared: int, classes: Sequence[tuple[int, int, int]]) -> float:
    """Return log10 P(X >= shared) where genes are drawn from several classes.

    Parameters
    ----------
    classes
        Of each, as of :func:`tail`: how many genes count, how many are drawn, how many there are.
    """
    chances = np.ones(1)
    for listed, drawn, total in classes:
        if not listed or not drawn:
            continue
        fewest = max(0, drawn + listed - total)
        of_class = np.zeros(min(listed, drawn) + 1)
        ways = _log_ways(fewest, listed, drawn, total)
        of_class[fewest:] = np.exp(ways - _choose(total, drawn))
        chances = np.convolve(chances, of_class)
    return min(math.log10(max(float(chances[shared:].sum()), LEAST_CHANCE)), 0.0)


def _log_ways(shared: int, listed: int, drawn: int, total: int) -> NDArray[np.float64]:
    """Return the logarithm of the ways to draw k that count, for each k from ``shared`` on."""
    k = np.arange(shared, min(listed, drawn) + 1)
    return _choose(listed, k) + _choose(total - listed, drawn - k)


def _choose(n: int, k: NDArray[np.intp] | int) -> NDArray[np.float64]:
    logs = _log_factorials(1 << max(n, 1).bit_length())
    return np.asarray(logs[n] - logs[k] - logs[n - k], dtype=np.float64)


@functools.cache
def _log_factorials(most: int) -> NDArray[np.float64]:
    """Return the logarithms of the factorials of 0 to ``most``."""
    return np.cumsum(np.log(np.maximum(np.arange(most + 1), 1.0)))
