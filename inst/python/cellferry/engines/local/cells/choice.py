"""The answers for a block of cells, from their fits, without a loop over cells.

1. The type with the best fit begins. Below a floor, or with fewer than two expressed
   markers of its own, the answer is Unknown.
2. While a type that is not compatible fits nearly as well, the answer backs off to what both
   have in common; where that has no markers (two unrelated lineages), to Unknown.
3. Where the answer backed off, the type that began is the ``detail``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ..hierarchy import Hierarchy
    from .scores import CellProfiles

MIN_FIT = 0.25
MIN_GENES = 2
CLEAR_MARGIN = 0.12
MARGIN_SHRINKAGE = 0.25
ALTERNATIVES = 3
ALTERNATIVE_RATIO = 0.5
"""Part of the fit that a runner-up needs to be mentioned."""
LISTED_GENES = 5
STEPS = 8
"""The longest way up the hierarchy."""


@dataclass(frozen=True, eq=False)
class CellChoice:
    """Answers for n cells; types are rows of the profiles, -1 is none.

    ``alternatives`` is n x 3, padded with -1; ``genes`` and ``gene_starts`` are the markers
    of the label that a cell expresses, strongest first, as a ragged array.
    """

    label: NDArray[np.int32]
    detail: NDArray[np.int32]
    confidence: NDArray[np.float64]
    alternatives: NDArray[np.int32]
    genes: NDArray[np.int32]
    gene_starts: NDArray[np.int64]


class Chooser:
    """What does not change from block to block."""

    def __init__(self, hierarchy: Hierarchy, profiles: CellProfiles) -> None:
        self._profiles = profiles
        self._compatible = hierarchy.compatible
        self._inside = hierarchy.inside
        self._usable = ~hierarchy.state & ~hierarchy.compartment
        self._usable &= profiles.own.any(axis=1)
        self._common = _common_ancestors(hierarchy)

    def choose(self, fits: NDArray[np.float32], strengths: csr_matrix) -> CellChoice:
        """Answer a block of cells."""
        n = len(fits)
        usable = np.where(self._usable[None, :], fits, -np.inf)
        if not n or not self._usable.any():
            return _nothing(n)
        begun = np.argmax(usable, axis=1).astype(np.int32)
        fit = usable[np.arange(n), begun]
        enough = (fit >= MIN_FIT) & (self._own_genes(begun, strengths) >= MIN_GENES)
        label = np.where(enough, begun, -1).astype(np.int32)
        margin = np.zeros(n)
        active = np.flatnonzero(enough)
        for _ in range(STEPS):
            if not len(active):
                break
            others = np.where(self._compatible[label[active]], -np.inf, usable[active])
            rival = np.argmax(others, axis=1)
            found = np.maximum(others[np.arange(len(active)), rival], 0)
            margin[active] = (fit[active] - found) / (fit[active] + MARGIN_SHRINKAGE)
            unclear = margin[active] < CLEAR_MARGIN
            active, rival = active[unclear], rival[unclear]
            label[active] = self._common[label[active], rival]
            active = active[label[active] >= 0]
        detail = self._detail(begun, label)
        confidence = (1 - np.exp(-2 * np.maximum(fit, 0))) * np.minimum(1, 0.5 + margin)
        confidence = np.where(label >= 0, confidence, np.nan).round(4)
        shown = np.where(label >= 0, label, begun)
        genes, starts = self._genes(shown, strengths)
        alternatives = self._alternatives(usable, label, fit)
        return CellChoice(label, detail, confidence, alternatives, genes, starts)

    def _detail(self, begun: NDArray[np.int32], label: NDArray[np.int32]) -> NDArray[np.int32]:
        finer = (label >= 0) & (begun != label)
        finer &= self._inside[begun, np.maximum(label, 0)]
        return np.where(finer, begun, -1).astype(np.int32)

    def _own_genes(self, types: NDArray[np.int32], strengths: csr_matrix) -> NDArray[np.int64]:
        """Return how many of the genes that its type lists itself each cell expresses."""
        rows = np.repeat(np.arange(strengths.shape[0]), np.diff(strengths.indptr))
        own = np.asarray(self._profiles.own[types[rows], strengths.indices])
        speaks = own & np.asarray(strengths.data > 0)
        return np.bincount(rows[speaks], minlength=strengths.shape[0])

    def _genes(
        self, types: NDArray[np.int32], strengths: csr_matrix
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the strongest markers of each cell's type that it expresses."""
        n = strengths.shape[0]
        rows = np.repeat(np.arange(n), np.diff(strengths.indptr))
        weight = self._profiles.positive[types[rows], strengths.indices]
        part = weight * strengths.data
        kept = np.flatnonzero(part > 0)
        # Ties go by gene.
        order = np.lexsort((strengths.indices[kept], -part[kept], rows[kept]))
        kept = kept[order]
        count = np.bincount(rows[kept], minlength=n)
        first = np.concatenate([[0], np.cumsum(count)[:-1]])
        rank = np.arange(len(kept)) - np.repeat(first, count)
        kept = kept[rank < LISTED_GENES]
        starts = np.concatenate([[0], np.cumsum(np.minimum(count, LISTED_GENES))])
        return strengths.indices[kept].astype(np.int32), starts.astype(np.int64)

    def _alternatives(
        self, usable: NDArray[np.float32], label: NDArray[np.int32], fit: NDArray[np.float32]
    ) -> NDArray[np.int32]:
        """Return the best types that are not compatible with the label, best first."""
        masked = usable.copy()
        known = label >= 0
        masked[known] = np.where(self._compatible[label[known]], -np.inf, masked[known])
        n, made = len(label), np.full((len(label), ALTERNATIVES), -1, dtype=np.int32)
        floor = np.maximum(ALTERNATIVE_RATIO * fit, 0)
        for position in range(ALTERNATIVES):
            best = np.argmax(masked, axis=1)
            value = masked[np.arange(n), best]
            made[:, position] = np.where((value > 0) & (value >= floor), best, -1)
            masked[np.arange(n), best] = -np.inf
        return made


def _nothing(n: int) -> CellChoice:
    none = np.full(n, -1, dtype=np.int32)
    return CellChoice(
        none,
        none.copy(),
        np.full(n, np.nan),
        np.full((n, ALTERNATIVES), -1, dtype=np.int32),
        np.zeros(0, dtype=np.int32),
        np.zeros(n + 1, dtype=np.int64),
    )


def _common_ancestors(hierarchy: Hierarchy) -> NDArray[np.int32]:
    """Return the narrowest type above both (types x types), -1 where it has no markers.

    As :meth:`Knowledge.common_ancestor` says of each pair: all types are gone through, the
    narrowest last, and each is written for all pairs that it contains.
    """
    names, ancestors = hierarchy.profiles.names, hierarchy.knowledge.ancestors
    marked = np.asarray(hierarchy.profiles.positive.any(axis=1))
    members: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        for above in (name, *ancestors[name]):
            members.setdefault(above, []).append(i)
    made = np.full((len(names), len(names)), -1, dtype=np.int32)
    for shared in sorted(members, key=lambda n: (-len(ancestors[n]), n), reverse=True):
        k = hierarchy.positions.get(shared, -1)
        if k >= 0 and (not marked[k] or hierarchy.compartment[k]):
            k = -1
        made[np.ix_(members[shared], members[shared])] = k
    return made
