"""From the results of the service to annotations: one row per cluster, nothing lost.

Fields that a newer service leaves blank are read from ``fullOutput``. An entry that
contradicts itself gives a failed row, never a label.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ...annotations.clusters import UNKNOWN, Annotation
from ...biology.text import ontology_id, says_unknown
from .keyed import by_id

if TYPE_CHECKING:
    from .payload import ClusterIds

ENGINE = "cytetype"

STATED: dict[str, float] = {"High": 0.9, "Moderate": 0.6, "Low": 0.3}
"""The reviewer's word -> confidence, of the kind "stated"."""


def rows_of(
    results: Mapping[str, object],
    states: Mapping[str, str],
    names: tuple[str, ...],
    ids: ClusterIds,
    with_markers: Collection[str] | None = None,
) -> tuple[tuple[Annotation, ...], dict[str, object]]:
    """Return the row of every cluster in order, and the evidence: all that was returned.

    Parameters
    ----------
    results
        The answer of ``/results``.
    states
        State of each cluster by id, the answer of ``/status``.
    names
        The clusters of the study.
    ids
        Their ids on the wire.
    with_markers
        The clusters that markers were sent for; any other one that has no answer is skipped,
        not failed. None: all.
    """
    labels = {own: name for name, own in ids.by_cluster.items()}
    entries = by_id(_record(results["annotations"]), labels)
    rows: list[Annotation] = []
    evidence: dict[str, object] = {}
    for name in names:
        identifier = ids.by_cluster[name]
        entry = entries.get(identifier)
        # A service may call a cluster by its name, unless that is the id of another one.
        also = () if name in labels else (name,)
        row = row_of(name, identifier, entry, states.get(identifier, ""), also)
        if row.status == "failed" and with_markers is not None and name not in with_markers:
            error = "The marker table has no rows for this cluster."
            row = Annotation(name, "skipped", error=error, engine=ENGINE)
        rows.append(row)
        if entry is not None:
            evidence[name] = entry
    return tuple(rows), evidence


def row_of(
    cluster: str, identifier: str, entry: object, state: str, also: Collection[str] = ()
) -> Annotation:
    """Return the row of one cluster.

    Parameters
    ----------
    cluster, identifier
        Its name, and its id on the wire.
    entry
        Its entry of the results, which may be missing or damaged.
    state
        Its state as the service said, ``""`` where it did not.
    also
        By what else an answer may say that it is for this cluster.
    """
    outer = _record(entry)
    latest = _record(outer.get("latest", outer))
    # In a list each record may be the annotation itself.
    plain = latest if isinstance(latest.get("annotation"), str) else {}
    found = _record(latest.get("annotation")) or plain
    if not found:
        if state == "failed":
            return _failed(cluster, "The service could not annotate this cluster.")
        return _failed(cluster, "The service returned no annotation for this cluster.")
    own = found.get("clusterId", identifier)
    if own is not None and str(own) != identifier and str(own) not in also:
        error = f'The answer says that it is for the cluster "{own}", so it is not used.'
        return _failed(cluster, error)
    deep = _record(_record(found.get("fullOutput")).get("cellType"))
    label = _text(found.get("annotation")) or _text(deep.get("label"))
    if not label or says_unknown(label):
        label = UNKNOWN
    review = _record(latest.get("review"))
    confidence = STATED.get(str(review.get("confidence")))
    term = _text(found.get("cellOntologyTermName"))
    return Annotation(
        cluster,
        "unknown" if label == UNKNOWN else "ok",
        label=label,
        detail=_text(found.get("granularAnnotation")),
        state=_text(found.get("cellState")),
        ontology_id=ontology_id(_text(found.get("cellOntologyTerm")) or ""),
        ontology_label=None if term in {None, UNKNOWN} else term,
        confidence=confidence,
        confidence_kind=None if confidence is None else "stated",
        alternatives=_candidates(found, label),
        mixed=_mixed(review),
        supporting=_texts(found.get("supportingMarkers")) or _texts(deep.get("keySupportingGenes")),
        conflicting=_texts(found.get("conflictingMarkers")) or _texts(deep.get("unexpectedGenes")),
        missing=_texts(deep.get("missingGenes")) or _texts(found.get("missingExpression")),
        justification=_text(found.get("justification")) or _text(deep.get("conclusion")),
        engine=ENGINE,
    )


def _failed(cluster: str, error: str) -> Annotation:
    return Annotation(cluster, "failed", error=error, engine=ENGINE)


def _candidates(answer: Mapping[str, object], label: str) -> tuple[str, ...]:
    given = _record(answer.get("fullOutput")).get("refinedCandidatesWithReasoning")
    listed = given if isinstance(given, list) else []
    found = (_text(_record(c).get("label")) for c in listed)
    return tuple(dict.fromkeys(c for c in found if c and c != label))


def _mixed(review: Mapping[str, object]) -> tuple[str, ...]:
    if review.get("isHeterogeneous") is not True:
        return ()
    full = _record(review.get("fullOutput"))
    kind = _text(_record(full.get("heterogeneityAssessment")).get("heterogeneityType"))
    return (kind or "heterogeneous",)


def _record(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    # Control characters have no place in a label and break terminals and files.
    return "".join(c if c.isprintable() else " " for c in value).strip() or None


def _texts(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(t for t in map(_text, listed) if t))
