"""The answers of engines for R: the record, its table, and columns of raw bytes to be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations import delivery
from ..annotations.cells import CellAnnotations
from ..annotations.clusters import Annotations
from ..annotations.texts import Texts
from ..errors import InternalError
from . import wire

if TYPE_CHECKING:
    from ..study.study import Study
    from .wire import Message


def results(
    found: Annotations | CellAnnotations, study: Study | None, out: wire.Outgoing
) -> Message:
    """Return the record, of which R makes the table, and the values of every metadata column.

    The frame ``delivery`` has one row for each cluster, or for each cell; its column ``cluster``
    has their names. Of cells the record is a summary, and the study is needed.
    """
    names: Sequence[str]
    if isinstance(found, CellAnnotations):
        table, names = found.summary(), found.cells
        key = str(found.provenance.get("key") or "cell_type_cell")
        columns = _cell_columns(found, study, key, out)
    else:
        table, names = found, found.column("cluster")
        key = str(found.provenance.get("key") or "cell_type")
        columns = _cluster_columns(found, key, out)
    delivered = [out.column("cluster", "text", names), *columns]
    return {
        "run": found.provenance.get("run"),
        "key": key,
        "json": table.to_json(),
        "delivery": out.frame(delivered, len(names)),
    }


def _cluster_columns(found: Annotations, key: str, out: wire.Outgoing) -> list[Message]:
    clusters, made = found.column("cluster"), []
    for column in delivery.columns(found, key):
        values = [column.by_cluster[c] for c in clusters]
        kind = "real" if column.levels is None else "category"
        made.append(out.column(column.name, kind, values, column.levels))
    return made


def _cell_columns(
    found: CellAnnotations, study: Study | None, key: str, out: wire.Outgoing
) -> list[Message]:
    if study is None:
        message = "Labels of cells cannot be sent without the study of the cells."
        raise InternalError(message)
    columns = delivery.cell_columns(found, key, study.clusters)
    return [out.record(column.name, _record(column.values)) for column in columns]


def _record(values: Any) -> dict[str, Any]:
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
