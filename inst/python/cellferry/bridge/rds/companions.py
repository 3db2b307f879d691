"""Marker export and embedding of the object in an .rds file: R reads it, and writes it again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...annotate.companions import Delivery, OpenCells
from ...annotate.files import replacing_output
from ...engines.base import AnyEngine
from .. import wire
from ..handles import drop, kept
from ..results import embedding
from ..studies import Incoming, OpenStudy
from ..wire import Message
from . import IDENT, as_from_r
from .child import RChild, existing_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@contextmanager
def companion_of_rds(
    path: Path,
    *,
    engine: AnyEngine,
    what: str,
    group_key: str | None = None,
    assay: str | None = None,
    delivery: Delivery | None = None,
    rscript: str | None = None,
) -> Iterator[OpenCells]:
    """Yield the cells of a Seurat object or SingleCellExperiment in a file.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    engine
        Says which values are read.
    what
        ``"markers"`` or ``"embedding"``.
    group_key
        Metadata column with the labels; None is the active identity.
    assay
        None is the default assay.
    delivery
        Where an embedding goes. The child keeps the object until then, if it is written.
    rscript
        Path of Rscript; None finds it.

    Raises
    ------
    CellferryError
        What is wrong with the object.
    """
    wanted = delivery or Delivery()
    task: Message = {
        "verb": "companion",
        "input": existing_file(path),
        "what": what,
        "engine": engine.name,
        "group_by": group_key or IDENT,
        "assay": assay,
        "reduction": None if wanted.output is None else wanted.key.removeprefix("X_"),
        "overwrite": wanted.overwrite,
    }
    handle = ""
    try:
        with RChild(rscript) as child:
            handlers = {name: as_from_r(name) for name in ("study_open", "block")}
            handlers["task"] = lambda _message, _out: task
            handle = child.serve(handlers, until="companion")["handle"]
            output = wanted.output
            if output is None:
                child.answer(None)
            study = kept(handle, OpenStudy).complete()

            def deliver(found: NDArray[np.float32], note: dict[str, str]) -> None:
                if output is None:
                    return
                out = wire.Outgoing()
                child.deliver(embedding(found, note, out), out)
                with replacing_output(output) as partial:
                    child.save(partial)

            yield OpenCells(study, deliver)
    finally:
        opened = drop(handle)
        if isinstance(opened, Incoming):
            opened.close()
