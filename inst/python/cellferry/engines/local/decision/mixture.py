"""Two lineages in one cluster: what the first does not explain is scored again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..score import score_types
from .floor import OWN_SIGNIFICANCE, supporters
from .seen import WEAK, most_unexplained

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..hierarchy import Hierarchy
    from ..score import Scores

MIXED_FIT = 0.8
MIXED_RATIO = 0.4
MIXED_SIGNIFICANCE = 3.0
MIXED_GENES = 3
MIXED_SEEN = 6.5
"""Surprise of a second lineage, in what the first leaves, that shows it if it fits as well."""
SEEN_ALONE = 7.0
"""Surprise that shows it however weak it is."""
DOUBTED_SEEN = 3.5
"""Surprise from which it takes from the confidence, as much as :data:`DOUBT` for each unit."""
DOUBT = 0.06
MORE_CELLS = 1.2
"""How many times as many cells the genes of the other part must be in to give it the name."""
BROADER_RATIO = 0.8


def find_partner(hierarchy: Hierarchy, scores: Scores, best: int, least: float) -> int | None:
    """Return the type of another lineage that is strong in what the best does not explain."""
    left = residual(hierarchy, scores, best)
    usable = ~hierarchy.same_lineage[best] & ~hierarchy.related[best]
    usable &= ~hierarchy.state & ~hierarchy.compartment
    usable &= left.significance >= MIXED_SIGNIFICANCE
    usable &= left.own_significance >= OWN_SIGNIFICANCE
    usable &= left.fit >= max(least, MIXED_RATIO * scores.fit[best])
    raised = left.signal.strength >= WEAK
    for i in np.argsort(-left.fit, kind="stable"):
        if (
            usable[i]
            and len(supporters(hierarchy.profiles, left, int(i))) >= MIXED_GENES
            and _above_is_there(hierarchy, raised, int(i))
        ):
            return _broader(hierarchy, left, int(i))
    return None


def second(hierarchy: Hierarchy, scores: Scores, best: int) -> tuple[float, int | None]:
    """Return how large a surprise another lineage is in what a type's own leaves, and which.

    What any type of the lineage of ``best`` lists is no evidence for another lineage, nor is what
    it is known to share with one (:mod:`..knowledge.shared`). None where it is neither a large
    surprise nor a good fit: neurons have much that endocrine cells have too.
    """
    explained = hierarchy.lineage_marks(best)
    others = _others(hierarchy, best)
    seen, other = most_unexplained(hierarchy, scores.signal, explained, others, weak=True)
    if other is None or seen < MIXED_SEEN:
        return seen, other
    if not _above_is_there(hierarchy, (scores.signal.strength >= WEAK) & ~explained, other):
        return seen, None
    left = residual(hierarchy, scores, best)
    if seen < SEEN_ALONE and left.fit[other] < MIXED_RATIO * scores.fit[best]:
        return seen, None
    return seen, _broader(hierarchy, left, other)


def _above_is_there(hierarchy: Hierarchy, raised: NDArray[np.bool_], other: int) -> bool:
    """Whether a gene is raised that only the types have which a second lineage is a kind of.

    Memory T cells are told from naive ones by genes that many cells have; without CD3 it is none.
    Of what a type of the user is a kind of nothing is asked.
    """
    kinds, names = hierarchy.knowledge.by_name, hierarchy.profiles.names
    inside = hierarchy.inside[other].copy()
    inside[other] = False
    above = [i for i in np.flatnonzero(inside) if kinds[names[i]].kind == "type"]
    if not above or hierarchy.own[other]:
        return True
    own = hierarchy.profiles.own
    return bool((raised & (own[above] > 0).any(axis=0) & (own[other] == 0)).any())


def doubt(hierarchy: Hierarchy, scores: Scores, best: int, weak: float) -> float:
    """Return what genes that a type does not explain take from its confidence, 0 to 1.

    Here only the genes of the type and its relatives are explained: a macrophage with many genes
    of dendritic cells and B cells may be one, and is less sure.

    Parameters
    ----------
    weak
        The surprise of a second lineage (:func:`second`).
    """
    explained = hierarchy.marks_below[best] | hierarchy.shared[best]
    others = _others(hierarchy, best)
    strong, _ = most_unexplained(hierarchy, scores.signal, explained, others, weak=False)
    return min(DOUBT * max(weak - DOUBTED_SEEN, strong - DOUBTED_SEEN, 0.0), 1.0)


def _others(hierarchy: Hierarchy, best: int) -> NDArray[np.bool_]:
    """Return the types of other lineages; those of a user have genes that ours have as well."""
    others: NDArray[np.bool_] = ~hierarchy.same_lineage[best] & ~hierarchy.compatible[best]
    others &= ~hierarchy.state & ~hierarchy.compartment & ~hierarchy.own
    return others


def _broader(hierarchy: Hierarchy, scores: Scores, i: int) -> int:
    """Go up to parents that fit nearly as well: of a mixture only the lineage is certain."""
    kinds, prior = hierarchy.knowledge.by_name, hierarchy.profiles.prior
    for parent in hierarchy.above(i):
        is_type = kinds[hierarchy.profiles.names[parent]].kind == "type"
        as_good = scores.fit[parent] >= BROADER_RATIO * scores.fit[i]
        # One that the tissue of the sample does not have only shows what it is a kind of.
        if is_type and (as_good or prior[parent] > prior[i]):
            return _broader(hierarchy, scores, parent)
    return i


def residual(hierarchy: Hierarchy, scores: Scores, best: int) -> Scores:
    """Score again without the genes that a type, its ancestors or descendants explain."""
    explained = (hierarchy.profiles.positive[hierarchy.related[best]] > 0).any(axis=0)
    explained |= hierarchy.shared[best]
    return score_types(hierarchy.profiles, scores.signal.without(explained))


def in_more_cells(hierarchy: Hierarchy, scores: Scores, one: int, other: int) -> bool:
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
