"""Two lineages in one cluster: what the best type does not explain, scored again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .score import SUPPORT, Scores, score_types

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .hierarchy import Hierarchy
    from .profiles import Profiles

OWN_SIGNIFICANCE = 2.0
"""Evidence of its own that a type needs to be considered beside its ancestors."""
MIXED_RATIO = 0.4
MIXED_SIGNIFICANCE = 3.0
MIXED_GENES = 3
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
    usable &= left.fit >= max(least, MIXED_RATIO * scores.fit[best])
    usable &= left.significance >= MIXED_SIGNIFICANCE
    usable &= left.own_significance >= OWN_SIGNIFICANCE
    for i in np.argsort(-left.fit, kind="stable"):
        if usable[i] and len(supporters(hierarchy.profiles, left, int(i))) >= MIXED_GENES:
            return _broader(hierarchy, left, int(i))
    return None


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
