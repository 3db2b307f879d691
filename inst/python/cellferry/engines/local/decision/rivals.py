"""How far an answer is ahead, and what it backs off to where it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..score import SHRINKAGE
from .floor import MIN_FIT, MIN_SIGNIFICANCE, OWN_RATIO, OWN_SIGNIFICANCE, least_seen
from .mixture import find_partner
from .seen import seen_to_name, surprise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..hierarchy import Hierarchy
    from ..score import Scores
    from .choice import Choice

CLEAR_MARGIN = 0.1
"""Margin by which an answer must beat every type that is not compatible with it."""
GROUP_MARGIN = 0.02
"""The same where all that both share is a group: a name that no one would give to the cells."""
MARGIN_SHRINKAGE = 0.5
SHARED_RATIO = 0.4
"""Part of the fit that a common ancestor needs on its own markers to become the answer."""
LEAD = 0.5
"""How much more of a surprise a member of a group is that leads it."""
LEADERS = 5
LEADING = 0.6
"""Part of the best fit that a leader has."""
AGREED = 0.55
"""Confidence of what all leaders have in common."""
RIVALS = 40
"""How many of the best other answers are compared one by one."""


def closest_rival(
    hierarchy: Hierarchy, scores: Scores, i: int, partner: int | None
) -> tuple[int | None, float]:
    """Return the type that comes closest to one without being compatible, and the margin.

    Only what is not shared counts: with the weights of both types, the positive part of
    their difference speaks for one and the negative part for the other, and the margin is
    (fit for - fit against) / (fit for + :data:`MARGIN_SHRINKAGE`), between 0 and 1. Common
    ancestors would otherwise make all siblings look alike.
    """
    other = ~hierarchy.compatible[i] & ~hierarchy.state & ~hierarchy.compartment
    other &= (scores.own_significance >= OWN_SIGNIFICANCE) & (scores.fit > 0)
    if partner is not None:
        other &= ~hierarchy.same_lineage[partner]
    if hierarchy.own[i]:
        # A packaged type for the same cells has the same genes and is no second opinion.
        other &= hierarchy.own | (scores.fit > scores.fit[i] / OWN_RATIO)
    rivals = np.flatnonzero(other)
    if not len(rivals):
        return None, 1.0
    # The best fits are the closest; the others only cost time.
    rivals = np.sort(rivals[np.argsort(-scores.fit[rivals], kind="stable")][:RIVALS])
    profiles = hierarchy.profiles
    used = profiles.positive_weights.genes_of(np.append(rivals, i))
    difference = profiles.positive[i, used] - profiles.positive[np.ix_(rivals, used)]
    signal = scores.signal
    excess = signal.factor[used] * signal.excess[used]
    expected = signal.expected[used] ** 2

    def part(weight: NDArray[np.float64], penalty: NDArray[np.float64]) -> NDArray[np.float64]:
        total = weight @ excess - penalty
        fit = total / np.sqrt(weight**2 @ expected + SHRINKAGE)
        return np.asarray(np.maximum(fit, 0), dtype=np.float64)

    # A type of another tissue is a weaker rival, and a weaker answer.
    one = part(np.maximum(difference, 0), np.full(len(rivals), scores.against[i]))
    two = part(np.maximum(-difference, 0), scores.against[rivals])
    one, two = one * profiles.prior[i], two * profiles.prior[rivals]
    margin = np.clip((one - two) / (one + MARGIN_SHRINKAGE), 0, 1)
    closest = int(np.argmin(margin))
    return int(rivals[closest]), float(margin[closest])


def backed_off(
    hierarchy: Hierarchy, scores: Scores, best: int, partner: int | None
) -> tuple[int, int | None]:
    """Return what a type and those that fit nearly as well have in common, and the partner."""
    rival, margin = closest_rival(hierarchy, scores, best, partner)
    while rival is not None and margin < CLEAR_MARGIN:
        if partner is None and not hierarchy.same_lineage[best, rival]:
            # Neither of two unrelated types wins: if each has genes of its own, both are there.
            partner = find_partner(hierarchy, scores, best, MIN_FIT)
            if partner is not None:
                rival, margin = closest_rival(hierarchy, scores, best, partner)
                continue
        names = hierarchy.profiles.names
        shared = hierarchy.knowledge.common_ancestor(names[best], names[rival])
        above = None if shared is None else hierarchy.index(shared)
        if above is not None and margin >= _least_margin(hierarchy, above):
            break
        if above is None or scores.own_fit[above] < SHARED_RATIO * scores.fit[best]:
            # What they share has no evidence of its own, so it would be a label that says
            # nothing (all blood): how far the one is ahead decides.
            break
        best = above
        rival, margin = closest_rival(hierarchy, scores, best, partner)
    return best, partner


def _least_margin(hierarchy: Hierarchy, above: int) -> float:
    """Return the margin below which an answer gives way to what it shares with its rival."""
    kind = hierarchy.knowledge.by_name[hierarchy.profiles.names[above]].kind
    return GROUP_MARGIN if kind == "group" else CLEAR_MARGIN


def leading_member(hierarchy: Hierarchy, scores: Scores, label: int) -> int:
    """Return the member of a group above the lineage that leads by its markers, or the group.

    Members of a group inside a type (naive T cells) are told apart by few genes, not by many.
    """
    kinds, names = hierarchy.knowledge.by_name, hierarchy.profiles.names
    above = hierarchy.knowledge.ancestors[names[label]]
    if any(kinds[a].kind == "type" for a in above):
        return label
    while kinds[names[label]].kind == "group":
        members = hierarchy.below(label)
        counts = [
            max(
                (surprise(hierarchy, scores.signal, int(i), subtypes=False), -int(i))
                for i in np.flatnonzero(hierarchy.inside[:, m])
            )
            for m in members
        ]
        order = sorted(zip(counts, members, strict=True), reverse=True)
        if len(order) < 2 or order[0][0][0] < order[1][0][0] + LEAD:
            return label
        label = order[0][1]
    return label


def agreed(hierarchy: Hierarchy, scores: Scores, unknown: Choice) -> Choice:
    """Return what all leaders have in common, where the engine would say Unknown.

    It must have markers enough, its own and those of its subtypes together; of two markers, if they
    are all that is raised, its own (:func:`.seen.seen_to_name`).
    """
    usable = ~hierarchy.state & ~hierarchy.compartment & (scores.fit > 0)
    usable &= scores.own_significance >= OWN_SIGNIFICANCE
    order = [int(i) for i in np.argsort(-scores.fit, kind="stable")[:LEADERS] if usable[i]]
    if not order or scores.fit[order[0]] < MIN_FIT:
        return unknown
    if scores.significance[order[0]] < MIN_SIGNIFICANCE:
        # Of a dozen genes that were measured, chance has as many.
        return unknown
    leaders = [i for i in order if scores.fit[i] >= LEADING * scores.fit[order[0]]]
    inside = hierarchy.inside[leaders].all(axis=0) & ~hierarchy.state & ~hierarchy.compartment
    if len(leaders) < 2:
        # One alone was not enough: what it is a kind of may be.
        inside[leaders] = False
    steps = np.flatnonzero(inside & ~hierarchy.own)
    for label in sorted(steps.tolist(), key=lambda i: (int(hierarchy.inside[:, i].sum()), i)):
        if seen_to_name(hierarchy, scores.signal, label) >= least_seen(scores.signal):
            found = replace(unknown, label=label, confidence=AGREED, few=False)
            return replace(found, rival=None, partner=None)
    return unknown
