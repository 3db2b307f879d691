"""The labelled object in an .rds file, as a model is trained on it: R reads the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..handles import drop, kept
from ..studies import Incoming, OpenStudy
from ..wire import Message
from . import as_from_r
from .child import RChild, existing_file

if TYPE_CHECKING:
    from ...study.study import Study

_Result = TypeVar("_Result")


def with_study_of_rds(
    path: Path,
    work: Callable[[Study], _Result],
    *,
    group_key: str,
    assay: str | None = None,
    rscript: str | None = None,
) -> _Result:
    """Do something with the values of a Seurat object or SingleCellExperiment in a file.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    work
        Called with the study, whose clusters are the labels; it is gone afterwards.
    group_key
        Metadata column with the labels.
    assay
        None is the default assay.
    rscript
        Path of Rscript; None finds it.

    Raises
    ------
    CellferryError
        What is wrong with the object, and as ``work``.

    Examples
    --------
    >>> with_study_of_rds(Path("atlas.rds"), print, group_key="cell_type")  # doctest: +SKIP
    """
    task: Message = {
        "verb": "train_reference",
        "input": existing_file(path),
        "group_by": group_key,
        "assay": assay,
    }
    handle = ""
    try:
        with RChild(rscript) as child:
            handlers = {name: as_from_r(name) for name in ("study_open", "block")}
            handlers["task"] = lambda _message, _out: task
            handle = child.serve(handlers, until="train_reference")["handle"]
            child.answer(None)
        return work(kept(handle, OpenStudy).complete())
    finally:
        opened = drop(handle)
        if isinstance(opened, Incoming):
            opened.close()
