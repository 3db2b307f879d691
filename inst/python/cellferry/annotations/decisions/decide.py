"""From what a person wants to decisions: of clusters, of cells, from a column or a file.

Each function takes what an object has under a key and returns what is written; or it takes a table
without cells and returns it with the decisions. Nothing is written where something is wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import (
    AnnotationsError,
    DecisionsMismatchError,
    DecisionsWarning,
    InvalidOptionError,
    counted,
    enumerated,
    in_language,
    listing,
    nearest,
    warn,
)
from ..clusters import UNKNOWN
from ..labelling.columns import differing, equals
from ..labelling.edited import edited_error
from ..labelling.labels import Labels, Written
from ..labelling.written import before_of, decided
from ..texts import Texts
from .carry import Groups
from .decision import (
    Action,
    Decision,
    Term,
    Wanted,
    action_of,
    by_now,
    checked_text,
    described,
    identity,
    last_decisions,
    located,
    markers_by_cluster,
    markers_hash,
    names_hash,
    open_offers,
    order_hash,
)
from .in_force import engine_row, with_decisions
from .of_cells import by_hand, placed, positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..clusters import Annotation, Annotations

logger = logging.getLogger("cellferry")


@dataclass(frozen=True, eq=False)
class Decided:
    """What came of it: the new decisions, and what is written or the table.

    Attributes
    ----------
    new
        Decisions that were added.
    written
        For an object.
    table
        The annotations with all decisions.
    """

    new: tuple[Decision, ...]
    table: Annotations
    written: Written | None = None


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
    new = _of_clusters(target, wanted)
    # Cells that were chosen by hand keep what was decided about them.
    affected = _affected(target, new) & (by_hand(record.decisions, target.cells) < 0)
    return _decided(target, new, affected, overwrite=overwrite)


def _of_clusters(labels: Labels, wanted: Mapping[str, Wanted]) -> list[Decision]:
    """Return what is decided about clusters that are in the table."""
    groups = groups_of(labels)
    _check_have_cells(labels, groups, wanted)
    hashes, sizes = groups.hashes(list(wanted)), groups.sizes()
    new = []
    for row, n in zip(labels.record, sizes.tolist(), strict=True):
        if row.cluster in wanted:
            made = _about(row, wanted[row.cluster], hashes[row.cluster], labels.record)
            new.append(_identified(replace(made, n_cells=n)))
    return new


def about_cluster(
    row: Annotation,
    want: Wanted,
    value: str,
    record: Annotations,
    *,
    basis: Literal["cells", "markers"] = "cells",
) -> Decision:
    """Return what is decided about a cluster that is known by a hash.

    Parameters
    ----------
    row
        Of the record, with the cells that it has.
    want
        What it is to be.
    value, basis
        The hash, and of what it is.
    record
        The table.

    Raises
    ------
    InvalidOptionError
        Label and decision contradict each other, or are no text.
    """
    made = _about(row, want, value, record)
    return _identified(replace(made, basis=basis, n_cells=row.n_cells))


def about_cells(
    names: Sequence[str], want: Wanted, record: Annotations, engine_label: str | None
) -> Decision:
    """Return what is decided about cells that are there, each named once.

    Parameters
    ----------
    names
        Of the cells.
    want
        What they are to be.
    record
        The table.
    engine_label
        What the engine says of all of them; None where it says several things.

    Raises
    ------
    InvalidOptionError
        Label and decision contradict each other, or are no text.
    """
    action, term = action_of(want, engine_label, "these cells")
    made = _made(action, term, want, names_hash(names), record)
    return _identified(replace(made, cells=tuple(names), n_cells=len(names)))


def _about(row: Annotation, want: Wanted, value: str, record: Annotations) -> Decision:
    """Return what is decided about a cluster that is known by a hash."""
    action, term = action_of(want, engine_row(row).label, f'cluster "{row.cluster}"')
    made = _made(action, term, want, value, record)
    return replace(made, cluster=row.cluster, clusters=(row.cluster,))


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
    new = [_of_cells(labels, cells, want)]
    return _decided(labels, new, _affected(labels, new), overwrite=overwrite)


def _of_cells(labels: Labels, cells: Sequence[str], want: Wanted) -> Decision:
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
    made = about_cells(names, want, labels.record, _engine_label(labels, at))
    kept = {} if made.action == "withdrawn" else before_of(labels, at)
    return replace(made, before=kept)


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
        new = _of_clusters(labels, whole) if whole else []
        new += _by_label(labels, column, expected[""], rest, said)
    if not new:
        these = "All cells" if (column.codes >= 0).all() else "All cells with a value"
        message = f"{these} have the labels of the column already: there is nothing to adopt."
        logger.info("%s", message)
        return Decided((), labels.record)
    affected = np.ones(len(labels.cells), dtype=bool)
    return _decided(labels, new, affected, overwrite=True)


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
        new.append(_of_cells(labels, names, replace(said, label=column.levels[code])))
    return new


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
            raise InvalidOptionError(message, _history_line())
        return set_cells(target, cells, want)
    if isinstance(target, Labels) and target.of_cells:
        now = target.column("")
        chosen = by_hand(record.decisions, target.cells) >= 0
        wanted = {c for c, n in enumerate(now.levels) if n in set(clusters)}
        at = np.flatnonzero(chosen & np.isin(now.codes, list(wanted)))
        if not len(at):
            message = f"Nothing was decided about {listing(list(clusters))}."
            raise InvalidOptionError(message, _history_line())
        return set_cells(target, [target.cells[int(i)] for i in at], want)
    last = last_decisions(record.decisions)
    offers = {d.cluster: d for d in open_offers(record.decisions)}
    undecided = [
        c for c in clusters if (c not in last or last[c].action == "withdrawn") and c not in offers
    ]
    if undecided or not clusters:
        message = f"Nothing was decided about {listing(undecided) or 'no cluster'}."
        raise InvalidOptionError(message, _history_line())
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
            closed = _made("withdrawn", None, want, d.hash, record)
            new.append(_identified(replace(closed, cluster=d.cluster, n_cells=d.n_cells)))
        all_of.append(replace(d, stale=False, offered=()) if d.id in ids else d)
    all_of += new
    if isinstance(target, Labels):
        return _finished(target, new, all_of, _affected(target, new))
    return Decided(tuple(new), with_decisions(record, all_of))


def _history_line() -> str:
    line = in_language(
        python="cellferry.decisions(adata)", r="Decisions(x)", cli="cellferry label INPUT --list"
    )
    return f"What was decided: {line}"


def apply(
    target: Labels | Annotations, decisions: Sequence[Decision], run: str | None = None
) -> Decided:
    """Apply decisions of another object or of a page: those whose cells are a cluster here.

    Parameters
    ----------
    target
        What an object has under a key, or a table.
    decisions
        In their order.
    run
        The run that they were made on.

    Raises
    ------
    DecisionsMismatchError
        None is about cells, or markers, that are here; nothing is changed.
    """
    record = target.record if isinstance(target, Labels) else target
    known = {d.id for d in record.decisions}
    hashes = _hashes_of(target)
    clusters_of: dict[str, list[str]] = {}
    for name, value in hashes.items():
        clusters_of.setdefault(value, []).append(name)
    of_markers = _by_markers(target, hashes)
    decisions = _named(target, decisions)
    where = placed(decisions, target.cells) if isinstance(target, Labels) else None
    new: list[Decision] = []
    left: list[Decision] = []
    n_known = 0
    for number, decision in enumerate(decisions):
        if decision.id in known:
            n_known += 1
            continue
        if decision.of_cells:
            if (
                isinstance(target, Labels)
                and not decision.cells_at
                and where is not None
                and bool((where.of(number) >= 0).all())
            ):
                new.append(replace(decision, before=before_of(target, where.of(number))))
            else:
                left.append(decision)
            continue
        names = clusters_of.get(decision.hash, [])
        if names:
            new.append(replace(decision, clusters=tuple(names), stale=False, offered=()))
        elif decision.basis == "markers" and decision.hash in of_markers:
            # About the table that these cells were labelled by: it is about them now.
            name, value = of_markers[decision.hash]
            of_cells = replace(decision, basis="cells", hash=value, clusters=(name,))
            new.append(replace(of_cells, stale=False, offered=()))
        else:
            left.append(decision)
    if not new and not n_known:
        what = "cells" if isinstance(target, Labels) else "markers"
        message = (
            f"None of the {counted(len(decisions), 'decision')} is about {what} that a cluster "
            f"here has: {enumerated([described(d) for d in left])}."
        )
        hint = "They were made on another object, or on other clusters. Nothing was changed."
        raise DecisionsMismatchError(message, hint, left=[described(d) for d in left])
    own = record.provenance.get("run")
    if run is not None and own is not None and run != own:
        logger.info("The decisions were made on the run %s; these labels are of %s.", run, own)
    if left:
        cells = "its cells are" if len(left) == 1 else "their cells are"
        message = (
            f"{counted(len(left), 'decision')} of {len(decisions)} could not be applied, because "
            f"{cells} no cluster here: {enumerated([described(d) for d in left])}."
        )
        warn(DecisionsWarning(message, "They are left out; decide about these clusters anew."))
    if not new:
        return Decided((), record)
    if not isinstance(target, Labels):
        return Decided(tuple(new), with_decisions(record, [*record.decisions, *new]))
    affected = _affected(target, new)
    return _decided(target, new, affected, overwrite=True)


def _named(target: Labels | Annotations, decisions: Sequence[Decision]) -> list[Decision]:
    """Return decisions in which places of this object's cells are their names."""
    if not isinstance(target, Labels) or not any(d.cells_at for d in decisions):
        return list(decisions)
    order = order_hash(target.cells)
    return [(located(d, target.cells, order) or d) if d.cells_at else d for d in decisions]


def carry(
    target: Labels,
    other: Labels | None = None,
    clusters: Sequence[str] | None = None,
    by: str | None = None,
    least: float = 0.5,
) -> Decided:
    """Take stale decisions over, to the cluster that holds most of their cells.

    Parameters
    ----------
    target
        What the object has.
    other
        An object that was decided about, of which the cells have the same names. None: what is
        stale in the object itself.
    clusters
        Only those that are offered for these clusters; None: all.
    by
        Who takes them over; None: who decided.
    least
        Of another object: the smallest share of the decision's cells in the cluster.

    Raises
    ------
    InvalidOptionError
        Nothing is offered.
    """
    groups = groups_of(target)
    pairs: list[tuple[Decision, str]] = []
    if other is None:
        for decision in open_offers(target.record.decisions):
            pairs += [(decision, offer.cluster) for offer in decision.offered]
    else:
        pairs = _from_other(target, other, groups, least)
    if clusters is not None:
        pairs = [(d, name) for d, name in pairs if name in set(clusters)]
    sizes = dict(zip(groups.names, groups.sizes().tolist(), strict=True))
    pairs = [(d, name) for d, name in pairs if sizes.get(name)]
    if not pairs:
        message = "No decision is offered that could be taken over."
        raise InvalidOptionError(message, _history_line())
    # Of several for one cluster the one that is about most of it; the others stay offered.
    shares = {d.id: max((o.of_cluster or 0.0 for o in d.offered), default=0.0) for d, _ in pairs}
    last: dict[str, Decision] = {}
    for decision, name in pairs:
        if name not in last or shares[decision.id] >= shares[last[name].id]:
            last[name] = decision
    hashes = groups.hashes(list(last))
    new = [
        _identified(
            replace(
                decision,
                at=by_now(),
                hash=hashes[name],
                cluster=name,
                clusters=(name,),
                n_cells=sizes[name],
                by=by or decision.by,
                run=target.record.provenance.get("run"),
                stale=False,
                offered=(),
            )
        )
        for name, decision in last.items()
    ]
    taken = {d.id for d in last.values()}
    kept = [
        replace(d, stale=False, offered=()) if d.id in taken else d for d in target.record.decisions
    ]
    affected = np.isin(groups.codes, [groups.names.index(name) for name in last])
    affected &= by_hand(target.record.decisions, target.cells) < 0
    return _finished(target, new, [*kept, *new], affected)


def _from_other(
    target: Labels, other: Labels, groups: Groups, least: float
) -> list[tuple[Decision, str]]:
    at = positions(other.cells, target.cells)
    if not bool((at >= 0).any()):
        message = "The two objects have no cell in common."
        example = f'"{other.cells[0]}" and "{target.cells[0]}"'
        raise InvalidOptionError(message, f"Names are, for example, {example}.")
    rows = other.rows
    if rows is None:
        raise _unknown_cells(other.key)
    names = tuple(row.cluster for row in other.record)
    found = []
    for name, decision in last_decisions(other.record.decisions).items():
        if decision.action == "withdrawn":
            continue
        own = at[(rows == names.index(name)) & (at >= 0)]
        codes = groups.codes[own]
        codes = codes[codes >= 0]
        if len(codes):
            counts = np.bincount(codes, minlength=len(groups.names))
            best = int(np.argmax(counts))
            if counts[best] >= least * len(own):
                found.append((decision, groups.names[best]))
    return found


def groups_of(labels: Labels) -> Groups:
    """Return the clusters of an object as its record has them.

    Raises
    ------
    AnnotationsError
        Neither the clusters nor the labels of the cells are left.
    """
    rows = labels.rows
    if rows is None:
        raise _unknown_cells(labels.key)
    return Groups(tuple(row.cluster for row in labels.record), rows, labels.cells)


def _unknown_cells(key: str) -> AnnotationsError:
    message = (
        f'Which cells the clusters of "{key}" have is not known any more: the columns of the '
        "clusters and of the labels are gone or were changed."
    )
    return AnnotationsError(message, "Annotate again, or name the cells (`cells`).")


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
        new.append(_of_cells(labels, [labels.cells[int(i)] for i in at], want))
    return _decided(labels, new, _affected(labels, new), overwrite=True)


def _hashes_of(target: Labels | Annotations) -> dict[str, str]:
    if isinstance(target, Labels):
        return {} if target.of_cells else groups_of(target).hashes()
    genes = markers_by_cluster(target)
    return {r.cluster: markers_hash(r.cluster, genes[r.cluster]) for r in target}


def _by_markers(
    target: Labels | Annotations, hashes: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Return what a table would know a cluster by -> its name here, and the hash of its cells."""
    if not isinstance(target, Labels):
        return {}
    genes = markers_by_cluster(target.record)
    return {
        markers_hash(name, genes[name]): (name, value)
        for name, value in hashes.items()
        if genes.get(name)
    }


def _affected(labels: Labels, new: Sequence[Decision]) -> NDArray[np.bool_]:
    affected = np.zeros(len(labels.cells), dtype=bool)
    clusters = {name for d in new for name in d.clusters}
    if clusters:
        groups = groups_of(labels)
        affected |= np.isin(groups.codes, [groups.names.index(name) for name in clusters])
    of_cells = [d for d in new if d.of_cells]
    if of_cells:
        affected[placed(of_cells, labels.cells).at] = True
    return affected


def _engine_label(labels: Labels, at: NDArray[np.intp]) -> str | None:
    """Return the engine's label of cells, None where they have several."""
    if not labels.of_cells and labels.rows is None:
        return None
    engine = labels.engines[""]
    codes = np.unique(engine.codes[at])  # type: ignore[union-attr]
    if len(codes) != 1 or codes[0] < 0:
        return None
    levels: tuple[str, ...] = engine.levels  # type: ignore[union-attr]
    return levels[int(codes[0])]


def _made(
    action: Action, term: Term | None, want: Wanted, value: str, record: Annotations
) -> Decision:
    run = record.provenance.get("run")
    return Decision(
        "",
        action,
        by_now(),
        value,
        label=None if term is None else term.label,
        ontology_id=None if term is None else term.ontology_id,
        ontology_label=None if term is None else term.ontology_label,
        reason=None if not want.reason else checked_text(want.reason, "reason"),
        by=None if not want.by else checked_text(want.by, "by"),
        run=None if run is None else str(run),
    )


def _identified(decision: Decision) -> Decision:
    return replace(decision, id=identity(decision))


def _decided(
    labels: Labels,
    new: Sequence[Decision],
    affected: NDArray[np.bool_],
    *,
    overwrite: bool = False,
) -> Decided:
    n = int((labels.edited & affected).sum())
    if n and not overwrite:
        raise edited_error(labels.key, n)
    return _finished(labels, new, [*labels.record.decisions, *new], affected)


def _finished(
    labels: Labels,
    new: Sequence[Decision],
    decisions: Sequence[Decision],
    affected: NDArray[np.bool_],
) -> Decided:
    written = decided(labels, decisions, affected)
    return Decided(tuple(new), written.record, written)
