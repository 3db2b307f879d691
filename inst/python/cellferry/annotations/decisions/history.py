"""The history of decisions as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .decision import Decision, last_decisions, to_file

if TYPE_CHECKING:
    from ..clusters import Annotations

HISTORY = (
    "at", "cluster", "n_cells", "decision", "label", "ontology_id", "by", "reason", "state", "run",
    "id",
)  # fmt: skip
"""Its columns."""


def history(found: Annotations) -> list[dict[str, Any]]:
    """Return one row per decision as plain data, the oldest first.

    Parameters
    ----------
    found
        With decisions.
    """
    counting = {d.id for d in last_decisions(found.decisions).values()}
    rows = []
    for number, d in enumerate(found.decisions):
        later = found.decisions[number + 1 :]
        rows.append(
            {
                "at": d.at,
                "cluster": d.cluster,
                "n_cells": len(d.cells) if d.of_cells else d.n_cells,
                "decision": d.action,
                "label": d.label,
                "ontology_id": d.ontology_id,
                "by": d.by,
                "reason": d.reason,
                "state": _state(d, later, counting),
                "run": d.run,
                "id": d.id,
            }
        )
    return rows


def _state(decision: Decision, later: Sequence[Decision], counting: set[str]) -> str:
    if decision.stale:
        return "stale"
    if decision.of_cells:
        own = set(decision.cells)
        over = [d for d in later if d.of_cells and own <= set(d.cells)]
    elif decision.id in counting:
        over = []
    else:
        over = [d for d in later if not d.of_cells and d.hash == decision.hash]
        if not over:
            return "replaced"
    if not over:
        return "in force"
    return "withdrawn" if over[-1].action == "withdrawn" else "replaced"


def decisions_text(found: Annotations, key: str | None = None) -> str:
    """Return the decisions of annotations as a file has them, to be applied elsewhere.

    Parameters
    ----------
    found
        With decisions.
    key
        Name of the label column; None is what the annotations say.
    """
    run = found.provenance.get("run")
    own = str(key or found.provenance.get("key") or "cell_type")
    return to_file(found.decisions, own, None if run is None else str(run))
