"""What is written after a change: columns of cells, and the record that judges them later.

An answer of an engine goes on with the decisions that still hold; a decision changes only the cells
that it is about.
"""

from __future__ import annotations

import bisect
import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import DecisionsWarning, counted, enumerated, in_language
from ..clusters import UNKNOWN, Annotation, Annotations, Status
from ..decisions.carry import Before, Groups, held, moved_cells
from ..decisions.decision import LABELLING, Decision, open_offers
from ..decisions.in_force import with_decisions
from ..decisions.of_cells import by_hand, index_of, placed
from ..delivery import (
    BESIDE_SUFFIXES,
    COLUMN_SOURCES,
    Column,
    Values,
    by_lineage,
    columns,
    level_texts,
)
from ..levels import SUFFIXES
from ..texts import Texts
from .columns import by_row, equals, put_from
from .edited import digests
from .labels import CLUSTER, DECISION, Labels, Written, in_force

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...study.clusters import Clusters
    from ..cells import CellAnnotations


def labelled(
    found: Annotations | CellAnnotations,
    clusters: Clusters,
    key: str,
    cells: Sequence[str],
    previous: Labels | None = None,
) -> Written:
    """Return what an answer writes, with the decisions of the earlier labels that still hold.

    Parameters
    ----------
    found
        The answer, of clusters or cells.
    clusters
        Those of the object: one code per cell; for an answer of cells in its order.
    key
        Name of the label column.
    cells
        Names of the cells of the object.
    previous
        What the object has under the key; None: nothing that is known.
    """
    of_run = found.decisions
    if isinstance(found, Annotations) and of_run:
        found = with_decisions(found, ())
    rows = found.rows_of(tuple(cells), clusters)
    of_row = {c.name.removeprefix(key): c.values for c in columns(found, key, clusters)}
    record = found.summary()
    flags = {e: v for e, v in of_row.items() if not isinstance(v, Texts) and v.dtype == np.bool_}
    made = by_row({e: v for e, v in of_row.items() if e not in flags}, rows)
    # A flag has no missing value, and cells of the answer are never missing.
    for end, values in flags.items():
        made[end] = np.append(values, False)[rows].astype(bool)
    decisions: Sequence[Decision] = () if previous is None else previous.record.decisions
    is_table = isinstance(found, Annotations)
    if decisions:
        decisions = _carried(previous, found, rows, cells)
    if of_run:
        groups = Groups((), np.full(len(cells), -1), cells)
        if isinstance(found, Annotations):
            groups = Groups(tuple(row.cluster for row in found), rows, cells)
        decisions = _joined(decisions, of_run, groups)
    if not is_table:
        decisions = _remembering(decisions, cells, made)
    if decisions:
        n_decided = counts_by_hand(decisions, cells, rows, record) if is_table else None
        record = with_decisions(record, decisions, n_decided)
        made |= in_force(record, rows if is_table else None, cells, made)
        if not is_table:
            record = _of_labels(record, made, cells)
        _say_stale(record, key)
    finished = written(record, key, cells, made)
    if previous is None:
        return finished
    # What the earlier labels had of levels, rows, and beside the label is not of these.
    old = [key + suffix for suffix in SUFFIXES if not record.provenance.get("levels")]
    new = {column.name for column in finished.columns}
    old += [key + end for end in BESIDE_SUFFIXES.values() if key + end not in new]
    owned = set(previous.record.provenance.get("columns", ())) & set(previous.obs.columns)
    gone = [name for name in old if name in owned]
    if _had_rows(previous) and key + CLUSTER != record.provenance.get("group_key"):
        gone.append(key + CLUSTER)
    return replace(finished, gone=tuple(gone))


def _had_rows(previous: Labels) -> bool:
    """Whether merging wrote a column with the rows of the cells."""
    column = previous.key + CLUSTER
    return column in previous.record.provenance.get("columns", ()) and column in previous.obs


def written(
    record: Annotations,
    key: str,
    cells: Sequence[str],
    made: Mapping[str, Values],
    *,
    expected: Texts | None = None,
) -> Written:
    """Return columns of cells and their record, with what it needs to be judged later.

    Parameters
    ----------
    record
        With decisions.
    key
        Name of the label column.
    cells
        Names.
    made
        Suffix -> values of the cells.
    expected
        Labels that are ours, where edits by hand are left as they are.
    """
    made = dict(made)
    decided = made.pop(DECISION, None)
    made[""] = by_lineage(made[""], made["_ontology_id"])
    if record.provenance.get("levels"):
        made |= level_texts(made[""], made["_ontology_id"])
    label = expected or made[""]
    assert isinstance(label, Texts)
    if decided is not None and (record.decisions or bool((decided.codes >= 0).any())):  # type: ignore[union-attr]
        made[DECISION] = decided
    names = [key + end for end in made]
    others = [c for c in record.provenance.get("columns", ()) if c not in {*names, key + DECISION}]
    record = replace(
        record,
        provenance={
            **record.provenance,
            "columns": [*others, *names],
            "written": digests(cells, label),
        },
    )
    # Labels have an order of their own.
    ordered = {"", *SUFFIXES}
    finished = tuple(
        Column(key + end, v.compact() if isinstance(v, Texts) and end not in ordered else v)
        for end, v in made.items()
    )
    return Written(record, finished)


def _carried(
    previous: Labels | None,
    found: Annotations | CellAnnotations,
    rows: NDArray[np.intp],
    cells: Sequence[str],
) -> list[Decision]:
    assert previous is not None
    before, decisions = previous.before(), previous.record.decisions
    carried = list(decisions)
    if isinstance(found, Annotations):
        names = tuple(row.cluster for row in found)
        groups = Groups(names, rows, cells, refined_clusters(found))
        carried = held(decisions, groups, before)
    own = index_of(cells)
    where = placed(carried, own)
    gone = [i for i, d in enumerate(carried) if d.of_cells and not (where.of(i) >= 0).any()]
    # Cells that carry the same are those of all such decisions together: the last one has them.
    last = {(carried[i].action, carried[i].label): i for i in gone}
    for i in last.values():
        carrying = _carrying(carried[i], before, previous.record)
        carried[i] = moved_cells(carried[i], cells, carrying)
    return carried


def _remembering(
    decisions: Sequence[Decision], cells: Sequence[str], made: Mapping[str, Values]
) -> list[Decision]:
    """Return decisions with what their cells have of the engine, each annotated by itself."""
    where = placed(decisions, cells)
    return [
        replace(d, before=_before(made, where.of(i)))
        if d.of_cells and d.action != "withdrawn"
        else d
        for i, d in enumerate(decisions)
    ]


def _joined(
    decisions: Sequence[Decision], of_run: Sequence[Decision], groups: Groups
) -> list[Decision]:
    """Return decisions that are kept in an object, and those beside its run that it has not."""
    known = {d.id for d in decisions}
    hashes = groups.hashes()
    new = [
        # Those about the table of the run are about the cells of its clusters.
        replace(d, basis="cells", hash=hashes.get(d.clusters[0], d.hash))
        if d.basis == "markers" and len(d.clusters) == 1
        else d
        for d in of_run
        if d.id not in known
    ]
    last = {d.hash: d for d in new if not d.of_cells}
    placed = {d.id: d for d in held(new, groups, None)}
    joined = list(decisions)
    # The latest time up to each place.
    latest = [*itertools.accumulate((d.at for d in joined), max)]
    for decision in new:
        one = placed[decision.id]
        if one.action == "withdrawn" and last.get(one.hash) is decision:
            one = replace(one, clusters=tuple(n for n, h in hashes.items() if h == one.hash))
        at = bisect.bisect_right(latest, one.at)
        joined.insert(at, one)
        latest.insert(at, one.at)
    return joined


def refined_clusters(found: Annotations) -> frozenset[str]:
    """Return the parts of earlier clusters whose answer is finer than the label of the whole."""
    evidence = found.evidence
    within = {name: e.get("within") for name, e in evidence.items() if isinstance(e, Mapping)}
    return frozenset(n for n, w in within.items() if isinstance(w, Mapping) and w.get("finer"))


def _carrying(decision: Decision, before: Before, record: Annotations) -> list[int]:
    """Return the cells that carry what was decided about cells, of rows that have it not."""
    mine = equals(before.decided, decision.action)
    if decision.action in LABELLING:
        mine &= equals(before.labels, decision.label or UNKNOWN)
    same = [i for i, row in enumerate(record) if row.decision == decision.action]
    if before.rows is not None and same:
        mine &= ~np.isin(before.rows, same)
    return [int(i) for i in np.flatnonzero(mine)]


def _before(engines: Mapping[str, Values], at: NDArray[np.intp]) -> dict[str, list[Any]]:
    """Return what cells have of the engine, None where they are not there."""
    kept: dict[str, list[Any]] = {}
    for end in COLUMN_SOURCES:
        values = engines[end]
        if isinstance(values, Texts):
            names = [*values.levels, None]
            kept[end] = [None if i < 0 else names[int(values.codes[i])] for i in at]
        else:
            kept[end] = [None if i < 0 or np.isnan(values[i]) else float(values[i]) for i in at]
    return kept


def counts_by_hand(
    decisions: Sequence[Decision],
    cells: Sequence[str],
    rows: NDArray[np.intp],
    record: Sequence[Annotation] | Annotations,
) -> dict[str, int]:
    """Return cluster -> how many of its cells were decided about by hand.

    Parameters
    ----------
    decisions
        All of them.
    cells
        Names.
    rows
        For each cell its row, -1 without one.
    record
        The rows.
    """
    chosen = by_hand(decisions, cells)
    counts = np.bincount(rows[(chosen >= 0) & (rows >= 0)], minlength=len(record))
    return {row.cluster: int(n) for row, n in zip(record, counts, strict=True)}


def _of_labels(
    record: Annotations, made: Mapping[str, Values], cells: Sequence[str]
) -> Annotations:
    """Return the table of labels, where every cell was annotated by itself, as they are in force.

    A label that only a person gave has a row after the others, as long as cells have it.
    """
    label, term = made[""], made["_ontology_id"]
    assert isinstance(label, Texts)
    assert isinstance(term, Texts)
    chosen = by_hand(record.decisions, cells) >= 0
    persons = {d.label for d in record.decisions if d.of_cells}
    rows = [row for row in record if row.engine is not None or row.label not in persons]
    known = {row.cluster for row in rows}
    for name in label.compact().levels:
        if name not in known:
            at = np.flatnonzero(equals(label, name))
            codes = term.codes[at]
            ontology_id = term.levels[int(codes[0])] if codes[0] >= 0 else None
            status: Status = "unknown" if name == UNKNOWN else "ok"
            rows.append(Annotation(name, status, label=name, ontology_id=ontology_id))
    counted_rows = []
    for row in rows:
        own = equals(label, row.label)
        n = int((own & chosen).sum()) or None
        counted_rows.append(replace(row, n_cells=int(own.sum()), n_decided=n))
    return replace(record, rows=tuple(counted_rows))


def _say_stale(record: Annotations, key: str) -> None:
    stale = open_offers(record.decisions)
    if not stale:
        return
    offers = [
        f'"{d.label or d.action}" (cluster "{d.cluster}")'
        + (f' for cluster "{d.offered[0].cluster}"' if d.offered else "")
        for d in stale
    ]
    message = (
        f"{counted(len(stale), 'decision')} of earlier labels "
        f"{'is' if len(stale) == 1 else 'are'} about other sets of cells than the clusters of now, "
        f"and not in force: {enumerated(offers)}."
    )
    line = in_language(
        python=f'cellferry.carry_decisions(adata, key="{key}")',
        r=f'x <- CarryDecisions(x, key = "{key}")',
        cli=f"cellferry label INPUT --carry --key {key} --out NAME",
    )
    warnings.warn(DecisionsWarning(message, f"To take them over: {line}"), stacklevel=4)


def decided(
    labels: Labels,
    decisions: Sequence[Decision],
    affected: NDArray[np.bool_],
) -> Written:
    """Return what decisions write: only cells that they are about get other values.

    Parameters
    ----------
    labels
        What the object has.
    decisions
        All, old and new.
    affected
        Which cells the new ones are about: only these may have been edited by hand and still be
        written.
    """
    rows = None if labels.of_cells else labels.rows
    n_decided = None
    if rows is not None:
        n_decided = counts_by_hand(decisions, labels.cells, rows, labels.record)
    record = with_decisions(labels.record, decisions, n_decided)
    wanted = in_force(record, rows, labels.cells, labels.engines)
    if labels.of_cells:
        record = _of_labels(record, wanted, labels.cells)
    keep = np.flatnonzero(labels.edited & ~affected)
    made = {end: put_from(values, labels.now[end], keep) for end, values in wanted.items()}
    label = wanted[""]
    assert isinstance(label, Texts)
    return written(record, labels.key, labels.cells, made, expected=label)


def before_of(labels: Labels, at: NDArray[np.intp]) -> dict[str, list[Any]]:
    """Return what a decision about cells remembers, where every cell was annotated by itself.

    Parameters
    ----------
    labels
        What the object has.
    at
        Places of the cells, in the order of the decision.
    """
    return _before(labels.engines, at) if labels.of_cells else {}
