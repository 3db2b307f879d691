"""Annotated parts are put into the whole: subclusters into their clusters, samples into all.

Cells are joined by their names. The table gets the rows of the parts, and only the cells of the
parts get other values: those that they have in the part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...errors import (
    CellsUnmatchedWarning,
    ColumnExistsError,
    LabelsEditedError,
    MergeError,
    counted,
    listing,
    warn,
)
from ..clusters import Annotations
from ..decisions.in_force import with_decisions
from ..decisions.of_cells import by_hand, positions
from ..delivery import APART, Values, check_key, claimed_columns, looks_written
from ..labelling.columns import by_row, differing, put_from
from ..labelling.edited import to_adopt
from ..labelling.labels import CLUSTER, Labels, Written, in_force, of_engine
from ..labelling.written import counts_by_hand, written
from ..texts import Texts
from .decisions import as_in_parts, merged_decisions
from .names import Affix, affixes
from .parts import Part, is_of
from .rows import (
    kept_records,
    merged_evidence,
    merged_markers,
    merged_provenance,
    rows_of_parts,
    with_lost,
)
from .sources import Source, chosen_keys, level_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    return Merged(key, replace(finished, beside=kept_records(whole, parts, made, keys, key)))


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
    while name in taken or (name in known and any(is_of(x, name) for x in left)):
        number += 1
        name = f"{part.name}_{number}"
    return name


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
    base = with_lost(base, covered, parts, of_cells=of_cells)
    rows_of_base, others = rows_of_parts(base, parts, owner, own, of_cells=of_cells)
    rows, codes = others
    decisions = merged_decisions(base, parts, rows, codes, rows_of_base)
    decisions = as_in_parts(base, parts, owner, own, decisions)
    record = Annotations(
        rows,
        merged_evidence(base, parts, {r.cluster for r in rows}),
        merged_provenance(base, parts, keys, key, of_cells=of_cells),
        merged_markers(base, parts, rows),
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
