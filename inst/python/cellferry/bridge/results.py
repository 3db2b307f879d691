"""Cells for R: engines that answer them, and their answers as columns of raw bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations.cells import CellAnnotations
from ..annotations.clusters import COLUMNS
from ..annotations.delivery import Column, columns
from ..annotations.texts import Texts
from ..engines import create_engine
from ..runs.run import Run
from . import wire

if TYPE_CHECKING:
    from ..annotations.delivery import Level
    from ..study.study import Study
    from .studies import Message


def level_asked(request: Message) -> Level:
    """Return what R asks for: clusters or cells."""
    return "cells" if request.get("level") == "cells" else "clusters"


def engine_asked(request: Message) -> Any:
    """Return the engine that R asks for; with ``run``, the one of that run."""
    name, options = request["engine"]["name"], dict(request["engine"]["options"])
    if request.get("run") is not None:
        content = Run.open(request["run"]).content
        name, options = content["engine"], {**content["options"], **options}
    return create_engine(name, options, level_asked(request))


def cell_results(
    found: CellAnnotations, study: Study, out: wire.Outgoing, replaced: Sequence[str] = ()
) -> Message:
    """Return the summary as a table, and one value per cell for every metadata column.

    The frame ``delivery`` has the names of the cells in its column ``cluster``.
    """
    table = found.summary()
    key = str(found.provenance.get("key") or "cell_type_cell")
    delivered = [out.column("cluster", "text", found.cells)]
    for column in columns(found, key, study.clusters):
        delivered.append(out.record(column.name, column_record(column)))
    of_table = [out.column(name, kind, table.column(name)) for name, kind in COLUMNS.items()]
    return {
        "run": found.provenance.get("run"),
        "key": key,
        "json": table.to_json(),
        "table": out.frame(of_table, len(table)),
        "delivery": out.frame(delivered, len(found)),
        "replaced": list(replaced),
        "summary": found.summary_line(),
    }


def column_record(column: Column) -> dict[str, Any]:
    """Return a metadata column in the form of :mod:`cellferry.bridge.columns`."""
    values = column.values
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
