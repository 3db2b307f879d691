"""The published names under which CyteType leaves its results in an AnnData."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..engines.cytetype.payload import ClusterIds

if TYPE_CHECKING:
    import anndata

    from ..annotations.clusters import Annotation, Annotations
    from ..files import Json
    from ..study.study import Study

UNKNOWN = "Unknown"
CONFIDENCES = ("High", "Moderate", "Low", UNKNOWN)
"""The reviewer's words, in the order of their categories."""
_WORDS = {0.9: "High", 0.6: "Moderate", 0.3: "Low"}


def write_results(adata: anndata.AnnData, found: Annotations, study: Study, prefix: str) -> None:
    """Write the published columns and ``uns`` entries; earlier ones are replaced.

    A cell of a cluster that failed has "Unknown", as in the package; the reason is in the
    stored results. A cell without a cluster has a missing value.

    Parameters
    ----------
    adata
        The cells of the study, in its order; changed in place.
    found
        A row per cluster of the study, with the provenance of a CyteType job.
    study
        Has the cluster of each cell, and the group key that ends the names of columns.
    prefix
        Beginning of the names of columns and ``uns`` entries.

    Raises
    ------
    ValueError
        The study has clusters without cells.
    """
    import pandas as pd

    codes = study.clusters.codes
    if codes is None:
        message = "Clusters without cells cannot be labelled."
        raise ValueError(message)
    group_key = study.group_key
    columns: dict[str, list[str]] = {
        "annotation": [row.label or UNKNOWN for row in found],
        "cellOntologyTerm": [row.ontology_label or UNKNOWN for row in found],
        "cellOntologyTermID": [row.ontology_id or UNKNOWN for row in found],
        "cellState": [row.state or "" for row in found],
        "reviewerConfidence": [_word(row) for row in found],
    }
    for name, of_cluster in columns.items():
        values = np.array([*of_cluster, None], dtype=object)[codes]
        levels = CONFIDENCES if name == "reviewerConfidence" else sorted(set(of_cluster))
        present = [level for level in levels if level in set(of_cluster)]
        adata.obs[f"{prefix}_{name}_{group_key}"] = pd.Categorical(values, categories=present)
    details = {k: found.provenance[k] for k in ("report_url", "api_url")}
    job = str(found.provenance["job"])
    visibility = found.provenance["options"].get("visibility")
    adata.uns[f"{prefix}_jobDetails"] = {
        "job_id": job,
        **details,
        **({"visibility": visibility} if visibility else {}),
    }
    result = json.dumps(published(found, study), ensure_ascii=False)
    adata.uns[f"{prefix}_results"] = {"job_id": job, "result": result}


def published(found: Annotations, study: Study) -> dict[str, Json]:
    """Return annotations in the form in which the package returns its results."""
    ids = ClusterIds.of(study.clusters.names).by_cluster
    service = found.provenance["service"]
    raw = {ids[cluster]: entry for cluster, entry in found.evidence.items()}
    return {
        "annotations": [_flat(row, ids[row.cluster], found.evidence) for row in found],
        "summary": service.get("summary", {}),
        "clusterCategories": service.get("clusterCategories", []),
        "studyContext": service.get("studyContext", ""),
        "raw_annotations": raw,
    }


def _flat(row: Annotation, identifier: str, evidence: Mapping[str, object]) -> dict[str, Json]:
    latest = _record(_record(evidence.get(row.cluster)).get("latest"))
    answer, review = _record(latest.get("annotation")), _record(latest.get("review"))
    deep = _record(_record(answer.get("fullOutput")).get("cellType"))
    heterogeneous = review.get("isHeterogeneous")
    flat: dict[str, Json] = {
        "clusterId": identifier,
        "annotation": row.label or UNKNOWN,
        "ontologyTerm": row.ontology_label or UNKNOWN,
        "ontologyTermID": row.ontology_id or UNKNOWN,
        "granularAnnotation": row.detail or "",
        "cellState": row.state or "",
        "justification": row.justification or "",
        "supportingMarkers": list(row.supporting),
        "conflictingMarkers": list(row.conflicting),
        "missingExpression": _words(answer, deep, "missingExpression", "missingGenes"),
        "unexpectedExpression": _words(answer, deep, "unexpectedExpression", "unexpectedGenes"),
        "reviewerConfidence": None if row.confidence is None else _word(row),
        "isHeterogeneous": heterogeneous if isinstance(heterogeneous, bool) else None,
        "heterogeneityType": next(iter(row.mixed), None),
    }
    return {**flat, "error": row.error} if row.error else flat


def _words(answer: Mapping[str, object], deep: Mapping[str, object], flat: str, genes: str) -> str:
    """Return an old text field, or what a newer service has in its place."""
    listed = deep.get(genes)
    joined = ", ".join(str(g) for g in listed) if isinstance(listed, list) else ""
    for text in (answer.get(flat), deep.get(f"{genes}Reasoning"), joined):
        if isinstance(text, str) and text.strip():
            return text
    return ""


def _word(row: Annotation) -> str:
    return UNKNOWN if row.confidence is None else _WORDS.get(row.confidence, UNKNOWN)


def stored_results(adata: anndata.AnnData, prefix: str) -> dict[str, Json] | None:
    """Return the results stored under a prefix, of this and of older releases, or None."""
    stored = adata.uns.get(f"{prefix}_results")
    result = stored.get("result") if isinstance(stored, Mapping) else None
    if isinstance(result, Mapping):
        return dict(result)
    try:
        found = json.loads(str(result))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def job_details(adata: anndata.AnnData, prefix: str) -> dict[str, Json] | None:
    """Return what is stored of the job under a prefix, or None."""
    stored = adata.uns.get(f"{prefix}_jobDetails")
    return dict(stored) if isinstance(stored, Mapping) else None


def _record(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
