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
    over = _over(found.decisions)
    rows = []
    for d, later in zip(found.decisions, over, strict=True):
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
                "state": _state(d, later, counts=not d.of_cells and d.id in counting),
                "run": d.run,
                "id": d.id,
            }
        )
    return rows


def _over(decisions: Sequence[Decision]) -> list[Decision | None]:
    """Return for each decision the last later one about the same cells, or more of them."""
    found: list[Decision | None] = []
    of_hash: dict[str, Decision] = {}
    # Of each cell the later decisions about cells, the last one first.
    of_cell: dict[str, list[tuple[Decision, set[str]]]] = {}
    for decision in reversed(decisions):
        if not decision.of_cells:
            found.append(of_hash.get(decision.hash))
            of_hash.setdefault(decision.hash, decision)
            continue
        own = set(decision.cells)
        later = of_cell.get(decision.cells[0], ())
        found.append(next((d for d, cells in later if own <= cells), None))
        for cell in own:
            of_cell.setdefault(cell, []).append((decision, own))
    return found[::-1]


def _state(decision: Decision, over: Decision | None, *, counts: bool) -> str:
    if decision.stale:
        return "stale"
    if counts or (decision.of_cells and over is None):
        return "in force"
    return "withdrawn" if over is not None and over.action == "withdrawn" else "replaced"


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
