"""The answers of engines for R: the record, its table, and columns of raw bytes to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..annotations import delivery
from ..annotations.cells import CellAnnotations
from ..annotations.clusters import Annotations
from ..annotations.labelling.labels import Labels, Written
from ..annotations.labelling.written import labelled
from ..annotations.texts import Texts
from ..study.clusters import Clusters
from . import wire

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..study.markers.table import Markers
    from ..study.study import Study
    from .wire import Message


def results(
    found: Annotations | CellAnnotations,
    study: Study | None,
    out: wire.Outgoing,
    previous: Labels | None = None,
) -> Message:
    """Return the record, of which R makes the table, and the values of every metadata column.

    The frame ``delivery`` has one row for each cluster, or for each cell (``by_cell``); its column
    ``cluster`` has their names. Of cells the record is a summary, and the study is needed.

    Parameters
    ----------
    found
        Of clusters or cells.
    study
        Its clusters are delivered to; None for a table alone.
    out
        Takes the values of the columns.
    previous
        What the object has under the key: decisions that still hold go on with the labels.
    """
    key = str(found.provenance.get("key") or delivery.DEFAULT_KEYS[found.level])
    if study is None or study.cells is None:
        return _table(found, study, key, out)
    cells, made = written(found, study, key, previous)
    if made.record.decisions or found.provenance.get("levels"):
        return described(made, cells, key, out)
    answer = _table(found, study, key, out)
    return {**answer, "json": made.record.to_json(), "gone": list(made.gone)}


def written(
    found: Annotations | CellAnnotations, study: Study, key: str, previous: Labels | None
) -> tuple[Sequence[str], Written]:
    """Return the cells of an object of R, and what is written for them.

    Parameters
    ----------
    found
        The answer.
    study
        What was read: cells that the assay does not have are in none of its values.
    key
        Name of the label column.
    previous
        What the object has under the key.
    """
    cells, clusters, absent = study.cells or (), study.clusters, study.absent
    if absent is not None:
        cells += absent.cells
        codes = np.full_like(absent.codes, -1) if found.level == "cells" else absent.codes
        if clusters.codes is not None:
            clusters = replace(clusters, codes=np.concatenate([clusters.codes, codes]))
        if isinstance(found, CellAnnotations):
            found = found.with_skipped(absent.cells, "The assay that was read does not have it.")
    if previous is not None and len(previous.cells) == len(cells):
        place = {name: i for i, name in enumerate(cells)}
        if clusters.codes is not None and all(c in place for c in previous.cells):
            order = np.array([place[c] for c in previous.cells], dtype=np.intp)
            cells = tuple(previous.cells)
            if isinstance(found, Annotations):
                # Of an answer of cells they stay in its order.
                clusters = Clusters(clusters.names, clusters.codes[order])
        else:
            previous = None
    else:
        previous = None
    return cells, labelled(found, clusters, key, cells, previous)


def described(made: Written, cells: Sequence[str], key: str, out: wire.Outgoing) -> Message:
    """Return what is written, with one row for each cell.

    Parameters
    ----------
    made
        Record and columns.
    cells
        Names, in the order of the columns.
    key
        Name of the label column.
    out
        Takes the values of the columns.
    """
    delivered = [out.column("cluster", "text", cells)]
    for column in made.columns:
        delivered.append(out.record(column.name, _record(column.values)))
    return {
        "run": made.record.provenance.get("run"),
        "key": key,
        "json": made.record.to_json(),
        "delivery": out.frame(delivered, len(cells)),
        "by_cell": True,
        "level": made.record.provenance.get("level"),
        "gone": list(made.gone),
    }


def _table(
    found: Annotations | CellAnnotations, study: Study | None, key: str, out: wire.Outgoing
) -> Message:
    clusters = None if study is None else study.clusters
    if isinstance(found, CellAnnotations):
        names: Sequence[str] = found.cells
    else:
        names = found.column("cluster")
    delivered = [out.column("cluster", "text", names)]
    for column in delivery.columns(found, key, clusters):
        delivered.append(out.record(column.name, _record(column.values)))
    return {
        "run": found.provenance.get("run"),
        "key": key,
        "json": found.summary().to_json(),
        "delivery": out.frame(delivered, len(names)),
    }


def _record(values: Texts | NDArray[np.float64] | NDArray[np.bool_]) -> Message:
    if isinstance(values, Texts):
        return {
            "kind": "category",
            "values": values.codes,
            "levels": list(values.levels),
            "ordered": False,
        }
    if values.dtype == np.bool_:
        return {"kind": "logical", "values": values, "mask": np.zeros(len(values), dtype=bool)}
    missing = np.isnan(values)
    return {"kind": "real", "values": np.where(missing, 0.0, values), "mask": missing}


def counted_annotations(message: Message) -> Annotations:
    """Return stored annotations with the cells that R counted in the object as it is."""
    found = Annotations.from_json(message["json"])
    counts = dict(zip(message.get("clusters", ()), message.get("n_cells", ()), strict=True))
    rows = (replace(row, n_cells=counts.get(row.cluster, row.n_cells)) for row in found)
    note = {"note": message["note"]} if message.get("note") else {}
    return replace(found, rows=tuple(rows), provenance={**found.provenance, **note})


def embedding(values: NDArray[np.float32], note: dict[str, str], out: wire.Outgoing) -> Message:
    """Return numbers of cells, column by column, and how they were made."""
    flat = np.ravel(values.astype(np.float64), order="F")
    return {"values": out.vector(flat, "<f8"), "dimensions": values.shape[1], "note": note}


def label_markers(found: Markers, out: wire.Outgoing) -> Message:
    """Return the marker genes of labels as a data frame."""
    frame = found.to_frame()
    columns = [
        out.column("cluster", "category", [str(c) for c in frame[name]], found.clusters)
        if name == "cluster"
        else out.column(str(name), "text" if name == "gene" else "real", frame[name].tolist())
        for name in frame.columns
    ]
    return {"frame": out.frame(columns, len(frame))}
