"""Annotated parts are put into the whole: subclusters into their clusters, samples into all.

Cells are joined by their names. The table gets the rows of the parts, and only the cells of the
parts get other values: those that they have in the part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._version import software
from ...errors import (
    CellsUnmatchedWarning,
    ColumnExistsError,
    DecisionsWarning,
    LabelsEditedError,
    MergeError,
    counted,
    listing,
    warn,
)
from ..clusters import Annotation, Annotations
from ..decisions.decision import (
    Decision,
    Offer,
    by_now,
    identity,
    last_decisions,
    names_hash,
)
from ..decisions.in_force import with_decisions
from ..decisions.of_cells import by_hand, positions
from ..delivery import (
    APART,
    Values,
    check_key,
    claimed_columns,
    looks_written,
)
from ..labelling.columns import by_row, differing, put_from
from ..labelling.edited import to_adopt
from ..labelling.labels import CLUSTER, Labels, Written, in_force, of_engine
from ..labelling.written import counts_by_hand, written
from ..texts import Texts
from .names import Affix, affixes
from .parts import Source, chosen_keys, level_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOST = "Its record is in none of the parts."
"""Why a label is missing whose cells have a status and no record."""

SHARED = ("gene_names",)
"""Of the provenance: what the records say together."""


@dataclass(frozen=True, eq=False)
class Merged:
    """What came of it.

    Attributes
    ----------
    key
        Name of the label column.
    written
        The record of the whole, the columns of its cells, and beside it the records of the parts.
    """

    key: str
    written: Written


@dataclass(frozen=True, eq=False)
class Part:
    """A part as it is put into the whole.

    Attributes
    ----------
    name
        What its rows are named by.
    labels
        What its cells have.
    rows
        For each of its cells the row of its record, -1 without one.
    at
        For each of its cells the place in the whole, -1 where it is not there.
    affix
        What was added to the names of its cells.
    hand
        For each of its cells the number of the decision about cells that is in force, else -1.
    """

    name: str
    labels: Labels
    rows: NDArray[np.intp]
    at: NDArray[np.intp]
    affix: Affix
    hand: NDArray[np.intp]

    @property
    def record(self) -> Annotations:
        """Of the part."""
        return self.labels.record

    @property
    def origin(self) -> str:
        """What a decision says of where it was made."""
        if self.affix.is_none:
            return self.name
        return f"{self.name}, cells renamed to {self.affix.of('*')}"

    def row(self, cluster: str) -> str:
        """Return the name that a row gets; of cells a row is its label, and one in all parts."""
        return cluster if self.labels.of_cells else f"{self.name}:{cluster}"


def merge(
    whole: Source,
    parts: Sequence[Source],
    *,
    ids: Sequence[str] | None = None,
    key: str | None = None,
    reserved: Mapping[str, Sequence[str]] | None = None,
) -> Merged:
    """Put annotated parts into the whole.

    Parameters
    ----------
    whole
        The object, with or without annotations.
    parts
        Each with annotations of its own.
    ids
        What was put before or after the names of the cells of each part.
    key
        Name of the label column; None: see :func:`.parts.chosen_keys`.
    reserved
        What else has names in the object, by kind.

    Raises
    ------
    MergeError
        A part has no cells in the whole, or no annotations; its cells were renamed, and ``ids``
        does not say how; a cell has other labels in another part; labels were edited by hand.
    InvalidKeyError, InvalidOptionError, ColumnExistsError, LabelsEditedError
    """
    for source in (whole, *parts):
        if len(set(source.cells)) != len(source.cells):
            where = f'the part "{source.name}"' if source.name else "the object"
            message = f"Names of cells in {where} are there more than once."
            raise MergeError(message, "Make them unique.")
    key, keys = chosen_keys(whole, parts, key)
    found = affixes([p.name for p in parts], [p.cells for p in parts], whole.cells, ids)
    base = _base(whole, parts, keys, key, reserved)
    made: list[Part] = []
    for source, own, affix in zip(parts, keys, found, strict=True):
        part = _part(source, own, affix, whole.cells)
        made.append(replace(part, name=_free_name(part, base, made)))
    finished = _merged(base, made, keys, key)
    return Merged(key, replace(finished, beside=_kept(whole, parts, made, keys, key)))


def _part(source: Source, key: str, affix: Affix, whole: Sequence[str]) -> Part:
    labels = source.labels(key)
    rows = labels.rows
    if rows is None:
        message = (
            f'Which cells the clusters of the part "{source.name}" have is not known any more: '
            f'the columns of the clusters and of the labels "{key}" are gone or were changed.'
        )
        raise MergeError(message, "Annotate it again.")
    n = int(labels.edited.sum())
    if n:
        message = (
            f'{counted(n, "cell")} of the part "{source.name}" {"has" if n == 1 else "have"} '
            f'another label in "{key}" than cellferry wrote: they were edited by hand.'
        )
        raise MergeError(message, to_adopt(key, source.name))
    at = positions([affix.of(cell) for cell in source.cells], whole)
    missing = np.flatnonzero(at < 0)
    if len(missing):
        message = (
            f'{counted(len(missing), "cell")} of {len(at)} of the part "{source.name}" '
            f"{'is' if len(missing) == 1 else 'are'} not in the object: "
            f"{listing([source.cells[int(i)] for i in missing], 3)}."
        )
        warn(CellsUnmatchedWarning(message, "They are left out."))
    hand = by_hand(labels.record.decisions, labels.cells)
    # Both signs part the name from what is after or before it.
    name = source.name.replace(APART, "_").replace(":", "_")
    return Part(name, labels, rows, at, affix, hand)


def _free_name(part: Part, base: Labels, made: Sequence[Part]) -> str:
    """Return a name whose rows in the whole have no cells but those of the part.

    The same part again replaces its rows; another one that is called alike does not.
    """
    if part.labels.of_cells:
        return part.name
    rows = base.rows
    assert rows is not None
    others = np.ones(len(base.cells), dtype=bool)
    others[part.at[part.at >= 0]] = False
    known = dict(base.record.provenance.get("merged", {}))
    taken = {p.name for p in made}
    left = {base.record.rows[int(i)].cluster for i in np.unique(rows[others & (rows >= 0)])}
    name, number = part.name, 1
    while name in taken or (name in known and any(_is_of(x, name) for x in left)):
        number += 1
        name = f"{part.name}_{number}"
    return name


def _is_of(cluster: str, part: str) -> bool:
    return cluster.startswith(f"{part}:")


def _base(
    whole: Source,
    parts: Sequence[Source],
    keys: Sequence[str],
    key: str,
    reserved: Mapping[str, Sequence[str]] | None,
) -> Labels:
    """Return what the whole has under the key, of labels without a record a table of their own."""
    of_parts = [p.records[k] for p, k in zip(parts, keys, strict=True)]
    level = level_of(of_parts[0])
    check_key(key, (), reserved=reserved, level=level)
    has = {str(c) for c in whole.obs.columns}
    record = whole.records.get(key)
    if record is None and key in whole.stored:
        message = f'The record of "{key}" in the object is damaged, or a newer cellferry wrote it.'
        raise MergeError(message, "Name another key (`key`).")
    owned = set() if record is None else set(record.provenance.get("columns", ()))
    lost = record is None and looks_written(whole.obs, key)
    if lost:
        owned = set(claimed_columns(key, level))
        owned |= {key + CLUSTER for r in of_parts if "merged" in r.provenance}
    claimed = {*claimed_columns(key, level), *([key + CLUSTER] if level == "clusters" else [])}
    foreign = sorted((claimed & has) - owned)
    if foreign:
        message = (
            f"The metadata already has {listing(foreign)}, and this object has no record that "
            f"cellferry wrote {'it' if len(foreign) == 1 else 'them'}."
        )
        raise ColumnExistsError(message, f'Name another key than "{key}" (`key`).', columns=foreign)
    if record is None:
        none = np.full(len(whole.cells), -1, dtype=np.intp)
        return Labels(tuple(whole.cells), whole.obs, key, Annotations((), provenance={}), none)
    labels = whole.labels(key)
    if labels.rows is None:
        message = (
            f'Which cells the clusters of "{key}" have is not known any more: the columns of the '
            "clusters and of the labels are gone or were changed."
        )
        raise MergeError(message, "Name another key (`key`), or annotate again.")
    return labels


def _merged(base: Labels, parts: Sequence[Part], keys: Sequence[str], key: str) -> Written:
    of_cells = parts[0].labels.of_cells
    owner, own = _owners(parts, len(base.cells))
    covered = owner >= 0
    _check_unedited(base, covered)
    base = _with_lost(base, covered, parts, of_cells=of_cells)
    rows_of_base, others = _rows(base, parts, owner, own, of_cells=of_cells)
    rows, codes = others
    decisions = _decisions(base, parts, rows, codes, rows_of_base)
    decisions = _as_in_parts(base, parts, owner, own, decisions)
    record = Annotations(
        rows,
        _evidence(base, parts, {r.cluster for r in rows}),
        _provenance(base, parts, keys, key, of_cells=of_cells),
        _markers(base, parts, rows),
    )
    if not of_cells:
        n_decided = counts_by_hand(decisions, base.cells, codes, rows)
        record = with_decisions(record, decisions, n_decided)
    else:
        record = replace(record, decisions=tuple(decisions))
    if of_cells:
        made = dict(base.now)
        for number, part in enumerate(parts):
            made = {e: _from_part(v, part, e, owner == number, own) for e, v in made.items()}
        expected = made[""]
        assert isinstance(expected, Texts)
        of_label = dict(zip(expected.levels, expected.counts().tolist(), strict=True))
        counted_rows = tuple(replace(r, n_cells=of_label.get(r.cluster, 0)) for r in record)
        record = replace(record, rows=counted_rows)
    else:
        wanted = in_force(record, codes, base.cells, of_engine(record, codes))
        keep = np.flatnonzero(~covered)
        made = {end: put_from(v, base.now[end], keep) for end, v in wanted.items()}
        made |= by_row({CLUSTER: Texts.of(r.cluster for r in record)}, codes)
        expected = wanted[""]
    assert isinstance(expected, Texts)
    return written(record, key, base.cells, made, expected=expected)


def _from_part(
    values: Values, part: Part, end: str, mine: NDArray[np.bool_], own: NDArray[np.intp]
) -> Values:
    at = np.flatnonzero(mine)
    place = np.where(mine, own, -1)
    source = part.labels.column(end) if isinstance(values, Texts) else part.labels.numbers(end)
    return put_from(values, by_row({end: source}, place)[end], at)


def _owners(parts: Sequence[Part], n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return for each cell of the whole the part that has it, and its place there; else -1.

    Raises
    ------
    MergeError
        Two parts have other labels for it.
    """
    owner = np.full(n, -1, dtype=np.intp)
    own = np.full(n, -1, dtype=np.intp)
    labels = Texts.none(n)
    for number, part in enumerate(parts):
        column = part.labels.column("")
        # A part says nothing of a cell without a cluster that nobody decided about.
        says = (part.rows >= 0) | (column.codes >= 0)
        if part.labels.of_cells:
            says |= part.labels.column("_status").codes >= 0
        says &= part.at >= 0
        inside = np.flatnonzero(says)
        at = part.at[inside]
        spread = np.full(n, -1, dtype=np.int32)
        spread[at] = column.codes[inside]
        new = Texts(column.levels, spread)
        both = (labels.codes >= 0) & (new.codes >= 0) & differing(labels, new)
        if both.any():
            first = int(np.flatnonzero(both)[0])
            raise _disagree(parts[int(owner[first])], part, first, int(both.sum()))
        here = np.zeros(n, dtype=bool)
        here[at] = True
        take = here & ((owner < 0) | ((labels.codes < 0) & (new.codes >= 0)))
        place = np.full(n, -1, dtype=np.intp)
        place[at] = inside
        owner[take], own[take] = number, place[take]
        labels = put_texts(labels, new, np.flatnonzero(take))
    return owner, own


def put_texts(values: Texts, source: Texts, at: NDArray[np.intp]) -> Texts:
    """Return a column with the values of another one at some places."""
    made = put_from(values, source, at)
    assert isinstance(made, Texts)
    return made


def _disagree(one: Part, other: Part, at: int, n: int) -> MergeError:
    says = [p.labels.column("").values()[int(np.flatnonzero(p.at == at)[0])] for p in (one, other)]
    cell = other.affix.of(other.labels.cells[int(np.flatnonzero(other.at == at)[0])])
    message = (
        f"{counted(n, 'cell')} {'has' if n == 1 else 'have'} different labels in two parts: "
        f'"{cell}" is "{says[0]}" in "{one.name}" and "{says[1]}" in "{other.name}".'
    )
    hint = "Leave the cells out of one of them, or merge one after the other."
    return MergeError(message, hint)


def _check_unedited(base: Labels, covered: NDArray[np.bool_]) -> None:
    n = int((base.edited & covered).sum()) if len(base.record) else 0
    if not n:
        return
    key = base.key
    message = (
        f"{counted(n, 'cell')} of the parts {'has' if n == 1 else 'have'} another label in "
        f'"{key}" of the object than cellferry wrote: they were edited by hand, and are not '
        "replaced."
    )
    raise LabelsEditedError(message, to_adopt(key), columns=[key], cells=n)


def _with_lost(
    base: Labels, covered: NDArray[np.bool_], parts: Sequence[Part], *, of_cells: bool
) -> Labels:
    """Give labels of cells that are in no part, and have no record, rows of their own."""
    if len(base.record) or base.key not in base.obs:
        return base
    status, label = base.column("_status"), base.column("")
    detail, term = base.column("_detail"), base.column("_ontology_id")
    sure = base.numbers("_confidence")
    kinds = [k for p in parts for k in p.record.column("confidence_kind") if k is not None]
    place: dict[tuple[Any, ...], int] = {}
    codes = np.full(len(base.cells), -1, dtype=np.intp)
    columns = [x.values() for x in (label, status, detail, term)]
    label_of = columns[0]
    for i in np.flatnonzero(~covered & (status.codes >= 0)):
        number = None if np.isnan(sure[i]) else float(sure[i])
        look = (label_of[i],) if of_cells else (*(c[i] for c in columns), number)
        codes[i] = place.setdefault(look, len(place))
    if not place:
        return base
    n = np.bincount(codes[codes >= 0], minlength=len(place))
    rows: list[Annotation] = []
    names: set[str] = set()
    for look, code in place.items():
        first = int(np.flatnonzero(codes == code)[0])
        text, state = columns[0][first], str(columns[1][first])
        if of_cells and text is None:
            continue
        name = start = text or "no label"
        while name in names:
            name = f"{start} ({sum(x.startswith(start) for x in names) + 1})"
        names.add(name)
        number = None if of_cells else look[-1]
        rows.append(
            Annotation(
                name,
                state,  # type: ignore[arg-type]
                n_cells=int(n[code]),
                label=text,
                detail=columns[2][first],
                ontology_id=columns[3][first],
                confidence=number,
                confidence_kind=None if number is None else (kinds or ["graded"])[0],
                error=LOST if text is None else None,
            )
        )
    total = int((codes >= 0).sum())
    message = (
        f"{counted(total, 'cell')} in no part {'has' if total == 1 else 'have'} labels in "
        f'"{base.key}" without a record of them: they keep these, without evidence.'
    )
    warn(CellsUnmatchedWarning(message, "Give the objects that they were annotated in, too."))
    return Labels(base.cells, base.obs, base.key, replace(base.record, rows=tuple(rows)), codes)


def _rows(
    base: Labels,
    parts: Sequence[Part],
    owner: NDArray[np.intp],
    own: NDArray[np.intp],
    *,
    of_cells: bool,
) -> tuple[dict[str, str], tuple[tuple[Annotation, ...], NDArray[np.intp]]]:
    """Return the rows of all, and for each cell its row, -1 without one."""
    old = base.rows
    assert old is not None
    names = [p.name for p in parts]
    if of_cells:
        rows = _rows_of_labels([base.record, *(p.record for p in parts)])
        return {}, (rows, old)
    replaced = {
        row.cluster: name
        for row in base.record
        for name in names
        if name in dict(base.record.provenance.get("merged", {})) and _is_of(row.cluster, name)
    }
    blocks = {p.name: [replace(row, cluster=p.row(row.cluster)) for row in p.record] for p in parts}
    made: list[Annotation] = []
    for row in base.record:
        if row.cluster not in replaced:
            made.append(row)
        else:
            made += blocks.pop(replaced[row.cluster], [])
    made += [row for block in blocks.values() for row in block]
    place = {row.cluster: i for i, row in enumerate(made)}
    if len(place) < len(made):
        twice = sorted({r.cluster for r in made if [m.cluster for m in made].count(r.cluster) > 1})
        message = f"Clusters of the object and of the parts are both named {listing(twice)}."
        raise MergeError(message, "Give the part another name.")
    to = np.array([*(place.get(r.cluster, -1) for r in base.record), -1], dtype=np.intp)
    codes = to[old]
    refined: dict[str, list[str]] = {}
    for number, part in enumerate(parts):
        mine = owner == number
        of_part = np.array([*(place[part.row(r.cluster)] for r in part.record), -1], dtype=np.intp)
        new = np.full(len(owner), -1, dtype=np.intp)
        new[mine] = of_part[part.rows[own[mine]]]
        take = mine & (new >= 0)
        for row in np.unique(codes[take & (codes >= 0)]):
            if not _is_of(made[int(row)].cluster, part.name):
                refined.setdefault(made[int(row)].cluster, []).append(part.name)
        codes[take] = new[take]
    counts = np.bincount(codes[codes >= 0], minlength=len(made))
    rows = tuple(
        replace(row, n_cells=int(n), refined_by=_refined(row, refined.get(row.cluster, ())))
        for row, n in zip(made, counts, strict=True)
    )
    return replaced, (rows, codes)


def _refined(row: Annotation, by: Sequence[str]) -> str | None:
    known = [] if row.refined_by is None else row.refined_by.split(", ")
    return ", ".join(dict.fromkeys([*known, *by])) or None


def _rows_of_labels(records: Sequence[Annotations]) -> tuple[Annotation, ...]:
    """Return one row per label: that of the record with most of its cells, counted together."""
    found: dict[str, list[Annotation]] = {}
    for record in records:
        for row in record:
            found.setdefault(row.cluster, []).append(row)
    made = []
    for same in found.values():
        best = max(same, key=lambda r: r.n_cells or 0)
        weights = [(r.confidence, r.n_cells or 0) for r in same if r.confidence is not None]
        total = sum(n for _, n in weights)
        sure = best.confidence
        if total:
            sure = sum(c * n for c, n in weights) / total
        made.append(replace(best, n_cells=sum(r.n_cells or 0 for r in same), confidence=sure))
    return tuple(made)


def _decisions(
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


def _as_in_parts(
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


def _evidence(base: Labels, parts: Sequence[Part], names: set[str]) -> dict[str, Any]:
    rows = {row.cluster for row in base.record}
    # Of rows that are gone nothing is kept; what is no row's is the engine's own.
    made = {k: v for k, v in base.record.evidence.items() if k in names or k not in rows}
    for part in parts:
        own = {row.cluster for row in part.record}
        for name, value in part.record.evidence.items():
            if name in own and not part.labels.of_cells:
                made[part.row(name)] = value
            else:
                made.setdefault(name, value)
    if parts[0].labels.of_cells:
        # Counts of one part are none of the whole.
        made.pop("cells", None)
    return made


def _provenance(
    base: Labels, parts: Sequence[Part], keys: Sequence[str], key: str, *, of_cells: bool
) -> dict[str, Any]:
    records = [p.record.provenance for p in parts]
    own = dict(base.record.provenance)
    if not len(base.record) or not own:
        first = records[0]
        own = {k: v for k, v in first.items() if all(r.get(k) == v for r in records)}
        own.pop("columns", None)
        own.pop("merged", None)
    for name in SHARED:
        known: dict[str, Any] = {}
        for provenance in (*reversed(records), base.record.provenance):
            known |= dict(provenance.get(name) or {})
        if known:
            own[name] = known
    created = [str(r["created"]) for r in (base.record.provenance, *records) if r.get("created")]
    merged = dict(base.record.provenance.get("merged", {}))
    for part, source in zip(parts, keys, strict=True):
        run = part.record.provenance.get("run")
        merged[part.name] = {
            "key": source,
            "cells": int((part.at >= 0).sum()),
            **({} if run is None else {"run": run}),
            **({} if part.affix.is_none else {"names": part.affix.of("*")}),
        }
    column = key if of_cells else key + CLUSTER
    own.pop("note", None)
    own |= {"key": key, "group_column": column, "merged": merged}
    # Where those of the parts differ, their own records have them.
    own.setdefault("versions", software())
    if not of_cells:
        own["group_key"] = column
    if created:
        own["created"] = max(created)
    return own


def _markers(
    base: Labels, parts: Sequence[Part], rows: Sequence[Annotation]
) -> dict[str, list[Any]]:
    names = {row.cluster for row in rows}
    of_parts = {part.row(row.cluster) for part in parts for row in part.record}
    tables: list[dict[str, list[Any]]] = []
    for part in (None, *parts):
        table = dict((base.record if part is None else part.record).markers)
        clusters = [str(c) for c in table.get("cluster", ())]
        if part is not None:
            clusters = [part.row(c) for c in clusters]
        # Those of a part that is merged again are the part's.
        kept = [
            i
            for i, c in enumerate(clusters)
            if part is not None or (c in names and c not in of_parts)
        ]
        if kept:
            table["cluster"] = clusters
            tables.append({name: [values[i] for i in kept] for name, values in table.items()})
    made: dict[str, list[Any]] = {name: [] for table in tables for name in table}
    for table in tables:
        n = len(table["cluster"])
        for name in made:
            made[name] += table.get(name, [None] * n)
    return made


def _kept(
    whole: Source,
    sources: Sequence[Source],
    parts: Sequence[Part],
    keys: Sequence[str],
    key: str,
) -> dict[str, str]:
    """Return the records of the parts, whole, and those that they have of their own parts."""
    made = {}
    for source, part, own in zip(sources, parts, keys, strict=True):
        name = f"{key}{APART}{part.name}"
        made[name] = part.record.to_json()
        for other, text in source.stored.items():
            if other.startswith(own + APART) and whole.stored.get(other) != text:
                made[name + other.removeprefix(own)] = text
    return made
