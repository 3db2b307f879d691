"""The rows of the table of a merged object, and what its record says of where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._version import software
from ...errors import CellsUnmatchedWarning, MergeError, counted, listing, warn
from ..clusters import Annotation, Annotations
from ..delivery import APART
from ..labelling.labels import CLUSTER, Labels
from .parts import Part, is_of
from .sources import Source

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOST = "Its record is in none of the parts."
"""Why a label is missing whose cells have a status and no record."""
SHARED = ("gene_names",)
"""Of the provenance: what the records say together."""


def with_lost(
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


def rows_of_parts(
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
        if name in dict(base.record.provenance.get("merged", {})) and is_of(row.cluster, name)
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
            if not is_of(made[int(row)].cluster, part.name):
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


def merged_evidence(base: Labels, parts: Sequence[Part], names: set[str]) -> dict[str, Any]:
    """Return the evidence of the rows that are there, each as its part has it."""
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


def merged_provenance(
    base: Labels, parts: Sequence[Part], keys: Sequence[str], key: str, *, of_cells: bool
) -> dict[str, Any]:
    """Return the provenance of the whole, with that of each part."""
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


def merged_markers(
    base: Labels, parts: Sequence[Part], rows: Sequence[Annotation]
) -> dict[str, list[Any]]:
    """Return the marker table of the rows that are there, those of parts under their new names."""
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


def kept_records(
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
