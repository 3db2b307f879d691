"""The labels of the cells of an object: which are in force, and what is written after a change.

Everything that writes labels of cells comes by here, for an AnnData and, by the bridge, for objects
of R: an answer of an engine, with the decisions that still hold, and decisions themselves.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import (
    AnnotationsFormatError,
    DecisionsWarning,
    LabelsEditedError,
    counted,
    enumerated,
    in_language,
)
from ..study.clusters import cluster_text
from .clusters import STATUSES, UNKNOWN, Annotation, Annotations, Status
from .decisions.carry import Before, Groups, held, moved_cells
from .decisions.decision import LABELLING, STALE, Decision, open_offers, sorted_hash
from .decisions.in_force import with_decisions
from .decisions.of_cells import by_hand, chosen_by_hand, index_of, placed
from .delivery import (
    BESIDE_SUFFIXES,
    COLUMN_SOURCES,
    STORE,
    Column,
    Values,
    by_lineage,
    columns,
    level_texts,
)
from .label_colors import COLORS, keep_colors, uns_colors
from .levels import SUFFIXES
from .present import Present, present
from .texts import Texts

if TYPE_CHECKING:
    import anndata
    import pandas as pd
    from numpy.typing import NDArray

    from ..study.clusters import Clusters
    from .cells import CellAnnotations

CLUSTER = "_cluster"
"""Suffix of the column with the row of each cell, where parts were merged."""
DECISION = "_decision"
"""Suffix of the column that says what somebody decided; written once somebody did."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What the cells of an object have under a key.

    Attributes
    ----------
    cells
        Their names.
    obs
        Metadata, of which the columns of the key and of the clusters are read.
    key
        Name of the label column.
    record
        What is stored under the key.
    known_rows
        For each cell its row of the record, -1 without one, where the caller knows it.
    """

    cells: Sequence[str]
    obs: pd.DataFrame
    key: str
    record: Annotations
    known_rows: NDArray[np.intp] | None = None

    @property
    def of_cells(self) -> bool:
        """Whether every cell was annotated by itself."""
        return self.record.provenance.get("level") == "cells"

    @functools.cached_property
    def _present(self) -> Present:
        if self.known_rows is not None:
            return Present(self.record, None, rows=self.known_rows)
        return present(self.record, self.obs, self.key)

    @property
    def rows(self) -> NDArray[np.intp] | None:
        """For each cell its row of the record, -1 without one; None where it is not known."""
        return self._present.rows

    @property
    def unclear(self) -> frozenset[str]:
        """Clusters whose cells can't be told apart any more."""
        return self._present.unclear

    def column(self, suffix: str) -> Texts:
        """Return a column of the key as text; nothing where it is not there."""
        name = self.key + suffix
        return texts_of(self.obs[name]) if name in self.obs else Texts.none(len(self.cells))

    def numbers(self, suffix: str) -> NDArray[np.float64]:
        """Return a column of the key as numbers, NaN where there is none."""
        import pandas as pd

        name = self.key + suffix
        if name not in self.obs:
            return np.full(len(self.cells), np.nan)
        numbers = pd.to_numeric(self.obs[name], errors="coerce")
        return np.asarray(numbers.to_numpy(dtype="f8", na_value=np.nan))

    @functools.cached_property
    def now(self) -> Mapping[str, Values]:
        """What the cells have in their columns, by suffix."""
        found: dict[str, Values] = {
            end: self.numbers(end) if kind == "real" else self.column(end)
            for end, (_, kind) in COLUMN_SOURCES.items()
        }
        return {**found, DECISION: self.column(DECISION)}

    @functools.cached_property
    def engines(self) -> Mapping[str, Values]:
        """What the cells would have if nobody had decided, by suffix."""
        if not self.of_cells:
            assert self.rows is not None
            return of_engine(self.record, self.rows)
        found = {k: v for k, v in self.now.items() if k != DECISION}
        decisions = self.record.decisions
        chosen = chosen_by_hand(decisions, self.cells)
        at = np.flatnonzero(chosen.decision >= 0)
        numbers, places = chosen.decision[at].tolist(), chosen.place[at].tolist()
        for end, values in found.items():
            olds = [decisions[n].before.get(end) for n in numbers]
            known = np.array([old is not None for old in olds], dtype=bool)
            each = [old[i] for old, i in zip(olds, places, strict=True) if old is not None]
            found[end] = put(values, at[known], each)
        return found

    @functools.cached_property
    def expected(self) -> Mapping[str, Values] | None:
        """What was written into the columns of the cells; None where it is not known."""
        if self.of_cells:
            return self.now
        if self.rows is None:
            return None
        return in_force(self.record, self.rows, self.cells, self.engines)

    @functools.cached_property
    def edited(self) -> NDArray[np.bool_]:
        """Which cells have another label than was written, as far as it is known."""
        if self.of_cells or self.key not in self.obs or self.expected is None:
            return np.zeros(len(self.cells), dtype=bool)
        label = self.expected[""]
        assert isinstance(label, Texts)
        return differing(self.column(""), label)

    def before(self) -> Before:
        """Return what a later labelling asks of this one."""
        names = tuple(row.cluster for row in self.record)
        return Before(self.column(""), self.column(DECISION), self.rows, names)


@dataclass(frozen=True, eq=False)
class Written:
    """What is written: the record, and the columns with one value per cell.

    Attributes
    ----------
    record
        With decisions, and what it needs to be judged later.
    columns
        In the order of the cells.
    gone
        Columns of the key that are to be removed.
    beside
        Name in the store -> another record that is kept: of a part that was merged.
    """

    record: Annotations
    columns: tuple[Column, ...]
    gone: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)


def in_force(
    record: Annotations,
    rows: NDArray[np.intp] | None,
    cells: Sequence[str],
    engines: Mapping[str, Values],
) -> dict[str, Values]:
    """Return the columns of cells with the labels in force, by suffix.

    Parameters
    ----------
    record
        With decisions.
    rows
        For each cell its row; None where every cell was annotated by itself.
    cells
        Names.
    engines
        What they would have if nobody had decided.
    """
    found: dict[str, Values] = dict(engines)
    if rows is not None:
        found |= by_row({**_columns_of(record), DECISION: record.values("decision")}, rows)
    else:
        found[DECISION] = Texts.none(len(cells))
    chosen = by_hand(record.decisions, cells)
    at = np.flatnonzero(chosen >= 0)
    each = [record.decisions[n] for n in chosen[at].tolist()]
    found[DECISION] = put(found[DECISION], at, [d.action for d in each])
    labels = np.array([d.action in LABELLING for d in each], dtype=bool)
    at, each = at[labels], [d for d in each if d.action in LABELLING]
    new = Texts.of(d.label or UNKNOWN for d in each)
    answered = engines[""]
    assert isinstance(answered, Texts)
    agrees = ~differing(Texts(answered.levels, answered.codes[at]), new)
    names = [new.levels[c] for c in new.codes.tolist()]
    found[""] = put(found[""], at, names)
    found["_ontology_id"] = put(found["_ontology_id"], at, [d.ontology_id for d in each])
    status = ["unknown" if name == UNKNOWN else "ok" for name in names]
    found["_status"] = put(found["_status"], at, status)
    # Those whose engine says the same keep what it says of it.
    for end in ("_detail", "_confidence"):
        found[end] = put(found[end], at[~agrees], None)
        found[end] = put_from(found[end], engines[end], at[agrees])
    return found


def _columns_of(record: Annotations) -> dict[str, Values]:
    return {end: record.values(source) for end, (source, _) in COLUMN_SOURCES.items()}


def of_engine(record: Annotations, rows: NDArray[np.intp]) -> dict[str, Values]:
    """Return what cells would have if nobody had decided, by suffix.

    Parameters
    ----------
    record
        With or without decisions.
    rows
        For each cell its row, -1 without one.
    """
    return by_row(_columns_of(with_decisions(record, ())), rows)


def by_row(columns: Mapping[str, Values], rows: NDArray[np.intp]) -> dict[str, Values]:
    """Return columns of a table as columns of cells."""
    made: dict[str, Values] = {}
    for end, values in columns.items():
        if isinstance(values, Texts):
            made[end] = Texts(values.levels, np.append(values.codes, -1)[rows].astype(np.int32))
        else:
            made[end] = np.append(values, np.nan)[rows]
    return made


def put(values: Values, at: NDArray[np.intp], value: Any) -> Values:
    """Return a column with other values at some places: one for all, or one for each."""
    if not len(at):
        return values
    each = value if isinstance(value, list) else [value] * len(at)
    if not isinstance(values, Texts):
        numbers = np.array(values, dtype=np.float64)
        numbers[at] = [np.nan if v is None else float(v) for v in each]
        return numbers
    place = {name: i for i, name in enumerate(values.levels)}
    new = [-1 if v is None else place.setdefault(str(v), len(place)) for v in each]
    codes = values.codes.copy()
    codes[at] = new
    return Texts(tuple(place), codes)


def put_from(values: Values, source: Values, at: NDArray[np.intp]) -> Values:
    """Return a column with the values of another one at some places."""
    if not len(at):
        return values
    if isinstance(source, Texts):
        names = [*source.levels, None]
        return put(values, at, [names[int(c)] for c in source.codes[at]])
    return put(values, at, [None if np.isnan(v) else float(v) for v in source[at]])


def equals(values: Texts, label: str | None) -> NDArray[np.bool_]:
    """Return which values are a text."""
    code = values.levels.index(label) if label in values.levels else -2
    found: NDArray[np.bool_] = values.codes == code
    return found


def differing(one: Texts, other: Texts) -> NDArray[np.bool_]:
    """Return where two columns differ."""
    place = {name: i for i, name in enumerate(one.levels)}
    new = [place.setdefault(name, len(place)) for name in other.levels]
    found: NDArray[np.bool_] = one.codes != np.array([*new, -1], dtype=np.int64)[other.codes]
    return found


def texts_of(column: pd.Series) -> Texts:
    """Return a column of metadata as text."""
    if hasattr(column, "cat"):
        levels = [cluster_text(x) for x in column.cat.categories]
        made = Texts.of(levels)
        return Texts(made.levels, np.append(made.codes, -1)[np.asarray(column.cat.codes)])
    return Texts.of(cluster_text(x) for x in column)


def digests(cells: Sequence[str], labels: Texts) -> dict[str, str]:
    """Return what is remembered of labels that were written: of the cells, and of both.

    Another ``labels`` over the same ``cells`` means that somebody edited them by hand.

    Examples
    --------
    >>> one = digests(["b", "a"], Texts.of(["T cell", None]))
    >>> one == digests(["a", "b"], Texts.of([None, "T cell"]))
    True
    """
    names = [*labels.levels, None]
    order = sorted(range(len(cells)), key=cells.__getitem__)
    ordered = [cells[i] for i in order]
    own = [names[int(labels.codes[i])] for i in order]
    both = (f"{c}\t{'-' if x is None else '+' + x}" for c, x in zip(ordered, own, strict=True))
    return {"cells": sorted_hash(ordered), "labels": sorted_hash(both)}


def check_unedited(labels: Labels, *, overwrite: bool = False) -> None:
    """Refuse to replace labels that were edited by hand; where it can't be judged, nothing is said.

    Parameters
    ----------
    labels
        What the object has under the key.
    overwrite
        Whether they may be replaced.

    Raises
    ------
    LabelsEditedError
        Names how many cells differ, and the line that adopts the edits.
    """
    known = labels.record.provenance.get("written")
    if overwrite or not isinstance(known, Mapping) or labels.key not in labels.obs:
        return
    found = digests(labels.cells, labels.column(""))
    if found["cells"] != known.get("cells") or found["labels"] == known.get("labels"):
        return
    raise edited_error(labels.key, int(labels.edited.sum()))


def edited_error(key: str, n: int) -> LabelsEditedError:
    """Return the error for labels that were edited by hand.

    Parameters
    ----------
    key
        Name of the label column.
    n
        How many cells differ; 0 where it is not known.
    """
    cells = counted(n, "cell") if n else "Cells"
    verb = "has" if n == 1 else "have"
    message = (
        f'{cells} {verb} another label in "{key}" than cellferry wrote: they were edited by hand, '
        "and are not replaced."
    )
    hint = f"{to_adopt(key)}\nTo lose them: `overwrite=True`."
    return LabelsEditedError(message, hint, columns=[key], cells=n)


def to_adopt(key: str, name: str | None = None) -> str:
    """Return the line that makes decisions of edits by hand.

    Parameters
    ----------
    key
        Name of the label column.
    name
        What the object is called, if that is known.
    """
    line = in_language(
        python=f'cellferry.set_labels({name or "adata"}, from_column="{key}", key="{key}")',
        r=f'{name or "x"} <- SetLabels({name or "x"}, from = "{key}", key = "{key}")',
        cli=f"cellferry label INPUT --from-column {key} --key {key} --out NAME",
    )
    return f"To keep them as decisions: {line}"


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


def stored_labels(adata: anndata.AnnData, key: str) -> Labels | None:
    """Return what an AnnData has under a key; None without a record that can be read."""
    text = dict(adata.uns.get(STORE, {})).get(key)
    if text is None:
        return None
    try:
        record = Annotations.from_json(str(text))
    except AnnotationsFormatError:
        return None
    return Labels(tuple(map(str, adata.obs_names)), adata.obs, key, record)


def previous_labels(
    adata: anndata.AnnData, found: Annotations | CellAnnotations, key: str
) -> Labels | None:
    """Return the earlier labels whose decisions an answer goes on with.

    They are those under the key; an answer within labels of another key goes on with theirs too.

    Parameters
    ----------
    adata
        Not yet labelled.
    found
        The answer.
    key
        Where it is written.
    """
    own, within = stored_labels(adata, key), found.provenance.get("within")
    if not isinstance(within, Mapping) or within.get("key") in {None, key}:
        return own
    return with_others(own, stored_labels(adata, str(within["key"])))


def with_others(own: Labels | None, others: Labels | None) -> Labels | None:
    """Return labels with the decisions of those of another key.

    Parameters
    ----------
    own
        Under the key that is written; None: nothing is known of it.
    others
        Within which an answer is given.
    """
    if own is None or others is None:
        return own or others
    known = {d.id for d in own.record.decisions}
    more = [d for d in others.record.decisions if d.id not in known]
    if not more:
        return own
    # The last one counts.
    decisions = tuple(sorted([*own.record.decisions, *more], key=lambda d: d.at))
    return replace(own, record=replace(own.record, decisions=decisions))


def attach(
    adata: anndata.AnnData, found: Annotations | CellAnnotations, clusters: Clusters, key: str
) -> Annotations | CellAnnotations:
    """Write the columns into ``adata.obs`` and the record into ``adata.uns``, in place.

    Returns the answer as it is in force: with decisions of earlier labels that still hold.

    Parameters
    ----------
    clusters
        One code per cell: for an answer of clusters in the order of ``adata``, for one of cells
        in that of the answer, which may be another. A cell without a cluster, or of one that
        failed or was skipped, gets a missing value.
    """
    cells = tuple(map(str, adata.obs_names))
    made = labelled(found, clusters, key, cells, previous_labels(adata, found, key))
    write_into(adata, made, key)
    return as_written(found, made)


def as_written(
    found: Annotations | CellAnnotations, made: Written
) -> Annotations | CellAnnotations:
    """Return an answer as it is in force once it was written.

    Parameters
    ----------
    found
        The answer.
    made
        What was written for it.
    """
    if isinstance(found, Annotations):
        return made.record
    return replace(found, provenance=made.record.provenance)


def with_previous(
    found: Annotations | CellAnnotations,
    previous: Labels | None,
    write: Callable[[], Written],
) -> Annotations | CellAnnotations:
    """Return an answer of clusters with the earlier decisions that hold; others as they are.

    Parameters
    ----------
    found
        The answer.
    previous
        What the object has under the key, or under that of the labels within which it is an answer.
    write
        Returns what labelling the object writes.
    """
    has = previous is not None and bool(previous.record.decisions)
    if not isinstance(found, Annotations) or not (has or found.decisions):
        return found
    with warnings.catch_warnings():
        # They are given when the object is labelled.
        warnings.simplefilter("ignore", DecisionsWarning)
        return write().record


def write_into(adata: anndata.AnnData, made: Written, key: str) -> None:
    """Write columns and record into an AnnData.

    ``uns["<key>_colors"]`` has the colours of the labels in the order of the categories, where
    scanpy looks for them.

    Parameters
    ----------
    adata
        Changed in place.
    made
        In the order of its cells.
    key
        Name of the label column.
    """
    write_columns(adata.obs, made, key)
    store = dict(adata.uns.get(STORE, {}))
    store[key] = keep_colors(made.record.to_json(), store.get(key))
    store |= made.beside
    adata.uns[STORE] = store
    adata.uns[key + COLORS] = uns_colors(store[key], adata.obs[key].cat.categories)


def write_columns(obs: pd.DataFrame, made: Written, key: str) -> None:
    """Write columns into metadata, and remove those that are not of these labels.

    Parameters
    ----------
    obs
        Changed in place.
    made
        In the order of its cells.
    key
        Name of the label column.
    """
    import pandas as pd

    for column in made.columns:
        values = column.values
        if isinstance(values, Texts):
            levels = pd.Index(values.levels, dtype="object")
            obs[column.name] = pd.Categorical.from_codes(values.codes, categories=levels)
        else:
            obs[column.name] = values
    # What was decided about other labels, also under a record that is lost, is not said of these.
    names = {column.name for column in made.columns}
    for name in {*made.gone, key + DECISION} - names:
        if name in obs:
            del obs[name]


__all__ = [
    "CLUSTER",
    "DECISION",
    "STALE",
    "STATUSES",
    "Labels",
    "Written",
    "attach",
    "before_of",
    "check_unedited",
    "counts_by_hand",
    "decided",
    "digests",
    "edited_error",
    "labelled",
    "previous_labels",
    "refined_clusters",
    "stored_labels",
    "to_adopt",
    "with_others",
    "with_previous",
    "write_columns",
    "write_into",
    "written",
]
