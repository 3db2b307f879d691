"""Decisions made elsewhere, or about other clusters: applied by their cells, or carried over."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import (
    DecisionsMismatchError,
    DecisionsWarning,
    InvalidOptionError,
    counted,
    enumerated,
    warn,
)
from ..labelling.labels import Labels
from ..labelling.written import before_of
from .carry import Groups
from .decision import (
    Decision,
    by_now,
    described,
    last_decisions,
    located,
    markers_by_cluster,
    markers_hash,
    open_offers,
    order_hash,
)
from .in_force import with_decisions
from .made import (
    Decided,
    cells_about,
    cells_not_known,
    groups_of,
    history_line,
    identified,
    unless_edited,
    with_new,
)
from .of_cells import by_hand, placed, positions

if TYPE_CHECKING:
    from ..clusters import Annotations

logger = logging.getLogger("cellferry")


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
    affected = cells_about(target, new)
    return unless_edited(target, new, affected, overwrite=True)


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
        raise InvalidOptionError(message, history_line())
    # Of several for one cluster the one that is about most of it; the others stay offered.
    shares = {d.id: max((o.of_cluster or 0.0 for o in d.offered), default=0.0) for d, _ in pairs}
    last: dict[str, Decision] = {}
    for decision, name in pairs:
        if name not in last or shares[decision.id] >= shares[last[name].id]:
            last[name] = decision
    hashes = groups.hashes(list(last))
    new = [
        identified(
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
    return with_new(target, new, [*kept, *new], affected)


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
        raise cells_not_known(other.key)
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
