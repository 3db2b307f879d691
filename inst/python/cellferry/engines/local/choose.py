"""The answer for one cluster: which type, how deep in the hierarchy, how sure.

1. The best fit that has evidence of its own begins; below a floor the answer is Unknown.
   Unknown is also what is more likely wrong than right in the end (:func:`confidence`).
2. What its lineage does not explain is scored again: a second, unrelated lineage with
   strong evidence of its own makes the cluster a mixture, and both are named.
3. A type whose own markers, those that its parents do not have, are mostly silent gives
   way to its parent; it remains as the detail.
4. While another type that is neither ancestor nor descendant fits nearly as well, the
   answer backs off to what both have in common.
5. A type of which a long list names hardly a marker, and no defining one, is another that the
   knowledge does not have: the answer is what it is a kind of (:mod:`.silence`).
6. Two answers that are both true (a CD4 T cell, a naive T cell) give the type inside both.
   A subtype that fits nearly as well as the answer and has raised markers of its own, clearly
   better than its siblings, refines it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .profiles import TIER_WEIGHT
from .score import SHRINKAGE, SILENT_HALF, SUPPORT, Scores, Signal, score_types
from .seen import surprise, unexplained
from .siblings import shown_below, with_needs
from .silence import without_silence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .hierarchy import Hierarchy
    from .profiles import Profiles

MIN_FIT = 0.25
"""Below this fit nothing is named: one defining marker of average strength reaches it, but
the several genes that are needed besides make it a weak call and no lucky one."""
MIN_SIGNIFICANCE = 3.0
CLEAR_MARGIN = 0.1
"""Margin by which an answer must beat every type that is not compatible with it."""
GROUP_MARGIN = 0.02
"""The same where all that both share is a group: a name that no one would give to the cells."""
MARGIN_SHRINKAGE = 0.5
LEAST_SEEN = 3.7
"""Surprise (:mod:`.seen`) below which a list of random markers would have done as well."""
LEAST_SEEN_SHORT = 3.4
"""The same for a list of ten; lists between ten and sixty are between."""
LEAD = 0.5
"""How much more of a surprise a member of a group is that leads it."""
LEADERS = 5
LEADING = 0.6
"""Part of the best fit that a leader has."""
AGREED = 0.55
"""Confidence of what all leaders have in common."""
SHOWN = 0.95
"""What is left of the confidence where few genes tell a subtype from its siblings."""
LEAST_CONFIDENCE = 0.4
"""Confidence below which the answer is Unknown."""
SHARED_RATIO = 0.4
"""Part of the fit that a common ancestor needs on its own markers to become the answer."""
BOTH_RATIO = 0.8
DEEPER_RATIO = 0.8
DETAIL_RATIO = 0.75
DETAIL_SIGNIFICANCE = 2.5
MIXED_FIT = 0.8
MORE_CELLS = 1.2
"""How many times as many cells the genes of the other part must be in to give it the name."""
RIVALS = 40
"""How many of the best other answers are compared one by one."""
OWN_RATIO = 0.8
"""Part of the best fit at which a type that the user added comes before a packaged one."""
STATE_FIT = 1.0
STATE_GENES = 4


@dataclass(frozen=True)
class Choice:
    """What was decided, as rows of the profiles.

    ``label`` is None for Unknown; ``begun`` is where the evidence was best.
    ``margin`` is what the label is ahead of ``rival``, 0 to 1 (see :func:`_rival`).
    ``few`` says that the answer is Unknown because the list is long and few of it are markers.
    """

    label: int | None
    begun: int | None
    fit: float
    margin: float
    confidence: float | None
    rival: int | None = None
    detail: int | None = None
    partner: int | None = None
    states: tuple[int, ...] = ()
    few: bool = False


def choose(hierarchy: Hierarchy, scores: Scores) -> Choice:
    """Decide for one cluster; see the module's description."""
    states = _states(hierarchy, scores)
    best = _begin(hierarchy, scores)
    if best is None:
        return _agreed(hierarchy, scores, Choice(None, None, 0.0, 0.0, None, states=states))
    fit = float(scores.fit[best])
    if not _enough(hierarchy, scores, best):
        return _agreed(hierarchy, scores, Choice(None, best, fit, 0.0, None, states=states))
    partner = find_partner(hierarchy, scores, best, MIXED_FIT)
    if partner is not None and _in_more_cells(hierarchy, scores, partner, best):
        best, partner = partner, find_partner(hierarchy, scores, partner, MIN_FIT) or best
    begun = best
    best = nearest_with_evidence(hierarchy, scores, best)
    best, partner = _backed_off(hierarchy, scores, best, partner)
    label = _deeper(hierarchy, scores, _both(hierarchy, scores, best), partner)
    label = with_needs(hierarchy, scores.signal, _member(hierarchy, scores, label))
    fit = max(fit, float(scores.fit[label]))
    rival, margin = _rival(hierarchy, scores, label, partner)
    honest = without_silence(hierarchy, scores, label, rival, margin)
    if honest is None:
        unknown = Choice(None, begun, fit, margin, None, rival, None, partner, states)
        return _agreed(hierarchy, scores, unknown)
    if honest != label:
        label = honest
        rival, margin = _rival(hierarchy, scores, label, partner)
    seen = surprise(hierarchy, scores.signal, label)
    doubt = 0.0
    if partner is None:
        weak, other = second(hierarchy, scores, label)
        doubt = DOUBT * max(weak - DOUBTED_SEEN, 0)
        if weak >= MIXED_SEEN and other is not None and not hierarchy.own[label]:
            partner, doubt = other, 0.0
    sure = confidence(fit, margin, seen, mixed=partner is not None) * (1 - min(doubt, 1))
    own = bool(hierarchy.own[label])
    unlikely = not own and seen < least_seen(scores.signal)
    few = fit < STRONG_FIT and markers_seen(hierarchy, scores, label) < needed(scores.signal)
    if sure < LEAST_CONFIDENCE or unlikely or (few and not own):
        unknown = Choice(None, begun, fit, margin, None, rival, None, partner, states)
        unknown = replace(unknown, few=sure >= LEAST_CONFIDENCE)
        return _agreed(hierarchy, scores, unknown)
    found = Choice(label, begun, fit, margin, round(sure, 3), rival, None, partner, states)
    shown = None if own else shown_below(hierarchy, scores.signal, label)
    if shown is not None:
        found = replace(found, label=shown, confidence=round(sure * SHOWN, 3))
        label = shown
    return replace(found, detail=_detail(hierarchy, scores, label, begun))


def _backed_off(
    hierarchy: Hierarchy, scores: Scores, best: int, partner: int | None
) -> tuple[int, int | None]:
    """Return what a type and those that fit nearly as well have in common, and the partner."""
    rival, margin = _rival(hierarchy, scores, best, partner)
    while rival is not None and margin < CLEAR_MARGIN:
        if partner is None and not hierarchy.same_lineage[best, rival]:
            # Neither of two unrelated types wins: if each has genes of its own, both are there.
            partner = find_partner(hierarchy, scores, best, MIN_FIT)
            if partner is not None:
                rival, margin = _rival(hierarchy, scores, best, partner)
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
        rival, margin = _rival(hierarchy, scores, best, partner)
    return best, partner


def _member(hierarchy: Hierarchy, scores: Scores, label: int) -> int:
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


def _agreed(hierarchy: Hierarchy, scores: Scores, unknown: Choice) -> Choice:
    """Return what all leaders have in common, where the engine would say Unknown.

    It must have markers enough, its own and those of its subtypes together.
    """
    usable = ~hierarchy.state & ~hierarchy.compartment & (scores.fit > 0)
    usable &= scores.own_significance >= OWN_SIGNIFICANCE
    order = [int(i) for i in np.argsort(-scores.fit, kind="stable")[:LEADERS] if usable[i]]
    if not order or scores.fit[order[0]] < MIN_FIT:
        return unknown
    leaders = [i for i in order if scores.fit[i] >= LEADING * scores.fit[order[0]]]
    inside = hierarchy.inside[leaders].all(axis=0) & ~hierarchy.state & ~hierarchy.compartment
    if len(leaders) < 2 or not inside.any():
        return unknown
    narrowest = np.flatnonzero(inside)[np.argmin(hierarchy.inside[:, inside].sum(axis=0))]
    label = int(narrowest)
    seen = surprise(hierarchy, scores.signal, label)
    if seen < least_seen(scores.signal) or hierarchy.own[label]:
        return unknown
    found = replace(unknown, label=label, confidence=AGREED, few=False)
    return replace(found, rival=None, partner=None)


def least_seen(signal: Signal) -> float:
    """Return the surprise that an answer needs: a long list has more of them by chance."""
    longer = min(max(signal.listed - SHORT_LIST, 0) / SILENT_HALF, 1)
    return LEAST_SEEN_SHORT + (LEAST_SEEN - LEAST_SEEN_SHORT) * longer


def markers_seen(hierarchy: Hierarchy, scores: Scores, label: int) -> int:
    """Return how many markers of a type, its ancestors and its subtypes are raised."""
    listed = (hierarchy.profiles.own[hierarchy.related[label]] > 0).any(axis=0)
    return int((listed & (scores.signal.strength >= SUPPORT)).sum())


def needed(signal: Signal) -> float:
    """Return how many markers of a type a list of this length has at least.

    Ten best genes may have two of them; a long list of all that is raised in a cluster has many.
    One that has few was chosen by what the genes are (transcription factors, receptors), and
    two genes of a type that is not there are easily among a hundred such.
    """
    longer = max(signal.listed - SHORT_LIST, 0)
    return MIN_GENES + MORE_GENES * longer / (longer + SILENT_HALF)


def _in_more_cells(hierarchy: Hierarchy, scores: Scores, one: int, other: int) -> bool:
    """Whether the genes of one type are found in clearly more cells than those of another.

    Of a mixture the larger part is the label, though few platelets have the larger changes.
    """
    shares = []
    for i in (one, other):
        genes = supporters(hierarchy.profiles, scores, i)
        known = scores.signal.prevalence[genes]
        known = known[np.isfinite(known)]
        if not len(known):
            return False
        shares.append(float(np.median(known)))
    return shares[0] >= MORE_CELLS * shares[1]


def _least_margin(hierarchy: Hierarchy, above: int) -> float:
    """Return the margin below which an answer gives way to what it shares with its rival."""
    kind = hierarchy.knowledge.by_name[hierarchy.profiles.names[above]].kind
    return GROUP_MARGIN if kind == "group" else CLEAR_MARGIN


def _begin(hierarchy: Hierarchy, scores: Scores) -> int | None:
    usable = ~hierarchy.state & ~hierarchy.compartment
    usable &= scores.own_significance >= OWN_SIGNIFICANCE
    usable &= _own_genes(hierarchy, scores) >= MIN_GENES
    if not usable.any():
        return None
    best = float(scores.fit[usable].max())
    given = usable & hierarchy.own & (scores.fit >= OWN_RATIO * best)
    return int(np.argmax(np.where(given if given.any() else usable, scores.fit, -np.inf)))


def _own_genes(hierarchy: Hierarchy, scores: Scores) -> NDArray[np.intp]:
    """Return per type how many of the genes that it lists itself support it."""
    raised = scores.signal.strength >= SUPPORT
    of_state = hierarchy.profiles.of_state
    raised = raised if of_state is None else raised & ~of_state
    return hierarchy.profiles.own_weights.count(raised)


def _enough(hierarchy: Hierarchy, scores: Scores, i: int) -> bool:
    genes = supporters(hierarchy.profiles, scores, i)
    strong = scores.fit[i] >= MIN_FIT and scores.significance[i] >= MIN_SIGNIFICANCE
    return bool(strong and len(genes) >= MIN_GENES)


def _rival(
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
    used = np.flatnonzero((profiles.positive[i] + profiles.positive[rivals].sum(axis=0)) > 0)
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


def _both(hierarchy: Hierarchy, scores: Scores, label: int) -> int:
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


def _deeper(hierarchy: Hierarchy, scores: Scores, label: int, partner: int | None) -> int:
    """Go down while a child is nearly as good, on its own evidence, and clear of others."""
    own_genes = _own_genes(hierarchy, scores)
    while True:
        better = [
            child
            for child in hierarchy.below(label)
            if scores.fit[child] >= DEEPER_RATIO * scores.fit[label]
            and scores.fit[child] >= MIN_FIT
            and own_genes[child] >= MIN_GENES
            and has_own_evidence(hierarchy, scores, child)
        ]
        better.sort(key=lambda child: (-scores.fit[child], child))
        if not better:
            return label
        child = better[0]
        _, margin = _rival(hierarchy, scores, child, partner)
        if margin < CLEAR_MARGIN:
            return label
        label = child


def _detail(hierarchy: Hierarchy, scores: Scores, label: int, begun: int) -> int | None:
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


def _states(hierarchy: Hierarchy, scores: Scores) -> tuple[int, ...]:
    found = [
        int(i)
        for i in np.flatnonzero(hierarchy.state)
        if scores.fit[i] >= STATE_FIT
        and scores.significance[i] >= MIN_SIGNIFICANCE
        and len(supporters(hierarchy.profiles, scores, int(i))) >= STATE_GENES
    ]
    return tuple(sorted(found, key=lambda i: (-scores.fit[i], i)))


INTERCEPT = 1.42
FIT = 1.37
"""Per unit of the natural logarithm of the fit."""
MARGIN = 3.53
MIXED = -0.7
"""Where a second lineage is in the cluster; given, as there were too few mixtures to fit it."""
FURTHEST = 0.6
"""Margin beyond which there were too few answers to distinguish one from another."""
LEAST_FIT = 0.05
MOST_FIT = 2.0
LITTLE = 5.5
"""Surprise that lists of random markers hardly ever reach."""
FEW_SEEN = 0.6
"""Confidence that it allows; twice as much of it allows all."""


def confidence(fit: float, margin: float, seen: float = 20.0, *, mixed: bool) -> float:
    """Return the share of such answers that were right, 0 to 1.

    Parameters
    ----------
    fit
        Of the label; see :mod:`.score`.
    margin
        What it is ahead of the closest answer that is not compatible, 0 to 1.

    Examples
    --------
    >>> round(confidence(1.5, 0.5, mixed=False), 2)
    0.96
    """
    x = features(fit, margin, mixed=mixed)
    weights = (INTERCEPT, FIT, MARGIN, MIXED)
    sure = 1 / (1 + math.exp(-sum(w * v for w, v in zip(weights, x, strict=True))))
    return min(sure, FEW_SEEN + (1 - FEW_SEEN) * max(seen - LITTLE, 0) / LITTLE)


def features(fit: float, margin: float, *, mixed: bool) -> tuple[float, float, float, float]:
    """Return what the parameters are multiplied with."""
    return 1.0, math.log(min(max(fit, LEAST_FIT), MOST_FIT)), min(margin, FURTHEST), float(mixed)


MIN_GENES = 2
"""Supporting genes without which nothing is named."""
STRONG_FIT = 0.8
"""Fit that a few markers reach only if they are defining ones, strongly raised."""
SHORT_LIST = 10
"""Length of a list that was cut to its best genes, and may have only as many."""
MORE_GENES = 3
"""How many more a long list must have.

On the tables of six labelled studies no right answer has fewer, in all raised genes or the best 50.
"""
ADDED_RATIO = 0.5
"""Part of its parent's fit that the markers of a type alone must reach."""
DEFINING_STRENGTH = 0.5
"""Mean strength that the defining markers of a type alone must have instead."""
ADDED_RECALL = 0.4
"""Part of a type's own markers, by weight, that must be raised."""
DEEPER_SIGNIFICANCE = 3.5


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


def nearest_with_evidence(hierarchy: Hierarchy, scores: Scores, i: int) -> int:
    """Go up from a type until one has evidence of its own."""
    while not has_own_evidence(hierarchy, scores, i):
        i = max(hierarchy.above(i), key=lambda p: (scores.fit[p], -p))
    return i


OWN_SIGNIFICANCE = 2.0
"""Evidence of its own that a type needs to be considered beside its ancestors."""
MIXED_RATIO = 0.4
MIXED_SIGNIFICANCE = 3.0
MIXED_GENES = 3
MIXED_SEEN = 8.5
"""Surprise of a second lineage, in what the first leaves, that shows it however weak it is."""
DOUBTED_SEEN = 3.5
"""Surprise from which it takes from the confidence, as much as :data:`DOUBT` for each unit."""
DOUBT = 0.06
BROADER_RATIO = 0.8


def supporters(profiles: Profiles, scores: Scores, i: int) -> NDArray[np.intp]:
    """Return the genes that support a type, strongest contribution first."""
    contribution = profiles.positive[i] * scores.signal.strength
    found = np.flatnonzero((profiles.positive[i] > 0) & (scores.signal.strength >= SUPPORT))
    # Ties go by gene, and genes are sorted: the order never depends on the input's.
    return found[np.argsort(-contribution[found], kind="stable")]


def find_partner(hierarchy: Hierarchy, scores: Scores, best: int, least: float) -> int | None:
    """Return the type of another lineage that is strong in what the best does not explain."""
    left = residual(hierarchy, scores, best)
    usable = ~hierarchy.same_lineage[best] & ~hierarchy.related[best]
    usable &= ~hierarchy.state & ~hierarchy.compartment
    usable &= left.significance >= MIXED_SIGNIFICANCE
    usable &= left.own_significance >= OWN_SIGNIFICANCE
    usable &= left.fit >= max(least, MIXED_RATIO * scores.fit[best])
    for i in np.argsort(-left.fit, kind="stable"):
        if usable[i] and len(supporters(hierarchy.profiles, left, int(i))) >= MIXED_GENES:
            return _broader(hierarchy, left, int(i))
    return None


def second(hierarchy: Hierarchy, scores: Scores, best: int) -> tuple[float, int | None]:
    """Return the other lineage that is the largest surprise in what a type does not explain."""
    left = residual(hierarchy, scores, best)
    usable = ~hierarchy.same_lineage[best] & ~hierarchy.related[best]
    usable &= ~hierarchy.state & ~hierarchy.compartment & (left.fit >= MIN_FIT)
    usable &= left.significance >= MIXED_SIGNIFICANCE
    others = [int(i) for i in np.flatnonzero(usable)]
    if not others:
        return 0.0, None
    seen = {i: unexplained(hierarchy, scores.signal, best, i) for i in others}
    most = max(others, key=lambda i: (seen[i], left.fit[i], -i))
    return seen[most], _broader(hierarchy, left, most)


def _broader(hierarchy: Hierarchy, scores: Scores, i: int) -> int:
    """Go up to parents that fit nearly as well: of a mixture only the lineage is certain."""
    kinds = hierarchy.knowledge.by_name
    for parent in hierarchy.above(i):
        is_type = kinds[hierarchy.profiles.names[parent]].kind == "type"
        if is_type and scores.fit[parent] >= BROADER_RATIO * scores.fit[i]:
            return _broader(hierarchy, scores, parent)
    return i


def residual(hierarchy: Hierarchy, scores: Scores, best: int) -> Scores:
    """Score again without the genes that a type, its ancestors or descendants explain."""
    explained = (hierarchy.profiles.positive[hierarchy.related[best]] > 0).any(axis=0)
    return score_types(hierarchy.profiles, scores.signal.without(explained))
