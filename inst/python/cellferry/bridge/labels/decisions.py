"""Decisions of persons about the labels of an object of R, or of a table: set, withdrawn, carried.

Each call gets what the object has under a key (:func:`..requests.previous_labels`) or a
table alone, and returns what R writes; nothing is changed where something is wrong.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...annotate.deciding import of_object
from ...annotate.decisions import is_review, read_decisions, remember, wanted_of
from ...annotations.clusters import Annotations
from ...annotations.decisions import decide, transfer
from ...annotations.decisions.adopted import adopt
from ...annotations.decisions.decision import Wanted
from ...annotations.decisions.decision import described as in_words
from ...annotations.decisions.history import HISTORY, decisions_text, history
from ...annotations.decisions.made import Decided
from ...annotations.labelling.columns import texts_of
from ...annotations.labelling.labels import Labels
from ...errors import AnnotationsError, counted, enumerated
from ...files import write_whole
from .. import wire
from ..requests import previous_labels
from ..results import described

if TYPE_CHECKING:
    from ..callbacks import Callback
    from ..wire import Message

logger = logging.getLogger("cellferry")

MOST_SAID = 10
"""Decisions that are named in the message to the user."""


def set_labels(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Put labels in force: of clusters, of cells by name, or those of a column."""
    target = _target(message)
    want = Wanted(
        None, message.get("decision"), message.get("ontology_id"), message.get("reason"),
        message.get("by"),
    )  # fmt: skip
    overwrite = bool(message.get("overwrite"))
    if message.get("column") is not None:
        column = texts_of(wire.frame_from_wire(message["column"]).iloc[:, 0])
        made = adopt(of_object(target), column, want.by, want.reason)
    elif message.get("cells") is not None:
        one = Wanted(message.get("label"), want.action, want.ontology_id, want.reason, want.by)
        made = decide.set_cells(of_object(target), message["cells"], one, overwrite=overwrite)
    else:
        made = decide.set_clusters(target, wanted_of(_given(message), want), overwrite=overwrite)
    return _answer(target, made, out)


def withdraw(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Put the engine's labels in force again."""
    target = _target(message)
    made = decide.withdraw(
        target, message.get("clusters") or [], message.get("cells") or [], message.get("by"),
        message.get("reason"),
    )  # fmt: skip
    return _answer(target, made, out)


def read_file(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return the key that a file of decisions names, so that R can choose what it sends."""
    _, key, _ = read_decisions(message["file"])
    return {"key": key}


def apply(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Apply the decisions of a file to the clusters that have their cells."""
    read, _, run = read_decisions(message["file"])
    if not read and is_review(message["file"]):
        logger.info("Nothing was decided on the page yet.")
        return {"unchanged": True}
    target = _target(message)
    return _answer(target, transfer.apply(target, read, run), out)


def carry(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Take decisions over that hold for no cluster of now, or those of another object."""
    target = of_object(_target(message))
    other = None if message.get("other") is None else of_object(_target(message["other"]))
    made = transfer.carry(target, other, message.get("clusters"), message.get("by"))
    return _answer(target, made, out)


def decisions(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return the history as a frame; write it to a file too, where one is named."""
    found = Annotations.from_json(message["json"])
    if message.get("file") is not None:
        write_whole(Path(message["file"]), decisions_text(found, message["key"]))
    rows = history(found)
    made = [
        out.column(name, "integer" if name == "n_cells" else "text", [r[name] for r in rows])
        for name in HISTORY
    ]
    return {"frame": out.frame(made, len(rows))}


def _target(message: Message) -> Labels | Annotations:
    if message.get("json") is not None:
        return Annotations.from_json(message["json"])
    labels = previous_labels(message)
    if labels is None:
        # What is stored is read once more, for the error that says what is wrong with it.
        key = message.get("key")
        Annotations.from_json((message.get("stored") or {}).get(key) or "")
        text = f'The object has no record of labels under the key "{key}".'
        raise AnnotationsError(text, "Annotate again.")
    return labels


def _given(message: Message) -> Any:
    """Return labels by cluster: a table, the path of one, or names with their labels."""
    if message.get("frame") is not None:
        return wire.frame_from_wire(message["frame"])
    if message.get("file") is not None:
        return Path(message["file"])
    clusters = message.get("clusters") or []
    labels = message.get("labels") or [None] * len(clusters)
    return dict(zip(clusters, labels, strict=True))


def _answer(target: Labels | Annotations, made: Decided, out: wire.Outgoing) -> Message:
    if made.new:
        said = [in_words(d) for d in made.new]
        logger.info("%s: %s.", counted(len(said), "decision"), enumerated(said, MOST_SAID))
    remember(made)
    if isinstance(target, Labels):
        if made.written is None:
            return {"unchanged": True}
        return described(made.written, target.cells, target.key, out)
    return {"json": made.table.to_json()}
