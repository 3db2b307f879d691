"""Annotations as the protocol's results: old flat fields, ``fullOutput`` and ``review``.

Clients up to 0.20 and R read the flat fields only, newer ones fill them from
``fullOutput``; both are always there. There is no null: it would become NaN in the user's
object. Clusters without an answer have no entry and a reason under ``failures``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ...annotations.clusters import UNKNOWN, Annotation, Annotations

if TYPE_CHECKING:
    from ...files import Json

CONFIDENCE: tuple[tuple[float, str], ...] = ((0.75, "High"), (0.5, "Moderate"), (0.0, "Low"))
"""Least confidence (0..1) of each grade."""

OTHER = "Other"


def results_of(
    found: Annotations,
    *,
    study_info: str = "",
    expression: Mapping[str, Json] | None = None,
    notes: Iterable[str] = (),
    history: Mapping[str, list[Json]] | None = None,
) -> dict[str, Json]:
    """Return the body of ``/results``.

    Parameters
    ----------
    found
        A row per cluster of the job.
    study_info
        What the client said of the study.
    expression
        Cluster -> what was looked up in the artifacts.
    notes
        What the reader should know of the whole job.
    history
        Cluster -> its earlier answers, where it was asked again.
    """
    answered = [row for row in found if row.label is not None]
    return {
        "annotations": {
            row.cluster: {
                "latest": entry_of(row, found, (expression or {}).get(row.cluster)),
                "history": list((history or {}).get(row.cluster, ())),
            }
            for row in answered
        },
        "summary": {
            "clusters": len(found),
            "answered": len(answered),
            "unknown": sum(row.status == "unknown" for row in found),
            "notes": list(notes),
        },
        "clusterCategories": categories(answered),
        "studyContext": study_info,
        "failures": {
            row.cluster: {"status": row.status, "error": row.error or ""}
            for row in found
            if row.label is None
        },
        "provenance": {k: v for k, v in found.provenance.items() if k != "metadata"},
    }


def entry_of(row: Annotation, found: Annotations, expression: Json = None) -> dict[str, Json]:
    """Return the answer about one cluster as ``/results`` has it.

    Parameters
    ----------
    row
        Of the cluster.
    found
        Has its evidence.
    expression
        What was looked up in the artifacts.
    """
    label = row.label or UNKNOWN
    evidence = found.evidence.get(row.cluster)
    cell_type: dict[str, Json] = {
        "label": label,
        "conclusion": row.justification or "",
        "keySupportingGenes": list(row.supporting),
        "keySupportingGenesReasoning": "",
        "missingGenes": list(row.missing),
        "missingGenesReasoning": "",
        "unexpectedGenes": list(row.conflicting),
        "unexpectedGenesReasoning": "",
    }
    if expression is not None:
        cell_type["expressionEvidence"] = expression
    if evidence is not None:
        cell_type["evidence"] = evidence
    full_output: dict[str, Json] = {
        "cellType": cell_type,
        "refinedCandidatesWithReasoning": [
            {"label": name, "reasoning": ""} for name in row.alternatives
        ],
    }
    return {
        "annotation": {
            "clusterId": row.cluster,
            "annotation": label,
            "cellOntologyTermName": row.ontology_label or UNKNOWN,
            "cellOntologyTerm": row.ontology_id or UNKNOWN,
            "granularAnnotation": row.detail or "",
            "cellState": row.state or "",
            "justification": row.justification or "",
            "supportingMarkers": list(row.supporting),
            "conflictingMarkers": list(row.conflicting),
            "missingExpression": ", ".join(row.missing),
            "unexpectedExpression": ", ".join(row.conflicting),
            "status": row.status,
            "engine": row.engine or "",
            "fullOutput": full_output,
        },
        "review": review(row),
    }


def review(row: Annotation) -> dict[str, Json]:
    """Return how sure the answer is, in the protocol's words and as our number."""
    assessment = {"heterogeneityType": "mixture of " + " and ".join(row.mixed)}
    found: dict[str, Json] = {
        "confidence": grade(row.confidence),
        "isHeterogeneous": bool(row.mixed),
        "fullOutput": {"heterogeneityAssessment": assessment if row.mixed else {}},
    }
    if row.confidence is not None:
        found["confidenceValue"] = row.confidence
        found["confidenceKind"] = row.confidence_kind
    return found


def grade(confidence: float | None) -> str:
    """Return High, Moderate or Low; Low where nothing is known.

    Examples
    --------
    >>> grade(0.8), grade(0.5), grade(None)
    ('High', 'Moderate', 'Low')
    """
    return next((name for least, name in CONFIDENCE if (confidence or 0.0) >= least), "Low")


def categories(rows: Iterable[Annotation]) -> list[dict[str, Json]]:
    """Return the lineages of the answers, each with its clusters, for dot plots."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(lineage(row.label or UNKNOWN), []).append(row.cluster)
    return [{"categoryName": name, "clusterIds": ids} for name, ids in found.items()]


def lineage(label: str) -> str:
    """Return the broad group of a cell type in the packaged knowledge, else "Other".

    The highest ancestor that is a cell type and no mere compartment ("Leukocyte").

    Examples
    --------
    >>> lineage("Naive B cell"), lineage("Unknown")
    ('B cell', 'Other')
    """
    from ...engines.local.knowledge.packaged import packaged_knowledge

    knowledge = packaged_knowledge()
    types = knowledge.by_name
    if label not in types:
        return OTHER
    above = {label: 0, **knowledge.ancestors[label]}
    named = [name for name in above if types[name].kind == "type"]
    return max(named, key=lambda n: (above[n], n), default=label)
