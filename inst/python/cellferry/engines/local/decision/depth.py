"""How deep in the hierarchy: which subtypes have evidence of their own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..profiles import TIER_WEIGHT
from ..score import SHRINKAGE, SUPPORT
from .floor import MIN_FIT, MIN_GENES, own_genes
from .rivals import CLEAR_MARGIN, closest_rival

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..hierarchy import Hierarchy
    from ..score import Scores, Signal

BOTH_RATIO = 0.8
DEEPER_RATIO = 0.8
DEEPER_SIGNIFICANCE = 3.5
DETAIL_RATIO = 0.75
DETAIL_SIGNIFICANCE = 2.5
ADDED_RATIO = 0.5
"""Part of its parent's fit that the markers of a type alone must reach."""
DEFINING_STRENGTH = 0.5
"""Mean strength that the defining markers of a type alone must have instead."""
ADDED_RECALL = 0.4
"""Part of a type's own markers, by weight, that must be raised."""


def nearest_with_evidence(hierarchy: Hierarchy, scores: Scores, i: int) -> int:
    """Go up from a type until one has evidence of its own.

    What has hardly a raised gene of its own is not reached in this way, if one on the way to it
    has: a short list may have three genes of medium spiny neurons, and none of neurons.
    """
    way = [i]
    while not has_own_evidence(hierarchy, scores, i):
        i = max(hierarchy.above(i), key=lambda p: (scores.fit[p], -p))
        way.append(i)
    if len(way) == 1:
        return i
    counts = own_genes(hierarchy, scores)
    return next((step for step in reversed(way) if counts[step] >= MIN_GENES), way[0])


def has_own_evidence(hierarchy: Hierarchy, scores: Scores, i: int) -> bool:
    """Whether the markers that only this type has, and not its parents, are raised enough.

    Enough is a part of what the parent's own markers reach, or several defining markers that
    are strong: a subtype of which a few genes are raised by the side, as many are in a
    cluster of its parent, is not named. A type inside two others (a naive CD4 T cell) must
    add to each of them, and what it adds to one may be what it has from the other.
    """
    # A type of the tissue needs no evidence beside a parent that does not occur there: a D cell
    # of the pancreas is a pancreatic delta cell.
    prior = hierarchy.profiles.prior
    parents = [p for p in hierarchy.above(i) if prior[p] >= prior[i]]
    kinds = hierarchy.knowledge.by_name
    types = [p for p in parents if kinds[hierarchy.profiles.names[p]].kind == "type"]
    # A group is an answer only where its members cannot be distinguished, and no fallback.
    if not types:
        return True
    if len(parents) == 1:
        return _adds(hierarchy, scores, parents[0], hierarchy.profiles.new[i])
    listed = hierarchy.profiles.own > 0
    for parent in parents:
        known = listed[hierarchy.inside[parent]].any(axis=0)
        added = np.where(known, 0.0, hierarchy.profiles.positive[i])
        if not _adds(hierarchy, scores, parent, added):
            return False
    return True


def _adds(hierarchy: Hierarchy, scores: Scores, parent: int, added: NDArray[np.float64]) -> bool:
    """Whether a type is worth naming beside its parent for the markers that it adds."""
    signal, profiles = scores.signal, hierarchy.profiles
    if not has_evidence(signal, added):
        return False
    if hierarchy.knowledge.by_name[profiles.names[parent]].kind != "type":
        return True
    defining = (added >= TIER_WEIGHT[3] * profiles.specificity * 0.999) & (signal.factor > 0)
    if defining.sum() >= MIN_GENES and signal.strength[defining].mean() >= DEFINING_STRENGTH:
        return True
    total = float((added * signal.factor) @ signal.excess)
    squares = float(((added * signal.expected) ** 2).sum())
    return total / math.sqrt(squares + SHRINKAGE) >= ADDED_RATIO * float(scores.own_fit[parent])


def has_evidence(signal: Signal, markers: NDArray[np.float64]) -> bool:
    """Whether markers, by their weights, are there at all, and not only a few of them."""
    raised = (markers > 0) & (signal.strength >= SUPPORT)
    weight, expected = markers * signal.factor, markers * signal.expected
    by_chance = signal.deviation * math.sqrt(float((weight**2).sum()))
    return bool(
        raised.sum() >= MIN_GENES
        and float(weight @ signal.excess) >= DEEPER_SIGNIFICANCE * by_chance
        and float(expected[raised].sum()) >= ADDED_RECALL * float(expected.sum())
    )


def both(hierarchy: Hierarchy, scores: Scores, label: int) -> int:
    """Return the type inside the answer and another that is true as well, or the answer."""
    other = hierarchy.compatible[label] & ~hierarchy.related[label]
    other &= ~hierarchy.state & ~hierarchy.compartment
    other &= scores.fit >= BOTH_RATIO * scores.fit[label]
    for j in np.flatnonzero(other):
        if not has_evidence(scores.signal, hierarchy.profiles.new[j]):
            continue
        inside = hierarchy.inside[:, label] & hierarchy.inside[:, j]
        best = int(np.argmax(np.where(inside, scores.fit, -np.inf)))
        if scores.fit[best] >= BOTH_RATIO * scores.fit[label]:
            return best
    return label


def deeper(hierarchy: Hierarchy, scores: Scores, label: int, partner: int | None) -> int:
    """Go down while a child is nearly as good, on its own evidence, and clear of others."""
    counts = own_genes(hierarchy, scores)
    while True:
        better = [
            child
            for child in hierarchy.below(label)
            if scores.fit[child] >= DEEPER_RATIO * scores.fit[label]
            and scores.fit[child] >= MIN_FIT
            and counts[child] >= MIN_GENES
            and has_own_evidence(hierarchy, scores, child)
        ]
        better.sort(key=lambda child: (-scores.fit[child], child))
        if not better:
            return label
        child = better[0]
        _, margin = closest_rival(hierarchy, scores, child, partner)
        if margin < CLEAR_MARGIN:
            return label
        label = child


def detail_of(hierarchy: Hierarchy, scores: Scores, label: int, begun: int) -> int | None:
    """Return a finer type that the evidence suggests without deciding it."""
    under = hierarchy.inside[:, label].copy()
    under[label] = False
    if begun != label and under[begun]:
        return begun
    under &= scores.own_significance >= DETAIL_SIGNIFICANCE
    under &= scores.fit >= DETAIL_RATIO * scores.fit[label]
    if not under.any():
        return None
    return int(np.argmax(np.where(under, scores.fit, -np.inf)))
