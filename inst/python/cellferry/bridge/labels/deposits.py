"""What portals of data take, of an object of R: its cells and columns are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ...annotations.write.deposits import (
    Publication,
    cells_deposited,
    checked_path,
    labels_of,
    say,
    write_cas,
    write_columns,
)
from ...errors import EngineNeedsError, InvalidOptionError
from .. import wire

if TYPE_CHECKING:
    from pathlib import Path

    from ...annotations.clusters import Annotations
    from ..wire import Message


def deposited(found: Annotations, message: Message) -> Path:
    """Write the file that R asks for.

    Parameters
    ----------
    found
        The annotations, as they are counted now.
    message
        ``file``, ``format``, ``key``, ``title``, ``author``, ``overwrite``, and of an object
        ``labelled``: its cells and the columns of the key.

    Raises
    ------
    EngineNeedsError
        Cells are deposited, and no object was sent.
    InvalidOptionError
        An .h5ad is asked for, which R does not write.
    """
    format_, key = str(message["format"]), str(message["key"])
    path = checked_path(message["file"], format_, overwrite=bool(message.get("overwrite")))
    sent = message.get("labelled")
    obs = pd.DataFrame() if sent is None else wire.frame_from_wire(sent["frame"])
    cells = [] if sent is None else [str(c) for c in sent["cells"]]
    if format_ == "cas":
        said = Publication(message.get("title"), message.get("author"))
        labels = None if sent is None else labels_of(pd.Index(cells), obs, key)
        return write_cas(found, path, said, labels, key)
    if sent is None:
        text = "CELLxGENE takes the terms of cells, and this is a table."
        raise EngineNeedsError(text, "Give the object itself.")
    if path.suffix.lower() == ".h5ad":
        text = "Of an object of R the columns of its cells are written, not an .h5ad."
        raise InvalidOptionError(
            text, f"Name it {path.stem}.csv, and join it by the names of cells."
        )
    made = cells_deposited(obs, key)
    say(made)
    return write_columns(path, cells, obs, made, key)
