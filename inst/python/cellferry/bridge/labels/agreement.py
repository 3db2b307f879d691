"""Labels of an object of R as votes, and beside each other.

R first asks which columns are read (:func:`columns`), so that no other metadata is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...annotate import agreement as annotate_agreement
from ...annotations import delivery
from ...annotations.agreement.request import (
    Asked,
    comparison_of,
    consensus_of,
    consensus_of_tables,
    listed,
)
from ...annotations.agreement.sources import (
    Labelled,
    asked_annotators,
    found_annotators,
    needed_columns,
)
from ...annotations.clusters import Annotations
from ...annotations.labelling.edited import check_unedited
from ...annotations.labelling.labels import Labels, Written
from ...annotations.labelling.objects import as_written
from ...annotations.labelling.written import labelled
from ...annotations.present import present
from ...errors import AnnotationsFormatError
from .. import wire
from ..results import described, results

if TYPE_CHECKING:
    from ...annotations.cells import CellAnnotations
    from ..callbacks import Callback
    from ..wire import Message

logger = logging.getLogger("cellferry")

LISTED = {
    "name": "text", "group": "text", "columns": "text", "labels": "integer",
    "unresolved": "integer", "cells": "integer",
}  # fmt: skip
COMPARED = {
    "cluster": "text", "n_cells": "integer", "label": "text", "ontology_id": "text",
    "other": "text", "other_ontology_id": "text", "share": "real", "relation": "text",
    "distance": "integer", "agreeing": "real", "look": "text",
}  # fmt: skip


def columns(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return the columns that are read, and the keys whose clusters may be needed."""
    import pandas as pd

    names = [str(n) for n in message["names"]]
    empty = pd.DataFrame(columns=pd.Index(names, dtype="object"))
    records = Labelled((), empty, message.get("stored") or {}).records()
    if message.get("from") is None:
        who = found_annotators(names, records)
    else:
        who = asked_annotators(names, records, message["from"])
    return {
        "columns": needed_columns(who, names),
        "keys": [a.key for a in who if a.key is not None],
    }


def consensus(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return what the annotators agree on, as columns with one row per cell."""
    whole, key = _whole(message), str(message["key"])
    if message.get("from") is None:
        rows = listed(whole, key)
        made = [out.column(n, kind, [r[n] for r in rows]) for n, kind in LISTED.items()]
        return {"frame": out.frame(made, len(rows))}
    answer = agreed(message, whole)
    return described(answer.written, answer.cells, key, out)


@dataclass(frozen=True, eq=False)
class Agreed:
    """A consensus, and what is written for it into the cells of an object of R."""

    found: Annotations | CellAnnotations
    written: Written
    cells: Sequence[str]

    def in_force(self) -> Annotations | CellAnnotations:
        """Return the answer with the decisions that still hold."""
        return as_written(self.found, self.written)


def agreed(message: Message, whole: Labelled | None = None) -> Agreed:
    """Return what the annotators agree on, and what is written.

    Parameters
    ----------
    message
        As :func:`consensus` is sent.
    whole
        The labels in it, where they were read before.
    """
    whole = whole or _whole(message)
    key = str(message["key"])
    asked = asked_of(message)
    answer = consensus_of(whole, asked)
    overwrite, stored = bool(message.get("overwrite")), whole.stored.get(key)
    delivery.check_group_key(key, asked.group_key, answer.level)
    delivery.check_key(
        key, message["names"], delivery.owned_columns(stored), overwrite=overwrite,
        reserved=message.get("reserved"), level=answer.level,
        unrecorded=bool(message.get("unrecorded")), levels=asked.levels,
    )  # fmt: skip
    previous = _previous(whole, key)
    if previous is not None:
        check_unedited(previous, overwrite=overwrite)
    written = labelled(answer.found, answer.clusters, key, whole.cells, previous)
    return Agreed(answer.found, written, whole.cells)


def asked_of(message: Message) -> Asked:
    """Return who votes, as R sends it."""
    return Asked(
        message["from"], str(message["key"]), message.get("group_key"),
        _numbers(message.get("weights")), message.get("groups") or {},
        message.get("mapping") or {}, levels=bool(message.get("levels")),
    )  # fmt: skip


def of_file(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return what the annotators of an object in a file agree on, which is written where asked."""
    asked = asked_of(message)
    found = annotate_agreement.consensus(
        message["path"], list(asked.names), key=asked.key, group_key=asked.group_key,
        weights=asked.weights, groups=asked.groups, mapping=asked.mapping, levels=asked.levels,
        overwrite=bool(message.get("overwrite")), output=message.get("output"),
        scheduler=message.get("scheduler"), resume=message.get("resume"),
    )  # fmt: skip
    return results(found, None, out)


def tables(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return what several engines agree on, for an object of R or as a table."""
    return agreed_tables(message, out)[1]


def agreed_tables(message: Message, out: wire.Outgoing) -> tuple[Annotations, Message]:
    """Return what several engines agree on, in force, and what R is told of it."""
    key = str(message["key"])
    answers = {str(n): Annotations.from_json(text) for n, text in message["tables"].items()}
    found = consensus_of_tables(
        answers, key, failed=message.get("failed") or {}, levels=bool(message.get("levels"))
    )
    if message.get("labelled") is None:
        return found, results(found, None, out)
    whole = _whole(message)
    name, record = next(iter(answers.items()))
    now = present(record, whole.obs, f"{key}_{name}")
    assert now.clusters is not None
    written = labelled(found, now.clusters, key, whole.cells, _previous(whole, key))
    return written.record, described(written, whole.cells, key, out)


def compare(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return two sets of labels beside each other: by cluster, by cell, and as a table."""
    key, with_ = str(message["key"]), str(message["with"])
    whole = _whole(message)
    found = comparison_of(whole, key, with_, message.get("mapping") or {})
    rows = [
        out.column(name, kind, [getattr(row, name) for row in found.rows])
        for name, kind in COMPARED.items()
    ]
    cells = out.record("relation", {
        "kind": "category", "values": found.cells.codes.astype(np.int32),
        "levels": list(found.cells.levels), "ordered": False,
    })  # fmt: skip
    # R has the names of the cells of its own objects.
    names = [out.column("cell", "text", whole.cells)] if "path" in message else []
    counts = [
        out.column(f"V{i}", "real", column.astype(float).tolist())
        for i, column in enumerate(found.confusion.T)
    ]
    return {
        "rows": out.frame(rows, len(found.rows)),
        "cells": out.frame([*names, cells], len(found.cells)),
        "labels": list(found.labels),
        "others": list(found.others),
        "confusion": out.frame(counts, len(found.labels)),
        "adjusted_rand": found.adjusted_rand,
        "summary": found.summary_line(),
    }


def _whole(message: Message) -> Labelled:
    if message.get("path") is not None:
        return annotate_agreement.labelled_object(message["path"])
    sent = message["labelled"]
    frame = wire.frame_from_wire(sent["frame"])
    return Labelled(tuple(sent["cells"]), frame, message.get("stored") or {})


def _previous(whole: Labelled, key: str) -> Labels | None:
    if key not in whole.stored:
        return None
    try:
        record = whole.records()[key]
    except (KeyError, AnnotationsFormatError):
        return None
    return Labels(whole.cells, whole.obs, key, record)


def _numbers(weights: Message | None) -> dict[str, float]:
    return {str(name): float(weight) for name, weight in (weights or {}).items()}
