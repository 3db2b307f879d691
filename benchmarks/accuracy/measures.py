"""How an answer compares with the truth, and what that adds up to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from cellferry.biology.ontology import ROOT, cell_ontology

LINEAGES = (
    "T cell",
    "innate lymphoid cell",
    "lymphocyte of B lineage",
    "mononuclear phagocyte",
    "granulocyte",
    "mast cell",
    "hematopoietic precursor cell",
    "erythroid lineage cell",
    "epithelial cell",
    "endothelial cell",
    "connective tissue cell",
    "muscle cell",
    "neuron",
    "glial cell",
    "stem cell",
    "neural progenitor cell",
)
"""Terms that a biologist would call the lineage; the first that contains a term is its lineage."""


@dataclass(frozen=True)
class Outcome:
    """One answer. ``found`` is None where the engine abstained.

    ``features`` are what the confidence is made of, for those who fit it again.
    """

    dataset: str
    group: str
    gold: str
    found: str | None
    label: str
    confidence: float | None
    cells: int
    kind: str = "clusters"
    features: tuple[float, ...] = ()

    @property
    def full(self) -> bool:
        """The same term."""
        return self.found in self.terms

    @property
    def terms(self) -> list[str]:
        """The terms that count as the truth; the first is the one that distances are from."""
        return self.gold.split(";")

    @property
    def compatible(self) -> bool:
        """The same term, or one is a kind of the other and both are of one lineage."""
        if self.found is None:
            return False
        found, related = self.found, cell_ontology().related
        return self.lineage and any(related(found, t) for t in self.terms)

    @property
    def lineage(self) -> bool:
        """Both terms are of one lineage."""
        if self.found is None:
            return False
        found = lineages(self.found)
        return self.full or any(found & lineages(t) for t in self.terms)

    @property
    def distance(self) -> int | None:
        """Is-a steps between answer and truth."""
        if self.found is None:
            return None
        found = [cell_ontology().distance(self.found, t) for t in self.terms]
        return min((d for d in found if d is not None), default=None)


def lineages(term: str) -> frozenset[str]:
    """Return the lineages of a term."""
    ontology = cell_ontology()
    wanted = {m.term.id for m in map(ontology.find, LINEAGES) if m is not None}
    return frozenset(wanted & {term, *ontology.ancestors(term)})


def ontology_score(found: str | None, truth: str) -> float:
    """Return what an answer and the truth have in common, as a share of what the truth says.

    The information content of their lowest common ancestor over that of the truth (of several
    accepted terms the best), 1 for the truth and kinds of it, 0 for no answer.
    """
    ontology = cell_ontology()
    if found is None or found not in ontology:
        return 0.0
    shares = [
        _content(shared) / _content(term)
        for term in truth.split(";")
        if (shared := ontology.common_ancestor(found, term)) is not None
    ]
    return max(shares, default=0.0)


def _content(term: str) -> float:
    ontology = cell_ontology()
    return -math.log(ontology.kinds(term) / ontology.kinds(ROOT))


def summary(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Return the measures as fractions, each group counting once and each cell counting once."""
    rows = list(outcomes)
    answered = [o for o in rows if o.found is not None]
    cells = sum(o.cells for o in rows)

    def by_type(name: str) -> float:
        return sum(getattr(o, name) for o in rows) / max(len(rows), 1)

    def by_cell(name: str) -> float:
        return sum(o.cells * getattr(o, name) for o in rows) / max(cells, 1)

    distances = [o.distance for o in answered if o.distance is not None]
    return {
        "groups": len(rows),
        "full": by_type("full"),
        "compatible": by_type("compatible"),
        "lineage": by_type("lineage"),
        "wrong": sum(not o.lineage for o in answered) / max(len(rows), 1),
        "abstained": (len(rows) - len(answered)) / max(len(rows), 1),
        "distance": sum(distances) / max(len(distances), 1),
        "full, by cell": by_cell("full"),
        "compatible, by cell": by_cell("compatible"),
        "lineage, by cell": by_cell("lineage"),
    }


def calibration_error(outcomes: Iterable[Outcome], edges: tuple[float, ...]) -> float:
    """Return the expected calibration error: what bins are off by, weighted by answers."""
    bins = reliability(outcomes, edges)
    total = sum(b["answers"] for b in bins)
    return sum(b["answers"] * abs(b["confidence"] - b["right"]) for b in bins) / max(total, 1)


def reliability(outcomes: Iterable[Outcome], edges: tuple[float, ...]) -> list[dict[str, float]]:
    """Return per bin of confidence how many answers were right (compatible with the truth)."""
    rows = [o for o in outcomes if o.found is not None and o.confidence is not None]
    bins = []
    for low, high in itertools.pairwise(edges):
        inside = [o for o in rows if low <= (o.confidence or 0) < high]
        if inside:
            bins.append(
                {
                    "from": low,
                    "to": high,
                    "answers": len(inside),
                    "confidence": sum(o.confidence or 0 for o in inside) / len(inside),
                    "right": sum(o.compatible for o in inside) / len(inside),
                    "right lineage": sum(o.lineage for o in inside) / len(inside),
                }
            )
    return bins
