"""What persons decide about the clusters of a finished job: added to a file, never changed.

The file is in the job's folder, beside the answers, with a lock of its own; the engine's answers
stay as they are, and what is shown is made of both.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from ...annotate.deciding import Asked, decide_all
from ...annotate.decisions import lines_of
from ...annotations.clusters import UNKNOWN, Annotation, Annotations
from ...annotations.decisions.decision import ACTIONS, LONGEST_REASON, Wanted, last_decisions
from ...annotations.decisions.history import history
from ...errors import InvalidOptionError, OutputError
from ...runs.decided import DECISIONS, decided, decisions_in
from ...runs.decisions import append_to
from ..bodies import FIRST_ERROR, Body, Name, one_of
from ..failures import Code, Failure, fail, shown
from .results import categories, entry_of

if TYPE_CHECKING:
    from ...files import Json

MOST_AT_ONCE = 2000
MOST_KEPT = 5000
"""Decisions of a job, withdrawals among them."""
MOST_BYTES = 16 * 1024**2
"""Bytes of the decisions of a job."""


class OneDecision(Body):
    """What somebody decided about a cluster; without a decision the label says it."""

    cluster: Name
    label: Name | None = None
    decision: Annotated[str, one_of(ACTIONS)] | None = None
    ontology_id: Name | None = None
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] | None = None
    by: Name | None = None


class Decided(Body):
    """Decisions, each about another cluster: all are taken, or none."""

    decisions: Annotated[
        list[OneDecision], Field(min_length=1, max_length=MOST_AT_ONCE), FIRST_ERROR
    ]


class KeptDecision(TypedDict):
    """One decision of the history."""

    at: str
    cluster: str | None
    n_cells: int | None
    decision: Annotated[str, one_of(ACTIONS)]
    label: str | None
    ontology_id: str | None
    by: str | None
    reason: str | None
    state: Annotated[str, one_of(["in force", "replaced", "withdrawn", "stale"])]
    run: str | None
    id: str


class Decisions(TypedDict):
    """All decisions of a job, the oldest first."""

    job_id: str
    decisions: list[KeptDecision]


def has_decisions(folder: Path) -> bool:
    """Whether anything was decided about a job."""
    return (folder / DECISIONS).exists()


def in_force(found: Annotations, folder: Path) -> Annotations:
    """Return the answers of a job with the labels in force.

    Parameters
    ----------
    found
        As the engine answered.
    folder
        Of the job.
    """
    if not has_decisions(folder):
        return found
    run = found.provenance.get("run")
    return decided(found, decisions_in(folder), None if run is None else str(run))


def rows_of(job: str, found: Annotations) -> Decisions:
    """Return the body of ``GET /jobs/{job_id}/decisions``.

    Parameters
    ----------
    job
        Its id.
    found
        Its answers with the labels in force.
    """
    kept: Any = history(found)
    return Decisions(job_id=job, decisions=kept)


def decide(found: Annotations, folder: Path, sent: Sequence[OneDecision]) -> Annotations:
    """Add decisions to those of a job, all or none, and return its answers with them.

    Parameters
    ----------
    found
        Its answers with the labels in force.
    folder
        Of the job.
    sent
        What was sent.

    Raises
    ------
    Failure
        There is no such cluster, nothing was decided that could be withdrawn, a text is none, the
        job has all decisions that are kept, or they cannot be written.
    """
    asked = _asked(found, sent)
    try:
        made = decide_all(found, asked)
    except InvalidOptionError as error:
        fail(f"{error.message} {error.hint}".strip().replace("`", ""), error)
    path = folder / DECISIONS
    try:
        size = path.stat().st_size if path.exists() else 0
        if len(made.table.decisions) > MOST_KEPT or size > MOST_BYTES:
            message = f"A job has {MOST_KEPT} decisions at most, and this one has them."
            raise Failure(Code.PAYLOAD_TOO_LARGE, message)
        append_to(path, lines_of(made))
    except (OSError, OutputError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = getattr(cause, "strerror", None) or "another process is writing them"
        full = getattr(cause, "errno", None) in {errno.ENOSPC, errno.EDQUOT}
        code = Code.INSUFFICIENT_STORAGE if full else Code.INTERNAL_ERROR
        message = f"The decisions cannot be kept: {reason}. Nothing was changed."
        raise Failure(code, message) from error
    return made.table


def _asked(found: Annotations, sent: Sequence[OneDecision]) -> Asked:
    wanted: dict[str, Wanted] = {}
    names = {row.cluster for row in found}
    last = last_decisions(found.decisions)
    for number, one in enumerate(sent):
        where, cluster = f"`decisions[{number}]`", shown(one.cluster)
        if one.cluster not in names:
            fail(f"{where}: there is no cluster {cluster} in this job.")
        if one.cluster in wanted:
            fail(f"{where}: the cluster {cluster} is given two labels.")
        if one.label and one.decision not in {None, "accepted", "relabelled"}:
            fail(f"{where}: with {one.decision} there is no label.")
        if one.decision == "withdrawn":
            earlier = last.get(one.cluster)
            if earlier is None or earlier.action == "withdrawn":
                fail(f"{where}: nothing was decided about the cluster {cluster}.")
        want = Wanted(one.label, one.decision, one.ontology_id, one.reason, one.by, quiet=True)
        wanted[one.cluster] = want
    return Asked(wanted=wanted)


def results_in_force(content: dict[str, Any], found: Annotations) -> dict[str, Json]:
    """Return the body of ``/results`` with the labels in force.

    What is decided has ``engineAnnotation`` and ``decision`` beside ``annotation``; all other
    entries are as the engine answered.

    Parameters
    ----------
    content
        The body without decisions.
    found
        The answers with the labels in force.
    """
    entries, failures = dict(content["annotations"]), dict(content["failures"])
    for row in found:
        if row.decision is None or row.label is None or row.engine_status is None:
            continue
        entry = entries.get(row.cluster) or {"latest": entry_of(row, found), "history": []}
        entries[row.cluster] = {**entry, "latest": _decided(entry["latest"], row)}
        failures.pop(row.cluster, None)
    answered = [row for row in found if row.label is not None]
    summary = {
        **content["summary"],
        "answered": len(answered),
        "unknown": sum(row.status == "unknown" for row in found),
    }
    ordered = {row.cluster: entries[row.cluster] for row in found if row.cluster in entries}
    return {
        **content,
        "annotations": ordered,
        "summary": summary,
        "clusterCategories": categories(answered),
        "failures": failures,
    }


def _decided(latest: dict[str, Any], row: Annotation) -> dict[str, Any]:
    before = latest["annotation"]
    label = row.label or UNKNOWN
    is_other = row.label != row.engine_label
    output = before["fullOutput"]
    made = {
        **before,
        "annotation": label,
        "engineAnnotation": row.engine_label or "",
        "decision": row.decision,
        "cellOntologyTermName": row.ontology_label or UNKNOWN,
        "cellOntologyTerm": row.ontology_id or UNKNOWN,
        "status": row.status,
        # It is a kind of the engine's label.
        "granularAnnotation": "" if is_other else before["granularAnnotation"],
        "fullOutput": {**output, "cellType": {**output["cellType"], "label": label}},
    }
    said = {"decidedBy": row.decided_by, "decidedAt": row.decided_at, "reason": row.reason}
    made |= {name: value for name, value in said.items() if value is not None}
    return {**latest, "annotation": made}
