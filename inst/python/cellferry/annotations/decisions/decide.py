"""What a person wants becomes decisions: of clusters, of cells; and they are withdrawn.

Each function takes what an object has under a key and returns what is written; or it takes a table
without cells and returns it with the decisions. Nothing is written where something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidOptionError, counted, in_language, listing, nearest
from ..labelling.columns import equals
from ..labelling.labels import Labels
from ..labelling.written import before_of
from .carry import Groups
from .decision import (
    Decision,
    Wanted,
    last_decisions,
    markers_by_cluster,
    markers_hash,
    open_offers,
)
from .in_force import with_decisions
from .made import (
    Decided,
    about_cells,
    about_cluster,
    about_hash,
    cells_about,
    engine_label,
    groups_of,
    history_line,
    identified,
    new_decision,
    unless_edited,
    with_new,
)
from .of_cells import by_hand, positions

if TYPE_CHECKING:
    from ..clusters import Annotations


def set_clusters(
    target: Labels | Annotations, wanted: Mapping[str, Wanted], *, overwrite: bool = False
) -> Decided:
    """Decide about clusters.

    Parameters
    ----------
    target
        What an object has under a key, or a table.
    wanted
        Cluster -> what it is to be.
    overwrite
        Whether labels of these clusters that were edited by hand may be replaced.

    Raises
    ------
    InvalidOptionError
        There is no such cluster, it has no cells, or there is no label.
    LabelsEditedError
        Cells of these clusters were edited by hand.
    AnnotationsError
        Which cells a cluster has is not known any more.
    """
    if not wanted:
        message = "Nothing is to be decided: no cluster is named."
        line = in_language(
            python='cellferry.set_labels(adata, {"3": "Kupffer cell"})',
            r='x <- SetLabels(x, "3" = "Kupffer cell")',
            cli='cellferry label INPUT --set 3="Kupffer cell" --out NAME',
        )
        raise InvalidOptionError(message, f"For example: {line}")
    record = target.record if isinstance(target, Labels) else target
    _check_clusters(record, wanted)
    if not isinstance(target, Labels):
        return _decide_table(target, wanted)
    if target.of_cells:
        return _decide_labels(target, wanted)
    new = about_clusters(target, wanted)
    # Cells that were chosen by hand keep what was decided about them.
    affected = cells_about(target, new) & (by_hand(record.decisions, target.cells) < 0)
    return unless_edited(target, new, affected, overwrite=overwrite)


def about_clusters(labels: Labels, wanted: Mapping[str, Wanted]) -> list[Decision]:
    """Return what is decided about clusters that are in the table."""
    groups = groups_of(labels)
    _check_have_cells(labels, groups, wanted)
    hashes, sizes = groups.hashes(list(wanted)), groups.sizes()
    new = []
    for row, n in zip(labels.record, sizes.tolist(), strict=True):
        if row.cluster in wanted:
            made = about_hash(row, wanted[row.cluster], hashes[row.cluster], labels.record)
            new.append(identified(replace(made, n_cells=n)))
    return new


def set_cells(
    labels: Labels, cells: Sequence[str], want: Wanted, *, overwrite: bool = True
) -> Decided:
    """Decide about cells that were chosen by hand.

    Parameters
    ----------
    labels
        What the object has.
    cells
        Their names.
    want
        What they are to be.
    overwrite
        Whether labels of these cells that were edited by hand may be replaced.

    Raises
    ------
    InvalidOptionError
        There are no such cells, or some are named twice.
    """
    new = [about_chosen_cells(labels, cells, want)]
    return unless_edited(labels, new, cells_about(labels, new), overwrite=overwrite)


def about_chosen_cells(labels: Labels, cells: Sequence[str], want: Wanted) -> Decision:
    """Return what is decided about cells; raises as :func:`set_cells`."""
    names = [str(c) for c in cells]
    if not names:
        message = "No cells are named."
        raise InvalidOptionError(message, "Give their names (`cells`).")
    if len(set(names)) != len(names):
        twice = sorted({n for n in names if names.count(n) > 1}) if len(names) < 10_000 else []
        message = f"Cells are named more than once: {listing(twice) or 'some of them'}."
        raise InvalidOptionError(message, "Name each once.")
    at = positions(names, labels.cells)
    missing = [n for n, i in zip(names, at, strict=True) if i < 0]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        message = f"{len(missing)} of {counted(len(names), 'cell')} {verb} not in this object."
        guess = nearest(missing[0], list(labels.cells[:2000]))
        hint = f"For example {listing(missing, 3)}."
        raise InvalidOptionError(message, hint + (f' Did you mean "{guess}"?' if guess else ""))
    made = about_cells(names, want, labels.record, engine_label(labels, at))
    kept = {} if made.action == "withdrawn" else before_of(labels, at)
    return replace(made, before=kept)


def withdraw(
    target: Labels | Annotations,
    clusters: Sequence[str] = (),
    cells: Sequence[str] = (),
    by: str | None = None,
    reason: str | None = None,
) -> Decided:
    """Withdraw what was decided: the engine's label is in force again.

    Parameters
    ----------
    target
        What an object has under a key, or a table.
    clusters, cells
        What the decisions are about; a stale one is withdrawn by the cluster it was about.
    by, reason
        Kept with the withdrawal.

    Raises
    ------
    InvalidOptionError
        Nothing was decided about them.
    """
    want = Wanted(action="withdrawn", by=by, reason=reason)
    record = target.record if isinstance(target, Labels) else target
    if len(cells):
        if not isinstance(target, Labels):
            message = "A table has no cells."
            raise InvalidOptionError(message, "Give the object.")
        at = positions([str(c) for c in cells], target.cells)
        if bool((at < 0).any()) or bool((by_hand(record.decisions, target.cells)[at] < 0).any()):
            message = "Nothing was decided about some of these cells."
            raise InvalidOptionError(message, history_line())
        return set_cells(target, cells, want)
    if isinstance(target, Labels) and target.of_cells:
        now = target.column("")
        chosen = by_hand(record.decisions, target.cells) >= 0
        wanted = {c for c, n in enumerate(now.levels) if n in set(clusters)}
        at = np.flatnonzero(chosen & np.isin(now.codes, list(wanted)))
        if not len(at):
            message = f"Nothing was decided about {listing(list(clusters))}."
            raise InvalidOptionError(message, history_line())
        return set_cells(target, [target.cells[int(i)] for i in at], want)
    last = last_decisions(record.decisions)
    offers = {d.cluster: d for d in open_offers(record.decisions)}
    undecided = [
        c for c in clusters if (c not in last or last[c].action == "withdrawn") and c not in offers
    ]
    if undecided or not clusters:
        message = f"Nothing was decided about {listing(undecided) or 'no cluster'}."
        raise InvalidOptionError(message, history_line())
    own = [c for c in clusters if c in last and last[c].action != "withdrawn"]
    stale = [offers[c].id for c in clusters if c not in own]
    made: Decided | None = None
    if own:
        made = set_clusters(target, dict.fromkeys(own, want), overwrite=True)
    if not stale:
        assert made is not None
        return made
    return _settled(target, made, stale, want)


def _settled(
    target: Labels | Annotations, made: Decided | None, ids: Sequence[str], want: Wanted
) -> Decided:
    """Close offers that are not wanted any more."""
    record = target.record if isinstance(target, Labels) else target
    new = [] if made is None else list(made.new)
    all_of = []
    for d in record.decisions:
        if d.id in ids:
            closed = new_decision("withdrawn", None, want, d.hash, record)
            new.append(identified(replace(closed, cluster=d.cluster, n_cells=d.n_cells)))
        all_of.append(replace(d, stale=False, offered=()) if d.id in ids else d)
    all_of += new
    if isinstance(target, Labels):
        return with_new(target, new, all_of, cells_about(target, new))
    return Decided(tuple(new), with_decisions(record, all_of))


def _check_clusters(record: Annotations, wanted: Iterable[str]) -> None:
    names = [row.cluster for row in record]
    unknown = [name for name in wanted if name not in names]
    if not unknown:
        return
    guess = nearest(unknown[0], names)
    message = f"There is no cluster {listing(unknown)}."
    hint = f'Did you mean "{guess}"? ' if guess else ""
    raise InvalidOptionError(message, f"{hint}The clusters are {listing(names)}.")


def _check_have_cells(labels: Labels, groups: Groups, wanted: Iterable[str]) -> None:
    sizes = dict(zip(groups.names, groups.sizes().tolist(), strict=True))
    empty = [name for name in wanted if not sizes.get(name)]
    if empty:
        message = f"Cluster {listing(empty)} has no cells in this object."
        raise InvalidOptionError(message, "Decide about it in an object that has them.")
    unclear = [name for name in wanted if name in labels.unclear]
    if unclear:
        message = (
            f"Which cells cluster {listing(unclear)} has is not known any more: the column of "
            "the clusters is gone or was changed, and its labels look like another's."
        )
        raise InvalidOptionError(message, "Annotate again, or name the cells (`cells`).")


def _decide_table(found: Annotations, wanted: Mapping[str, Wanted]) -> Decided:
    new = []
    genes = markers_by_cluster(found)
    for row in found:
        if row.cluster in wanted:
            value = markers_hash(row.cluster, genes[row.cluster])
            new.append(about_cluster(row, wanted[row.cluster], value, found, basis="markers"))
    return Decided(tuple(new), with_decisions(found, [*found.decisions, *new]))


def _decide_labels(labels: Labels, wanted: Mapping[str, Wanted]) -> Decided:
    """Decide about all cells of a label, where every cell was annotated by itself."""
    now = labels.column("")
    new: list[Decision] = []
    for name, want in wanted.items():
        at = np.flatnonzero(equals(now, name))
        if not len(at):
            message = f'No cell of this object has the label "{name}".'
            raise InvalidOptionError(message, f"Labels are {listing(list(now.levels))}.")
        new.append(about_chosen_cells(labels, [labels.cells[int(i)] for i in at], want))
    return unless_edited(labels, new, cells_about(labels, new), overwrite=True)
