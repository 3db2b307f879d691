"""The labels of a column become decisions: edits by hand, or another tool's labels."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..clusters import UNKNOWN
from ..labelling.columns import differing
from ..labelling.labels import Labels
from ..texts import Texts
from .carry import Groups
from .decide import about_chosen_cells, about_clusters
from .decision import Decision, Wanted
from .made import Decided, groups_of, unless_edited
from .of_cells import by_hand

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("cellferry")


def adopt(labels: Labels, column: Texts, by: str | None, reason: str | None) -> Decided:
    """Take the labels of a column over as decisions: edits by hand, or another tool's labels.

    A cluster whose cells all have one label is decided as a whole; cells that differ from the
    label in force of their cluster are decided by themselves, one decision for each label. Cells
    that have the label already stay as they are, and so do cells without a value: but in the
    column of the labels itself, where who took a label away says that it is not known.

    Parameters
    ----------
    labels
        What the object has.
    column
        One label per cell.
    by, reason
        Kept with each decision.
    """
    said = Wanted(reason=reason, by=by)
    expected = labels.expected
    assert expected is not None
    if not differing(column, labels.column("")).any():
        column = _removed_as_unknown(column, expected[""])
    if labels.of_cells:
        new = _by_label(labels, column, expected[""], np.arange(len(labels.cells)), said)
    else:
        groups = groups_of(labels)
        whole, rest = _whole_clusters(labels, groups, column, said)
        new = about_clusters(labels, whole) if whole else []
        new += _by_label(labels, column, expected[""], rest, said)
    if not new:
        these = "All cells" if (column.codes >= 0).all() else "All cells with a value"
        message = f"{these} have the labels of the column already: there is nothing to adopt."
        logger.info("%s", message)
        return Decided((), labels.record)
    affected = np.ones(len(labels.cells), dtype=bool)
    return unless_edited(labels, new, affected, overwrite=True)


def _removed_as_unknown(column: Texts, in_force: Any) -> Texts:
    """Return a column in which labels that were taken away are "Unknown"."""
    removed = (column.codes < 0) & differing(column, in_force)
    if not removed.any():
        return column
    place = Texts.of([*column.levels, UNKNOWN])
    unknown = place.levels.index(UNKNOWN)
    return Texts(place.levels, np.where(removed, unknown, column.codes).astype(np.int32))


def _whole_clusters(
    labels: Labels, groups: Groups, column: Texts, said: Wanted
) -> tuple[dict[str, Wanted], NDArray[np.intp]]:
    """Return the clusters that a column has one label for, and the cells that are none of these."""
    rows = {row.cluster: row for row in labels.record}
    hand = by_hand(labels.record.decisions, labels.cells) >= 0
    whole: dict[str, Wanted] = {}
    order = np.argsort(groups.codes, kind="stable")
    starts = np.searchsorted(groups.codes[order], np.arange(len(groups.names) + 1))
    # Cells without a cluster come first.
    rest = [order[: starts[0]]]
    for i, name in enumerate(groups.names):
        at = order[starts[i] : starts[i + 1]]
        if not len(at):
            continue
        codes = np.unique(column.codes[at])
        label = None if len(codes) > 1 or codes[0] < 0 else column.levels[int(codes[0])]
        if label is None or name in labels.unclear or hand[at].any():
            rest.append(at)
        elif label != rows[name].label:
            whole[name] = replace(said, label=label)
    return whole, np.concatenate([*rest[1:], rest[0]])


def _by_label(
    labels: Labels, column: Texts, in_force: Any, own: NDArray[np.intp], said: Wanted
) -> list[Decision]:
    """Return one decision for each label that cells have in a column and not in force."""
    chosen = own[differing(column, in_force)[own] & (column.codes[own] >= 0)]
    new = []
    for code in np.unique(column.codes[chosen]).tolist():
        at = chosen[column.codes[chosen] == code]
        names = [labels.cells[int(i)] for i in at]
        new.append(about_chosen_cells(labels, names, replace(said, label=column.levels[code])))
    return new
