"""What looks wrong with the answers for all cells together, with the likely cause and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...biology.orthologs import species_read
from ...biology.recognition import FEW, recognise_object
from ...biology.species import species_of
from ...errors import CellsDiagnosisWarning, listing, warn
from ..clusters import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...study.study import Study
    from ..texts import TextLists, Texts

FEWEST_CELLS = 20
"""Fewer answered cells are not judged as a whole."""
ONE_TYPE = 0.95
"""Share of one label from which all cells count as the same type."""
LOW_CONFIDENCE = 0.4
"""Median confidence below which it counts as low everywhere."""
MOSTLY_UNKNOWN = 0.5
STRANGE_MARKERS = 0.2
"""Share of the markers of a non-human sample that are none of its genes."""


class OfCells(Protocol):
    """What is read of :class:`cellferry.annotations.cells.CellAnnotations`."""

    @property
    def label(self) -> Texts:
        """One per cell."""
        ...

    @property
    def confidence(self) -> NDArray[np.float64]:
        """One per cell, NaN where there is none."""
        ...

    @property
    def supporting(self) -> TextLists:
        """Genes of each cell."""
        ...

    @property
    def evidence(self) -> Mapping[str, Any]:
        """What the engine says of all cells together."""
        ...


@dataclass(frozen=True)
class Diagnosis:
    """One finding: a stable ``code``, the problem, its likely cause, and the numbers behind it."""

    code: str
    problem: str
    cause: str
    numbers: dict[str, object] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the finding as plain data."""
        return asdict(self)


def diagnose(found: OfCells, study: Study) -> list[Diagnosis]:
    """Return what looks wrong with an answer; nothing for fewer than 20 answered cells.

    Parameters
    ----------
    found
        One answer per cell.
    study
        The species and genes of the sample.
    """
    counts = found.label.counts()
    answered = int(counts.sum())
    if answered < FEWEST_CELLS:
        return []
    tests = (
        _one_type(found, counts),
        _low_confidence(found, counts, study),
        _strange(found, study),
    )
    return [d for d in tests if d is not None]


def _one_type(found: OfCells, counts: NDArray[np.int64]) -> Diagnosis | None:
    best = int(np.argmax(counts))
    share = float(counts[best] / counts.sum())
    if share < ONE_TYPE or found.label.levels[best] == UNKNOWN:
        return None
    genes = dict(found.evidence.get("genes", {}))
    overlap = ""
    if "recognised" in genes:
        overlap = f" {genes['recognised']} of {genes['genes']} gene names are known symbols."
    return Diagnosis(
        "one_type",
        f'{100 * share:.0f} % of the cells are "{found.label.levels[best]}".',
        "Almost always the gene names are not the identifiers that the engine expects (symbols, "
        f"in the order of the columns).{overlap} If the sample was sorted, it may be right.",
        {"share": round(share, 4), "label": found.label.levels[best], **genes},
    )


def _few_genes(found: OfCells, study: Study) -> str:
    """Return how many genes are known where these are few, or where the engine found no marker."""
    recognised = (study.recognised or {}).get("object")
    if recognised is None:
        if study.genes is None:
            return ""
        species = study.context.species
        other = species_read(species, study.genes)
        recognised = recognise_object(study.genes, species_of(species), other).to_dict()
    total, known, read = (int(str(recognised[k])) for k in ("names", "known", "read"))
    known += read
    of_engine = dict(found.evidence.get("genes", {})).get("recognised")
    if of_engine == 0 or known < FEW * total:
        return f"{known} of {total} gene names are known symbols"
    return ""


def _low_confidence(found: OfCells, counts: NDArray[np.int64], study: Study) -> Diagnosis | None:
    sure = found.confidence[~np.isnan(found.confidence)]
    unknown = [i for i, x in enumerate(found.label.levels) if x == UNKNOWN]
    unknown_share = float(counts[unknown].sum() / counts.sum())
    median = float(np.median(sure)) if len(sure) else None
    low = median is not None and median < LOW_CONFIDENCE
    if not low and unknown_share <= MOSTLY_UNKNOWN:
        return None
    causes = [f"the median confidence is {median:.2f}"] if median is not None else []
    causes.append(f"{100 * unknown_share:.0f} % of the cells are Unknown")
    quality = dict(found.evidence.get("quality", {}).get("flagged", {}))
    seen = ", ".join(f"{n} {what}" for what, n in quality.items() if n)
    few = _few_genes(found, study)
    if few:
        return Diagnosis(
            "low_confidence",
            f"The confidence is low everywhere: {' and '.join(causes)}.",
            f"The genes are not recognised: only {few}, and cells are named by their genes. What "
            "their names are instead says the warning about genes.",
            {"median_confidence": median, "unknown_share": round(unknown_share, 4)},
        )
    cause = (
        "Doublets, ambient RNA or empty droplets lower the confidence of all cells; so do few "
        "genes per cell and gene names that are not known."
    )
    return Diagnosis(
        "low_confidence",
        f"The confidence is low everywhere: {' and '.join(causes)}.",
        f"{cause} Quality before the call: {seen}." if seen else cause,
        {"median_confidence": median, "unknown_share": round(unknown_share, 4), **quality},
    )


def _strange(found: OfCells, study: Study) -> Diagnosis | None:
    species = (study.context.species or "").lower()
    if not species or species_of(species) == "human" or study.genes is None:
        return None
    known = set(study.genes)
    of_level = np.array([x not in known for x in found.supporting.levels], dtype=bool)
    if not len(found.supporting.codes):
        return None
    share = float(of_level[found.supporting.codes].mean())
    if share < STRANGE_MARKERS:
        return None
    examples = [x for x in found.supporting.levels if x not in known][:5]
    return Diagnosis(
        "strange_markers",
        f"{100 * share:.0f} % of the marker genes are none of this sample's genes "
        f"({listing(examples)}).",
        f"The species is {species}: the engine mapped its genes through an ortholog table. "
        "Confirm which one it uses before the markers are interpreted.",
        {"share": round(share, 4), "species": species, "examples": examples},
    )


def warn_of(diagnoses: Iterable[Mapping[str, object]]) -> None:
    """Warn of each finding, given as plain data."""
    for found in diagnoses:
        warn(CellsDiagnosisWarning(str(found["problem"]), str(found["cause"])))
