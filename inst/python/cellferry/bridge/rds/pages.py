"""The page of an object in an .rds: R reads the object, and the rest is ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import UnsupportedObjectError
from ...runs.progress import progress_events
from ...runs.reviews import ReviewFolder
from ...runs.worker import Event
from .. import builds, wire
from ..handles import drop
from ..studies import Incoming
from ..wire import Message
from . import as_from_r
from .child import RChild, existing_file

OnEvent = Callable[[Event], None]


def report_of_rds(
    path: Path,
    file: Path,
    key: str | None = None,
    *,
    coordinates_key: str | None = None,
    obs_columns: Sequence[str] = (),
    cell_values: bool = True,
    report_mb: float = 15.0,
    overwrite: bool = False,
    progress: bool = True,
    rscript: str | None = None,
) -> Path:
    """Write the page of a Seurat object or SingleCellExperiment in a file.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    file, key, coordinates_key, obs_columns, cell_values, report_mb, overwrite, progress
        As in :func:`cellferry.annotation_report`.
    rscript
        Path of Rscript; None finds it.

    Examples
    --------
    >>> report_of_rds(Path("pbmc.rds"), Path("pbmc.html"))  # doctest: +SKIP
    """
    task: Message = {
        "verb": "page",
        "input": existing_file(path),
        "what": "report",
        "key": key,
        "coordinates_key": coordinates_key,
        "obs_columns": list(obs_columns),
    }
    options: Message = {
        "file": str(file),
        "cell_values": cell_values,
        "report_mb": report_mb,
        "overwrite": overwrite,
    }
    with progress_events(show=progress, title="Reading genes") as on_event:
        handle = _begun(task, options, rscript)
        try:
            return Path(builds.finish_page({"handle": handle}, on_event)["file"])
        finally:
            _close(handle)


def review_of_rds(
    path: Path,
    key: str | None = None,
    coordinates_key: str | None = None,
    on_event: OnEvent | None = None,
    *,
    rscript: str | None = None,
) -> ReviewFolder:
    """Return the folder of the live page of an object in a file.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    key, coordinates_key
        As in :func:`cellferry.review`.
    on_event
        Called in this thread with progress.
    rscript
        Path of Rscript; None finds it.

    Examples
    --------
    >>> review_of_rds(Path("pbmc.rds"))  # doctest: +SKIP
    """
    task: Message = {
        "verb": "page",
        "input": existing_file(path),
        "what": "review",
        "key": key,
        "coordinates_key": coordinates_key,
    }
    handle = _begun(task, {}, rscript)
    try:
        return builds.finish_review(handle, on_event)
    finally:
        _close(handle)


def _begun(task: Message, options: Message, rscript: str | None) -> str:
    """Let R read the object and send what the page wants; return the handle of the page."""
    handle = ""

    def begin(message: Message, _out: wire.Outgoing) -> Message:
        nonlocal handle
        begun = builds.begin_page({**message, **options})
        handle = begun["handle"]
        return begun

    def unknown(_message: Message, _out: wire.Outgoing) -> Message:
        text = "Which cells the clusters of these labels have is not known any more."
        raise UnsupportedObjectError(text, "Annotate again.")

    handlers = {
        "task": lambda _message, _out: task,
        "page_begin": begin,
        "block": as_from_r("block"),
        "cells_unknown": unknown,
    }
    try:
        with RChild(rscript) as child:
            child.serve(handlers, until="page_finish")
            child.answer(None)
    except BaseException:
        _close(handle)
        raise
    return handle


def _close(handle: str) -> None:
    opened = drop(handle)
    if isinstance(opened, Incoming):
        opened.close()
