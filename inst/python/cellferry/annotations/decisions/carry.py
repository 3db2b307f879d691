"""Which decisions hold for a later labelling of the same cells, and which are offered for it.

A decision holds for a cluster whose set of cells is the one it was about, or whose every cell
carries one and the same label and decision under the key: then no cell has joined. All others are
stale: they are kept, and offered for the cluster that holds most of their cells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .decision import STALE, Decision, Offer, last_decisions, names_hash, sorted_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..texts import Texts


@dataclass(frozen=True, eq=False)
class Before:
    """What the cells had before they were labelled anew, in their order.

    Attributes
    ----------
    labels, decided
        Of the columns ``<key>`` and ``<key>_decision``.
    rows
        For each cell the row of the earlier table, -1 without one; None where it is not known.
    names
        Clusters of the earlier table, in the order of its rows.
    """

    labels: Texts
    decided: Texts
    rows: NDArray[np.intp] | None
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Groups:
    """The clusters of cells, by the cells that they have.

    Attributes
    ----------
    names
        Of the clusters.
    codes
        For each cell its cluster, -1 without one.
    cells
        Names of the cells.
    refined
        Those that are parts of an earlier cluster, and whose answer is a kind of the label that it
        had: there a decision about the whole gives way, unless its set of cells is theirs.
    """

    names: tuple[str, ...]
    codes: NDArray[np.integer]
    cells: Sequence[str]
    refined: Collection[str] = ()

    def hashes(self, wanted: Sequence[str] | None = None) -> dict[str, str]:
        """Return cluster -> the hash of its cells, for those that have cells.

        Parameters
        ----------
        wanted
            Only of these; None: of all.
        """
        chosen = [i for i, n in enumerate(self.names) if wanted is None or n in set(wanted)]
        inside = np.flatnonzero(np.isin(self.codes, chosen))
        ordered = sorted(inside.tolist(), key=self.cells.__getitem__)
        members: dict[int, list[str]] = {i: [] for i in chosen}
        for at in ordered:
            members[int(self.codes[at])].append(self.cells[at])
        return {self.names[i]: sorted_hash(found) for i, found in members.items() if found}

    def sizes(self) -> NDArray[np.intp]:
        """Return the number of cells of each cluster."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))


def held(decisions: Sequence[Decision], groups: Groups, before: Before | None) -> list[Decision]:
    """Return all decisions as they stand for other clusters: held, stale, or history.

    Parameters
    ----------
    decisions
        Of an earlier labelling, the oldest first.
    groups
        The clusters that are labelled now.
    before
        What the cells had; None where nothing is known of it.
    """
    live = _live(decisions)
    if not live:
        return [replace(d, clusters=(), offered=()) for d in decisions]
    hashes = groups.hashes()
    clusters_of = {h: name for name, h in hashes.items()}
    pairs = {} if before is None else _pairs(groups, before)
    made = []
    for decision in decisions:
        if decision.of_cells:
            made.append(decision)
        elif decision not in live:
            made.append(replace(decision, clusters=(), stale=False, offered=()))
        else:
            made.append(_placed(decision, groups, clusters_of, pairs, before))
    return made


def _live(decisions: Sequence[Decision]) -> list[Decision]:
    """Return those that count: the last for a cluster, and what is still offered."""
    counting = {d.id for d in last_decisions(decisions).values()}
    return [
        d
        for d in decisions
        if not d.of_cells and d.action != "withdrawn" and (d.id in counting or d.stale)
    ]


def _pairs(groups: Groups, before: Before) -> dict[str, tuple[str, str]]:
    """Return cluster -> the label and the decision that each of its cells carries."""
    n = len(before.decided.levels) + 1
    both = (before.labels.codes.astype(np.int64) + 1) * n + before.decided.codes + 1
    found: dict[str, tuple[str, str]] = {}
    inside = groups.codes >= 0
    codes = groups.codes[inside].astype(np.intp)
    values = both[inside]
    least = np.full(len(groups.names), np.iinfo(np.int64).max)
    most = np.full(len(groups.names), -1)
    np.minimum.at(least, codes, values)
    np.maximum.at(most, codes, values)
    for i, name in enumerate(groups.names):
        if most[i] >= 0 and least[i] == most[i]:
            label, decided = divmod(int(most[i]), n)
            if label and decided:
                found[name] = (before.labels.levels[label - 1], before.decided.levels[decided - 1])
    return found


def _placed(
    decision: Decision,
    groups: Groups,
    clusters_of: Mapping[str, str],
    pairs: Mapping[str, tuple[str, str]],
    before: Before | None,
) -> Decision:
    holds = set()
    gives_way = False
    if decision.basis == "cells" and decision.hash in clusters_of:
        holds.add(clusters_of[decision.hash])
    own = _own_cells(decision, before)
    if before is not None and not decision.stale:
        for name, (label, decided) in pairs.items():
            if decided != decision.action or not _has_label(decision, label):
                continue
            # Two decisions may look alike: it is the one whose cells these were.
            if own is None or own[groups.codes == groups.names.index(name)].any():
                if name in groups.refined and name not in holds:
                    gives_way = True
                else:
                    holds.add(name)
    if holds:
        kept = tuple(name for name in groups.names if name in holds)
        return replace(decision, clusters=kept, stale=False, offered=())
    if gives_way:
        # It holds again once its cells are one cluster.
        return replace(decision, clusters=(), stale=True, offered=())
    return replace(
        decision, clusters=(), stale=True, offered=_offers(decision, groups, own, before)
    )


def _has_label(decision: Decision, label: str) -> bool:
    # What needs work has the engine's label, whatever that was.
    return decision.action == "needs_work" or label == (decision.label or "Unknown")


def _own_cells(decision: Decision, before: Before | None) -> NDArray[np.bool_] | None:
    """Return which cells it was about, as far as it is known; of a stale one, where it is."""
    if before is None or before.rows is None:
        return None
    where = [o.cluster for o in decision.offered] if decision.stale else list(decision.clusters)
    rows = [i for i, name in enumerate(before.names) if name in set(where)]
    own: NDArray[np.bool_] = np.isin(before.rows, rows)
    return own


def _offers(
    decision: Decision, groups: Groups, own: NDArray[np.bool_] | None, before: Before | None
) -> tuple[Offer, ...]:
    if own is None and before is not None and decision.action in before.decided.levels:
        # By what its cells carry.
        action = before.decided.levels.index(decision.action)
        own = before.decided.codes == action
        if decision.action != "needs_work":
            label = decision.label or "Unknown"
            if label not in before.labels.levels:
                return ()
            own &= before.labels.codes == before.labels.levels.index(label)
    if own is None or not own.any():
        return ()
    codes = groups.codes[own & (groups.codes >= 0)]
    if not len(codes):
        return ()
    counts = np.bincount(codes, minlength=len(groups.names))
    best = int(np.argmax(counts))
    name, n = groups.names[best], int(counts[best])
    if decision.stale:
        return (Offer(name),)
    total = decision.n_cells or int(own.sum())
    return (Offer(name, round(n / max(total, n), 4), round(n / int(groups.sizes()[best]), 4)),)


def moved_cells(decision: Decision, cells: Sequence[str], carried: Sequence[int]) -> Decision:
    """Return a decision about cells under the names that they have now.

    Parameters
    ----------
    decision
        About cells of which none is there by its name.
    cells
        Names of all cells.
    carried
        Positions of the cells that carry its label and decision.
    """
    if not len(carried):
        return decision
    names = tuple(cells[i] for i in carried)
    kept = {} if len(names) != len(decision.cells) else dict(decision.before)
    return replace(decision, cells=names, hash=names_hash(names), before=kept)


__all__ = ["STALE", "Before", "Groups", "held", "moved_cells"]
