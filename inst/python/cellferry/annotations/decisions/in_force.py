"""The rows of a table with the labels that are in force, and as the engine answered them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from ...biology.ontology import cell_ontology
from ..clusters import UNKNOWN, Annotation, Annotations, Status
from .decision import LABELLING, STALE, Decision, last_decisions, open_offers


def engine_row(row: Annotation) -> Annotation:
    """Return a row as the engine answered it."""
    if row.engine_status is None:
        return replace(row, decision=None, decided_by=None, decided_at=None, reason=None)
    ontology = cell_ontology()
    term = row.engine_ontology_id
    name = ontology[term].label if term is not None and term in ontology else None
    if term == row.ontology_id:
        name = row.ontology_label
    return replace(
        row,
        label=row.engine_label,
        status=cast("Status", row.engine_status),
        ontology_id=term,
        ontology_label=name,
        engine_label=None,
        engine_status=None,
        engine_ontology_id=None,
        decision=None,
        decided_by=None,
        decided_at=None,
        reason=None,
    )


def decided_row(row: Annotation, decision: Decision | None, *, stale: bool = False) -> Annotation:
    """Return a row with the label in force.

    Parameters
    ----------
    row
        As the engine answered it.
    decision
        The last one about it; None: nobody decided.
    stale
        Whether one is offered for it.
    """
    if decision is None or decision.action == "withdrawn":
        return replace(row, decision=STALE) if stale else row
    made = replace(
        row,
        engine_label=row.label,
        engine_status=row.status,
        engine_ontology_id=row.ontology_id,
        decision=decision.action,
        decided_by=decision.by,
        decided_at=decision.at,
        reason=decision.reason,
    )
    if decision.action == "unknown":
        return replace(made, label=UNKNOWN, status="unknown", ontology_id=None, ontology_label=None)
    if decision.action not in LABELLING:
        return made
    status: Status = "unknown" if decision.label == UNKNOWN else "ok"
    return replace(
        made,
        label=decision.label,
        status=status,
        ontology_id=decision.ontology_id,
        ontology_label=decision.ontology_label,
    )


def with_decisions(
    found: Annotations, decisions: Sequence[Decision], n_decided: Mapping[str, int] | None = None
) -> Annotations:
    """Return annotations with the labels in force.

    Parameters
    ----------
    found
        With or without decisions.
    decisions
        All of them, the oldest first.
    n_decided
        Cluster -> how many of its cells were decided by hand; None leaves them as they are.
    """
    last = last_decisions(decisions)
    offered = {offer.cluster for d in open_offers(decisions) for offer in d.offered}
    rows = []
    for row in found:
        made = decided_row(engine_row(row), last.get(row.cluster), stale=row.cluster in offered)
        if n_decided is not None:
            made = replace(made, n_decided=n_decided.get(row.cluster) or None)
        rows.append(made)
    return replace(found, rows=tuple(rows), decisions=tuple(decisions))
