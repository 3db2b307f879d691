"""Decisions of an object and of its parts, once the parts come home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DecisionsWarning, counted, listing, warn
from ..clusters import Annotation
from ..decisions.decision import Decision, Offer, by_now, identity, last_decisions, names_hash
from ..decisions.of_cells import by_hand, positions
from ..labelling.labels import Labels
from .parts import Part

if TYPE_CHECKING:
    from numpy.typing import NDArray


def merged_decisions(
    base: Labels,
    parts: Sequence[Part],
    rows: tuple[Annotation, ...],
    codes: NDArray[np.intp],
    replaced: Mapping[str, str],
) -> list[Decision]:
    """Return the decisions of all, each once, on the rows that have its cells now."""
    names = {row.cluster for row in rows}
    of_parts: dict[str, list[Decision]] = {}
    for part in parts:
        for decision in part.record.decisions:
            moved = _moved(decision, part)
            if moved is not None:
                of_parts.setdefault(decision.id, []).append(moved)
    last = last_decisions(base.record.decisions)
    lost, made = [], []
    for decision in base.record.decisions:
        again = of_parts.pop(decision.id, [])
        left = tuple(c for c in decision.clusters if c not in replaced)
        offers = tuple(o for o in decision.offered if o.cluster in names)
        counted_before = [c for c in decision.clusters if last.get(c) is decision]
        kept = replace(decision, clusters=left, offered=offers, stale=bool(offers))
        if decision.stale and not offers and not again:
            kept = replace(kept, stale=True)
        for other in again:
            kept = _united(kept, other)
        gone = [c for c in counted_before if c in replaced]
        live = decision.action != "withdrawn" and not decision.of_cells
        if gone and live and not again and not kept.clusters:
            kept = replace(kept, stale=True, offered=_offer(base, gone, rows, codes))
            lost.append(decision)
        made.append(kept)
    for same in of_parts.values():
        one = same[0]
        for other in same[1:]:
            one = _united(one, other)
        made.append(one)
    if lost:
        words = [d.label or d.action for d in lost]
        message = (
            f"{counted(len(lost), 'decision')} that the parts do not have "
            f"{'is' if len(lost) == 1 else 'are'} not in force on their cells any more: "
            f"{listing(words, 5)}."
        )
        warn(DecisionsWarning(message, "They are kept, and offered."))
    return made


def _offer(
    base: Labels, gone: Sequence[str], rows: Sequence[Annotation], codes: NDArray[np.intp]
) -> tuple[Offer, ...]:
    """Return the row that has most cells of rows that were replaced."""
    old = base.rows
    assert old is not None
    own = np.isin(old, [i for i, r in enumerate(base.record) if r.cluster in gone]) & (codes >= 0)
    if not own.any():
        return ()
    counts = np.bincount(codes[own], minlength=len(rows))
    best = int(np.argmax(counts))
    of_row = int(counts[best]) / int((codes == best).sum())
    return (
        Offer(rows[best].cluster, round(int(counts[best]) / int(own.sum()), 4), round(of_row, 4)),
    )


def _moved(decision: Decision, part: Part) -> Decision | None:
    """Return a decision of a part with the names of the whole; None without cells in the part."""
    origin = decision.origin or part.origin
    if decision.of_cells:
        there = np.flatnonzero(positions(decision.cells, part.labels.cells) >= 0).tolist()
        if not there:
            return None
        cells = tuple(part.affix.of(decision.cells[i]) for i in there)
        before = {end: [values[i] for i in there] for end, values in decision.before.items()}
        return replace(decision, cells=cells, hash=names_hash(cells), before=before, origin=origin)
    clusters = tuple(part.row(c) for c in decision.clusters)
    offered = tuple(replace(o, cluster=part.row(o.cluster)) for o in decision.offered)
    made = replace(decision, clusters=clusters, offered=offered, origin=origin)
    if part.affix.is_none or decision.basis != "cells" or not decision.clusters:
        return made
    known = [i for i, r in enumerate(part.record) if r.cluster in set(decision.clusters)]
    own = np.flatnonzero(np.isin(part.rows, known))
    names = [part.affix.of(part.labels.cells[int(i)]) for i in own]
    return replace(made, hash=names_hash(names)) if names else made


def _united(one: Decision, other: Decision) -> Decision:
    """Return a decision that is in two records: where it is in force in either."""
    clusters = tuple(dict.fromkeys([*one.clusters, *other.clusters]))
    offers = tuple({o.cluster: o for o in (*one.offered, *other.offered)}.values())
    stale = one.stale or other.stale
    made = replace(one, clusters=clusters, offered=offers, stale=stale)
    more = [i for i, c in enumerate(other.cells) if c not in set(one.cells)]
    if not more:
        return made
    cells = (*one.cells, *(other.cells[i] for i in more))
    before = {
        end: [*values, *(other.before[end][i] for i in more)]
        for end, values in one.before.items()
        if end in other.before
    }
    return replace(made, cells=cells, hash=names_hash(cells), before=before)


def _content(decision: Decision | None) -> tuple[str, str | None, str | None] | None:
    if decision is None:
        return None
    return (decision.action, decision.label, decision.ontology_id)


def as_in_parts(
    base: Labels,
    parts: Sequence[Part],
    owner: NDArray[np.intp],
    own: NDArray[np.intp],
    decisions: list[Decision],
) -> list[Decision]:
    """Return decisions by which every cell is decided about by hand as it is in its part.

    What was decided in the whole about a cell of a part is withdrawn where the part does not have
    it, which is said; what only the part has in force is decided again for its cells.
    """
    before, after = by_hand(base.record.decisions, base.cells), by_hand(decisions, base.cells)
    for number, part in enumerate(parts):
        mine = owner == number
        before[mine] = part.hand[own[mine]]
    wanted: dict[tuple[int, int], Decision | None] = {}
    at_odds: dict[tuple[int, int], list[int]] = {}
    for i in np.flatnonzero((before >= 0) | (after >= 0)):
        source = (int(owner[i]), int(before[i]))
        if source not in wanted:
            known = (base.record if source[0] < 0 else parts[source[0]].record).decisions
            wanted[source] = None if source[1] < 0 else known[source[1]]
        now = None if after[i] < 0 else decisions[int(after[i])]
        if _content(now) != _content(wanted[source]):
            at_odds.setdefault(source, []).append(int(i))
    n = 0
    made = list(decisions)
    for source, at in at_odds.items():
        cells = tuple(base.cells[i] for i in at)
        decision, value = wanted[source], names_hash(cells)
        if decision is None:
            n += len(cells)
            origin = parts[source[0]].origin if source[0] >= 0 else None
            new = Decision(
                "", "withdrawn", by_now(), value, cells=cells, n_cells=len(cells),
                reason=f'The part "{parts[source[0]].name}" was merged.', origin=origin,
            )  # fmt: skip
        else:
            kept = _before_of(decision, parts[source[0]] if source[0] >= 0 else None, at, own)
            new = replace(
                decision, at=by_now(), hash=value, cells=cells, n_cells=len(cells), before=kept,
                origin=decision.origin or (parts[source[0]].origin if source[0] >= 0 else None),
            )  # fmt: skip
        made.append(replace(new, id=identity(new)))
    if n:
        message = (
            f"{counted(n, 'cell')} that somebody decided about {'is' if n == 1 else 'are'} in a "
            "part that has not this decision: the label of the part is in force, and what was "
            "decided is withdrawn."
        )
        warn(DecisionsWarning(message, "It stays in the history."))
    return made


def _before_of(
    decision: Decision, part: Part | None, at: Sequence[int], own: NDArray[np.intp]
) -> dict[str, list[Any]]:
    if part is None or not decision.before:
        return {}
    place = {name: i for i, name in enumerate(decision.cells)}
    chosen = [place.get(part.labels.cells[int(own[i])]) for i in at]
    return {
        end: [None if i is None else values[i] for i in chosen]
        for end, values in decision.before.items()
    }
