"""What a person decides on the page: checked, and added to the file of the review."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from ...annotate.decisions import lines_of, reviewer
from ...annotations.decisions.decision import (
    ACTIONS,
    LONGEST_REASON,
    Wanted,
    last_decisions,
)
from ...annotations.decisions.in_force import with_decisions
from ...annotations.decisions.made import Decided, about_cells, about_cluster
from ...annotations.decisions.of_cells import by_hand
from ...errors import InvalidOptionError, OutputError
from ...runs.decisions import append_to
from ..bodies import FIRST_ERROR, Body, Name, one_of
from ..comparing import MOST_MASK, cells_in
from ..failures import Code, Failure, fail, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...annotations.clusters import Annotations
    from ...annotations.decisions.decision import Decision
    from .page import ReviewPage

MOST_AT_ONCE = 2000
MOST_KEPT = 20_000
"""Decisions of a review, withdrawals among them."""
_MUTEX = threading.Lock()


class Wish(Body):
    """What is decided about a row, or about cells: a bit mask of their positions, base64."""

    decision: Annotated[str, one_of(ACTIONS)]
    cluster: Name | None = None
    cells: Annotated[str, Field(max_length=MOST_MASK)] | None = None
    label: Name | None = None
    ontology_id: Name | None = None
    reason: Annotated[str, Field(max_length=LONGEST_REASON)] | None = None
    by: Name | None = None


class Wishes(Body):
    """Decisions: all are taken, or none."""

    decisions: Annotated[list[Wish], Field(min_length=1, max_length=MOST_AT_ONCE), FIRST_ERROR]


def decide(page: ReviewPage, wishes: list[Wish]) -> list[dict[str, Any]]:
    """Add decisions, all or none, and return the history as the page lists it.

    Parameters
    ----------
    page
        Of the review.
    wishes
        What was sent.

    Raises
    ------
    Failure
        There is no such row or cell, nothing was decided that could be withdrawn, a text is none,
        or they cannot be written.
    """
    with _MUTEX:
        found = page.now()
        new: list[Decision] = []
        for number, wish in enumerate(wishes):
            where = f"`decisions[{number}]`"
            try:
                made = _made(page, found, wish, where)
            except InvalidOptionError as error:
                fail(f"{where}: {error.message} {error.hint}".strip().replace("`", ""), error)
            new.append(made)
            # The next one may be about the same.
            found = with_decisions(found, [*found.decisions, made])
        if len(found.decisions) > MOST_KEPT:
            message = f"A review has {MOST_KEPT} decisions at most, and this one has them."
            raise Failure(Code.PAYLOAD_TOO_LARGE, message)
        _append(page, Decided(tuple(new), found))
    return page.decisions()


def _append(page: ReviewPage, made: Decided) -> None:
    try:
        append_to(page.folder.decisions, lines_of(made))
    except OutputError as error:
        cause = error.__cause__
        full = getattr(cause, "errno", None) in {errno.ENOSPC, errno.EDQUOT}
        code = Code.INSUFFICIENT_STORAGE if full else Code.INTERNAL_ERROR
        raise Failure(code, f"{error.message} Nothing was changed.") from error


def _made(page: ReviewPage, found: Annotations, wish: Wish, where: str) -> Decision:
    if (wish.cluster is None) == (wish.cells is None):
        fail(f"{where} must name either a `cluster` or `cells`.")
    if wish.label and wish.decision not in {"accepted", "relabelled"}:
        fail(f"{where}: with {wish.decision} there is no label.")
    if wish.decision == "relabelled" and not wish.label:
        fail(f"{where}: a new label is missing.")
    by = wish.by or reviewer()
    # The label says whether it is the engine's, another or "Unknown".
    action = None if wish.decision == "relabelled" else wish.decision
    want = Wanted(wish.label, action, wish.ontology_id, wish.reason, by, quiet=True)
    if wish.cells is not None:
        positions = cells_in(wish.cells, page.n_cells, f"{where}.cells")
        return _about_positions(page, found, positions, want, where)
    return _about_row(page, found, str(wish.cluster), want, where)


def _about_row(
    page: ReviewPage, found: Annotations, cluster: str, want: Wanted, where: str
) -> Decision:
    names = [row.cluster for row in found]
    if cluster not in names:
        fail(f"{where}: there is no {page.noun} {shown(cluster)} here.")
    number = names.index(cluster)
    if page.noun == "label":
        return _about_positions(page, found, page.cells_of_row(number), want, where)
    if want.action == "withdrawn":
        last = last_decisions(found.decisions).get(cluster)
        if last is None or last.action == "withdrawn":
            fail(f"{where}: nothing was decided about the cluster {shown(cluster)}.")
    row = found.rows[number]
    if not row.n_cells and page.n_cells:
        fail(f"{where}: the cluster {shown(cluster)} has no cells here.")
    value, basis = page.hash_of(number)
    return about_cluster(row, want, value, found, basis="cells" if basis == "cells" else "markers")


def _about_positions(
    page: ReviewPage, found: Annotations, positions: NDArray[np.intp], want: Wanted, where: str
) -> Decision:
    if not len(positions):
        fail(f"{where}: no cell is chosen.")
    names = page.names(positions)
    if len(set(names)) != len(names):
        fail(f"{where}: some of these cells have the same name, and can't be told apart.")
    if want.action == "withdrawn" and bool((by_hand(found.decisions, names) < 0).any()):
        fail(f"{where}: nothing was decided about some of these cells.")
    return about_cells(names, want, found, page.engine_label(positions))
