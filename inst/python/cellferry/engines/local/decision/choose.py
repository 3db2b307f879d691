"""The answer for one cluster: which type, how deep in the hierarchy, how sure.

1. The best fit that has evidence of its own begins; below a floor the answer is Unknown.
   Unknown is also what is more likely wrong than right in the end (:func:`.confidence.confidence`).
2. What its lineage does not explain is scored again: a second, unrelated lineage with
   strong evidence of its own makes the cluster a mixture, and both are named. So do genes of T
   cells beside genes of NK cells (:mod:`.exclusive`).
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

from dataclasses import replace
from typing import TYPE_CHECKING

from .choice import Choice
from .confidence import confidence
from .depth import both, deeper, detail_of, nearest_with_evidence
from .exclusive import not_of_both
from .floor import (
    LEAST_CONFIDENCE,
    MIN_FIT,
    STRONG_FIT,
    begin,
    enough,
    least_seen,
    markers_seen,
    needed,
    states_of,
)
from .mixture import (
    MIXED_FIT,
    MIXED_SEEN,
    doubt,
    find_partner,
    in_more_cells,
    second,
)
from .rivals import agreed, backed_off, closest_rival, leading_member
from .seen import explained, seen_to_name, surprise
from .siblings import shown_below, with_needs
from .silence import without_silence

if TYPE_CHECKING:
    from ..hierarchy import Hierarchy
    from ..score import Scores

SHOWN = 0.95
"""What is left of the confidence where few genes tell a subtype from its siblings."""


def choose(hierarchy: Hierarchy, scores: Scores) -> Choice:
    """Decide for one cluster; see the module's description."""
    states = states_of(hierarchy, scores)
    best = begin(hierarchy, scores)
    if best is None:
        return agreed(hierarchy, scores, Choice(None, None, 0.0, 0.0, None, states=states))
    fit = float(scores.fit[best])
    if not enough(hierarchy, scores, best):
        return agreed(hierarchy, scores, Choice(None, best, fit, 0.0, None, states=states))
    partner = find_partner(hierarchy, scores, best, MIXED_FIT)
    if partner is not None and in_more_cells(hierarchy, scores, partner, best):
        best, partner = partner, find_partner(hierarchy, scores, partner, MIN_FIT) or best
    begun = best
    best = nearest_with_evidence(hierarchy, scores, best)
    best, partner = backed_off(hierarchy, scores, best, partner)
    label = deeper(hierarchy, scores, both(hierarchy, scores, best), partner)
    label = with_needs(hierarchy, scores.signal, leading_member(hierarchy, scores, label))
    fit = max(fit, float(scores.fit[label]))
    rival, margin = closest_rival(hierarchy, scores, label, partner)
    honest = without_silence(hierarchy, scores, label)
    if honest is None:
        unknown = Choice(None, begun, fit, margin, None, rival, None, partner, states)
        return agreed(hierarchy, scores, unknown)
    if honest != label:
        label = honest
        rival, margin = closest_rival(hierarchy, scores, label, partner)
    seen = surprise(hierarchy, scores.signal, label)
    doubted = 0.0
    if not hierarchy.own[label] and (partner is None or not hierarchy.own[partner]):
        # What was a second lineage by its strength must be no chance, and a weak one may be there.
        weak, other = second(hierarchy, scores, label)
        if weak < MIXED_SEEN or (other is None and partner is None):
            doubted = doubt(hierarchy, scores, label, weak)
            if partner is not None:
                partner = None
                rival, margin = closest_rival(hierarchy, scores, label, None)
        elif partner is None:
            partner = other
        if partner is None:
            partner = not_of_both(hierarchy, scores.signal, label)
    part = explained(hierarchy, scores.signal, label)
    sure = confidence(fit, margin, seen, part, mixed=partner is not None) * (1 - doubted)
    own = bool(hierarchy.own[label])
    shown = seen_to_name(hierarchy, scores.signal, label, seen)
    least = least_seen(scores.signal, part, here=bool(hierarchy.profiles.here[label]))
    unlikely = not own and shown < least
    few = fit < STRONG_FIT and markers_seen(hierarchy, scores, label) < needed(scores.signal)
    if sure < LEAST_CONFIDENCE or unlikely or (few and not own):
        unknown = Choice(None, begun, fit, margin, None, rival, None, partner, states)
        return agreed(hierarchy, scores, replace(unknown, few=sure >= LEAST_CONFIDENCE))
    found = Choice(label, begun, fit, margin, round(sure, 3), rival, None, partner, states)
    found = replace(found, seen=seen, explained=part, doubted=doubted)
    below = None if own else shown_below(hierarchy, scores.signal, label)
    if below is not None:
        found = replace(found, label=below, confidence=round(sure * SHOWN, 3))
        label = below
    return replace(found, detail=detail_of(hierarchy, scores, label, begun))
