"""Why a row wants a look: reasons with their figures, the weightiest first. None changes a label."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..clusters import Annotation, Annotations
    from .content import Cells

LOW = 0.5
"""Confidence below which a label wants a look."""


class Reason(NamedTuple):
    """A stable code, and a sentence with the figures."""

    code: str
    text: str


def reasons(found: Annotations, row: Annotation, cells: Cells | None = None) -> list[Reason]:
    """Return why a row wants a look, the weightiest reason first.

    Parameters
    ----------
    found
        All rows.
    row
        One of them.
    cells
        The cells, whose metadata is looked at.
    """
    made: list[Reason] = []
    if row.decision == "stale":
        made.append(Reason("stale", "An earlier decision is about other cells than it has now."))
    if row.decision == "needs_work":
        made.append(Reason("needs_work", "Somebody marked it as needing work."))
    if row.status == "failed":
        made.append(Reason("failed", row.error or "The engine failed."))
    if row.status == "unknown":
        made.append(Reason("unknown", "No type is supported well enough."))
    if row.mixed:
        made.append(Reason("mixed", f"It has markers of more than one type: {', '.join(row.mixed)}."))
    if row.status == "ok" and row.confidence is not None and row.confidence < LOW:
        made.append(Reason("low_confidence", f"Confidence is {row.confidence:.2f}."))
    return made
