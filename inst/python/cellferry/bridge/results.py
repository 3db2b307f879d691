"""The answers of engines for R: the record, its table, and columns of raw bytes to be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..annotations import delivery
from ..annotations.cells import CellAnnotations
from ..annotations.clusters import Annotations
from ..annotations.texts import Texts
from . import wire

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..study.study import Study
    from .wire import Message


def results(
    found: Annotations | CellAnnotations, study: Study | None, out: wire.Outgoing
) -> Message:
    """Return the record, of which R makes the table, and the values of every metadata column.

    The frame ``delivery`` has one row for each cluster, or for each cell; its column ``cluster``
    has their names. Of cells the record is a summary, and the study is needed.

    Parameters
    ----------
    found
        Of clusters or cells.
    study
        Its clusters are delivered to; None for a table alone.
    out
        Takes the values of the columns.
    """
    clusters = None if study is None else study.clusters
    if isinstance(found, CellAnnotations):
        names: Sequence[str] = found.cells
    else:
        names = found.column("cluster")
    key = str(found.provenance.get("key") or delivery.DEFAULT_KEYS[found.level])
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
