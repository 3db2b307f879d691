"""Answers where the tissue is stated: types of others are weighed against those of this one.

A type that is known from other tissues only is first made less likely (:mod:`.profiles`). Where it
leads all the same, the cluster is read once more with the types of the tissue alone. Their answer
is taken where it is of the same kind and about as sure: an immature neutrophil of the lung is a
neutrophil, an enteroendocrine cell of the lung is a neuroendocrine one. Where nothing of the
tissue is like it, or the first is beyond doubt, it stays, for samples hold what nobody expected.

Where the tissue leaves nothing to be named, what would be named without it is not forgotten: the
answer is what that is a kind of and what occurs here. An ILC3 of the blood is an innate lymphoid
cell.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .knowledge.base import Knowledge
from .knowledge.tissues import expected, occurs

if TYPE_CHECKING:
    from ...files import Json
    from ..base import Payload
    from .answer import Reader

OF_THE_SAME_KIND = 0.35
"""How much less sure an answer of the tissue may be, if it is of the same kind."""
OF_ANOTHER_KIND = 0.0
"""The same, if it is of another kind."""
BEYOND_DOUBT = 0.97
"""Confidence from which a type of another tissue is there: ciliated cells in a sample of blood."""


def of_the_tissue(knowledge: Knowledge, tissues: frozenset[str]) -> Knowledge:
    """Return the types that occur in tissues, with their ancestors.

    Parameters
    ----------
    knowledge
        Of all tissues.
    tissues
        As they were understood.

    Examples
    --------
    >>> from .knowledge.packaged import packaged_knowledge
    >>> blood = of_the_tissue(packaged_knowledge(), frozenset({"blood"}))
    >>> "Naive B cell" in blood.by_name, "Hepatocyte" in blood.by_name
    (True, False)
    """
    # A user's type is asked for wherever it is.
    kept = {
        t.name for t in knowledge.types if occurs(t.tissues, tissues) or t.name in knowledge.own
    }
    kept |= {a for name in kept for a in knowledge.ancestors[name]}
    return Knowledge(tuple(t for t in knowledge.types if t.name in kept), knowledge.own & kept)


@dataclass(frozen=True)
class InTissue:
    """Reads clusters of a stated tissue.

    Attributes
    ----------
    every
        Reads with all types.
    confine
        Makes a reader with fewer types; called with those of the tissue where that is needed.
    knowledge
        All types.
    tissues
        As they were understood.
    """

    every: Reader
    confine: Callable[[Knowledge], Reader]
    knowledge: Knowledge
    tissues: frozenset[str]

    @functools.cached_property
    def confined(self) -> Reader:
        """Reads with the types of the tissue."""
        return self.confine(of_the_tissue(self.knowledge, self.tissues))

    @functools.cached_property
    def anywhere(self) -> Reader:
        """Reads as if no tissue were stated."""
        return self.every.in_tissues(frozenset())

    def answer(self, cluster: str, column: int, n_cells: int | None) -> Payload:
        """Return the row and the evidence of a cluster, as :meth:`.answer.Reader.answer`.

        Parameters
        ----------
        cluster, column, n_cells
            As there.
        """
        first = self.every.answer(cluster, column, n_cells)
        if first["annotation"]["status"] != "ok":
            other = self.anywhere.answer(cluster, column, n_cells, self._known_here)
            return other if other["annotation"]["status"] == "ok" else first
        label = first["annotation"]["label"]
        sure = _sure(first["annotation"].get("confidence"))
        if not self._is_elsewhere(label) or first["annotation"]["mixed"] or sure >= BEYOND_DOUBT:
            return first
        second = self.confined.answer(cluster, column, n_cells)
        row = second["annotation"]
        if row["status"] != "ok" or row["label"] == label or row["mixed"]:
            return first
        allowed = OF_ANOTHER_KIND
        if self._same_kind(str(label), str(row["label"])):
            allowed = OF_THE_SAME_KIND
        if _sure(row.get("confidence")) < sure - allowed:
            return first
        return second

    def _known_here(self, label: str) -> str | None:
        """Return the nearest that a type of elsewhere is a kind of and that occurs here."""
        by_name, steps = self.knowledge.by_name, self.knowledge.ancestors[label]
        if not self._is_elsewhere(label):
            return None
        named = [n for n in steps if by_name[n].kind != "compartment"]
        here = [n for n in named if not self._is_elsewhere(n)]
        return min(here, key=lambda n: (steps[n], n), default=None)

    def _is_elsewhere(self, label: Json) -> bool:
        found = self.knowledge.by_name.get(str(label))
        return found is not None and not expected(found.tissues, self.tissues)

    def _same_kind(self, one: str, other: str) -> bool:
        shared = self.knowledge.common_ancestor(one, other)
        return shared is not None and self.knowledge.by_name[shared].kind != "compartment"


def _sure(confidence: Json) -> float:
    return float(confidence) if isinstance(confidence, int | float) else 0.0
