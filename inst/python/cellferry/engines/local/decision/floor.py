"""What an answer needs at least: genes, a fit, a significance, and more than chance would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..score import SILENT_HALF, SUPPORT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..hierarchy import Hierarchy
    from ..profiles import Profiles
    from ..score import Scores, Signal

MIN_FIT = 0.25
"""Below this fit nothing is named: one defining marker of average strength reaches it, but
the several genes that are needed besides make it a weak call and no lucky one."""
MIN_SIGNIFICANCE = 3.0
MIN_GENES = 2
"""Supporting genes without which nothing is named."""
OWN_SIGNIFICANCE = 2.0
"""Evidence of its own that a type needs to be considered beside its ancestors."""
OWN_RATIO = 0.8
"""Part of the best fit at which a type that the user added comes before a packaged one."""
LEAST_SEEN = 3.7
"""Surprise (:mod:`.seen`) below which a list of random markers would have done as well."""
LEAST_SEEN_SHORT = 3.4
"""The same for a list of ten; lists between ten and sixty are between."""
MUCH = 0.3
"""Part of the best markers that a type explains at least, in most lists of its markers."""
SCATTERED = 20.0
"""Surprise that a sure answer needs besides, for each part that is less."""
NAMED_SCATTERED = 0.5
"""How much of it an answer needs that is not sure."""
OTHERS = 2.0
"""How many more genes are taken to be of other types: of ten genes the part is hardly known.

Chance has three of ten of some type, and seven of others, as often as real lists have.
"""
HERE_SEEN = 1.5
"""How much less a type needs that the tissue of the sample is known for, stated or suggested.

Of random lists of ten genes in a sample of brain 1.2 % get a name in place of 0.8 %.
"""
LEAST_CONFIDENCE = 0.4
"""Confidence below which the answer is Unknown."""
STRONG_FIT = 0.8
"""Fit that a few markers reach only if they are defining ones, strongly raised."""
SHORT_LIST = 10
"""Length of a list that was cut to its best genes, and may have only as many."""
MORE_GENES = 3
"""How many more a long list must have.

On the tables of six labelled studies no right answer has fewer, in all raised genes or the best 50.
"""
STATE_FIT = 1.0
STATE_GENES = 4


def begin(hierarchy: Hierarchy, scores: Scores) -> int | None:
    """Return the best fit that has evidence of its own; None: there is none."""
    usable = ~hierarchy.state & ~hierarchy.compartment
    usable &= scores.own_significance >= OWN_SIGNIFICANCE
    usable &= own_genes(hierarchy, scores) >= MIN_GENES
    if not usable.any():
        return None
    best = float(scores.fit[usable].max())
    given = usable & hierarchy.own & (scores.fit >= OWN_RATIO * best)
    return int(np.argmax(np.where(given if given.any() else usable, scores.fit, -np.inf)))


def own_genes(hierarchy: Hierarchy, scores: Scores) -> NDArray[np.intp]:
    """Return per type how many of the genes that it lists itself support it."""
    raised = scores.signal.strength >= SUPPORT
    of_state = hierarchy.profiles.of_state
    raised = raised if of_state is None else raised & ~of_state
    return hierarchy.profiles.own_weights.count(raised)


def enough(hierarchy: Hierarchy, scores: Scores, i: int) -> bool:
    """Whether a type has the fit, the significance and the genes that any answer needs."""
    genes = supporters(hierarchy.profiles, scores, i)
    strong = scores.fit[i] >= MIN_FIT and scores.significance[i] >= MIN_SIGNIFICANCE
    return bool(strong and len(genes) >= MIN_GENES)


def supporters(profiles: Profiles, scores: Scores, i: int) -> NDArray[np.intp]:
    """Return the genes that support a type, strongest contribution first."""
    contribution = profiles.positive[i] * scores.signal.strength
    found = np.flatnonzero((profiles.positive[i] > 0) & (scores.signal.strength >= SUPPORT))
    # Ties go by gene, and genes are sorted: the order never depends on the input's.
    return found[np.argsort(-contribution[found], kind="stable")]


def states_of(hierarchy: Hierarchy, scores: Scores) -> tuple[int, ...]:
    """Return the states that are clearly there, the strongest first."""
    found = [
        int(i)
        for i in np.flatnonzero(hierarchy.state)
        if scores.fit[i] >= STATE_FIT
        and scores.significance[i] >= MIN_SIGNIFICANCE
        and len(supporters(hierarchy.profiles, scores, int(i))) >= STATE_GENES
    ]
    return tuple(sorted(found, key=lambda i: (-scores.fit[i], i)))


def least_seen(signal: Signal, explained: float = 1.0, *, here: bool = False) -> float:
    """Return the surprise that an answer needs: a long list has more of them by chance.

    Parameters
    ----------
    explained
        The part of the best markers that are of the answer; see :func:`scattered`.
    here
        Whether the answer is known from the tissue of the sample: of all types few are.
    """
    longer = min(max(signal.listed - SHORT_LIST, 0) / SILENT_HALF, 1)
    least = LEAST_SEEN_SHORT + (LEAST_SEEN - LEAST_SEEN_SHORT) * longer
    known = signal.listed / (signal.listed + OTHERS) if signal.listed else 1.0
    return least + NAMED_SCATTERED * scattered(explained * known) - (HERE_SEEN if here else 0.0)


def scattered(explained: float) -> float:
    """Return the surprise that is needed besides where most of the best markers are of other types.

    Genes that were chosen by what they are (transcription factors) have markers of some type, and
    as many of others; a type that the knowledge does not have shares some with one that it has.

    Examples
    --------
    >>> scattered(0.5), round(scattered(0.2), 2)
    (0.0, 2.0)
    """
    return SCATTERED * max(MUCH - explained, 0.0)


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
