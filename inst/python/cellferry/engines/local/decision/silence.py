"""Types that are the nearest the knowledge has, and are not there: their own markers are silent.

A cluster of a type that no table knows fits its sibling best, by what both inherit. What shows it
is the silence of what the sibling alone has: natural killer cells have most genes of T cells, and
no CD3. The answer is then what the sibling is a kind of, or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..profiles import TIER_WEIGHT
from ..score import SILENT_HALF, SUPPORT

if TYPE_CHECKING:
    from ..hierarchy import Hierarchy
    from ..score import Scores

PRESENT = 0.2
"""Prevalence from which a gene that is not raised is there all the same."""
OWN_PART = 0.5
"""Part of a type's own markers, by weight, that is raised though no defining one is."""
FEWEST_DEFINING = 2
LEAST_PART = 0.1
"""Part without which it is not there whatever is defining."""


def without_silence(hierarchy: Hierarchy, scores: Scores, label: int) -> int | None:
    """Return the type, or the nearest that it is a kind of and that is not silent; None: none is.

    Parameters
    ----------
    label
        The answer so far.
    """
    if hierarchy.own[label] or scores.signal.listed < SILENT_HALF:
        # What a short list leaves out is not silent.
        return label
    steps = hierarchy.knowledge.ancestors[hierarchy.profiles.names[label]]
    order = sorted(steps, key=lambda n: (steps[n], n))
    rows = [label, *(hierarchy.positions[n] for n in order if n in hierarchy.positions)]
    for i in rows:
        if hierarchy.compartment[i] or hierarchy.state[i]:
            continue
        if not is_silent(hierarchy, scores, i):
            return i
    return None


def is_silent(hierarchy: Hierarchy, scores: Scores, i: int) -> bool:
    """Whether a long list has hardly a marker that a type lists itself, and no defining one."""
    signal, profiles = scores.signal, hierarchy.profiles
    there = (signal.strength < SUPPORT) & (np.nan_to_num(signal.prevalence) >= PRESENT)
    counted = (profiles.own[i] > 0) & (signal.factor > 0) & ~there
    if not counted.any():
        # A group without markers of its own has those of its members.
        return False
    weight = profiles.own[i] * counted * signal.factor
    raised = signal.strength >= SUPPORT
    part = float((weight * raised).sum() / weight.sum())
    defining = counted & (profiles.own[i] >= TIER_WEIGHT[3] * profiles.specificity * 0.999)
    if part < LEAST_PART:
        return True
    # One defining gene alone may be missed.
    enough = int(defining.sum()) >= FEWEST_DEFINING
    return part < OWN_PART and enough and not (defining & raised).any()
