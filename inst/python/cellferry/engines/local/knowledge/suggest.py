"""The tissue that the answers point to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .tissues import ANYWHERE

if TYPE_CHECKING:
    from .base import Knowledge

SUGGESTED_SHARE = 0.5
"""Part of the votes that a tissue needs to be suggested."""
SUGGESTED_NAMED = 0.5
"""Part of the clusters that must have a name: where the tissue is known, more of them get one."""
SUGGESTED_VOTES = 2


def suggested_tissue(
    answers: Iterable[tuple[str | None, float | None]], knowledge: Knowledge
) -> str | None:
    """Return the tissue that the answers point to, or None where they do not agree.

    Every answer with a type that does not occur anywhere votes with its confidence, shared
    among the tissues of the type. Several votes and half of their weight are needed, and that half
    of the clusters have a name.

    Parameters
    ----------
    answers
        Label and confidence of each cluster; a label that is no type, as Unknown, has no vote.
    """
    weight: dict[str, float] = {}
    voters: dict[str, int] = {}
    total = 0.0
    answers = list(answers)
    if sum(label in knowledge.by_name for label, _ in answers) < SUGGESTED_NAMED * len(answers):
        return None
    for label, confidence in answers:
        known = knowledge.by_name.get(label or "")
        if known is None or ANYWHERE in known.tissues or not known.tissues:
            continue
        total += confidence or 0.0
        for tissue in known.tissues:
            weight[tissue] = weight.get(tissue, 0.0) + (confidence or 0.0) / len(known.tissues)
            voters[tissue] = voters.get(tissue, 0) + 1
    best = max(sorted(weight), key=lambda t: (weight[t], voters[t]), default=None)
    if best is None or voters[best] < SUGGESTED_VOTES or weight[best] < SUGGESTED_SHARE * total:
        return None
    return best
