"""Markers and sums of the object in an .rds file: R reads the file, and the rest is ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...artifacts.markers import warn_of_left_out
from ...runs.progress import progress_events
from ...study.pseudobulk import Pseudobulk, pseudobulk_of
from .. import markers, wire
from ..handles import drop, kept
from ..studies import Incoming, OpenStudy
from ..wire import Message
from . import IDENT, as_from_r
from .child import RChild, existing_file

if TYPE_CHECKING:
    from ...study.markers.tested import MarkerTable


def find_markers_of_rds(
    path: Path,
    *,
    group_key: str | None = None,
    assay: str | None = None,
    ident_1: str | Sequence[str] | None = None,
    ident_2: str | Sequence[str] | None = None,
    within: str | None = None,
    sample_key: str | None = None,
    progress: bool = True,
    rscript: str | None = None,
    **options: object,
) -> MarkerTable:
    """Find the markers of a Seurat object or SingleCellExperiment in a file.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    group_key
        Metadata column with the clusters; None is the active identity.
    assay
        None is the default assay.
    ident_1, ident_2, within, sample_key
        As in :func:`cellferry.find_markers`.
    progress
        Show a progress bar on a terminal.
    rscript
        Path of Rscript; None finds it.
    **options
        Fields of :class:`cellferry.study.markers.rules.MarkerOptions`. Without ``rules`` they
        are those of the installed Seurat.

    Raises
    ------
    CellferryError
        As :func:`cellferry.find_markers`, and what is wrong with the object.

    Examples
    --------
    >>> found = find_markers_of_rds(Path("pbmc.rds"), only_pos=True)  # doctest: +SKIP
    """
    task: Message = {
        "verb": "markers",
        "input": existing_file(path),
        "group_by": group_key or IDENT,
        "assay": assay,
        "compared": {
            "ident.1": _names(ident_1),
            "ident.2": _names(ident_2),
            "within": within,
            "sample.by": sample_key,
        },
        "options": {name: _plain(value) for name, value in options.items()},
    }
    handle = ""

    def begin(message: Message, _out: wire.Outgoing) -> Message:
        nonlocal handle
        begun = markers.begin(message)
        handle = begun["handle"]
        return begun

    try:
        with RChild(rscript) as child:
            handlers = {
                "task": lambda _message, _out: task,
                "markers_begin": begin,
                "block": as_from_r("block"),
            }
            child.serve(handlers, until="markers_finish")
            child.answer(None)
        with progress_events(show=progress, title="Finding markers") as on_event:
            found = kept(handle, markers.OpenMarkers).finish(on_event)
    finally:
        opened = drop(handle)
        if isinstance(opened, Incoming):
            opened.close()
    warn_of_left_out(found)
    return found


def _names(given: str | Sequence[str] | None) -> list[str] | None:
    return [given] if isinstance(given, str) else None if given is None else list(given)


def _plain(value: object) -> object:
    """Return an option as JSON has it: infinity is none, and goes as R writes it."""
    if isinstance(value, float) and math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def pseudobulk_of_rds(
    path: Path,
    *,
    group_key: str | None = None,
    assay: str | None = None,
    sample_key: str | None = None,
    columns: Sequence[str] = (),
    min_cells: int = 1,
    rscript: str | None = None,
) -> Pseudobulk:
    """Sum the raw counts of a Seurat object or SingleCellExperiment in a file.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    group_key
        Metadata column with clusters or labels; None is the active identity.
    assay
        None is the default assay.
    sample_key, columns, min_cells
        As in :func:`cellferry.study.pseudobulk.pseudobulk_of`.
    rscript
        Path of Rscript; None finds it.

    Raises
    ------
    CellferryError
        As :func:`cellferry.pseudobulk`, and what is wrong with the object.

    Examples
    --------
    >>> sums = pseudobulk_of_rds(Path("pbmc.rds"), sample_key="donor")  # doctest: +SKIP
    """
    task: Message = {
        "verb": "pseudobulk",
        "input": existing_file(path),
        "group_by": group_key or IDENT,
        "assay": assay,
    }
    handle = ""
    try:
        with RChild(rscript) as child:
            names = ("study_open", "block")
            handlers = {name: as_from_r(name) for name in names}
            handlers["task"] = lambda _message, _out: task
            handle = child.serve(handlers, until="pseudobulk")["handle"]
            child.answer(None)
        study = kept(handle, OpenStudy).complete()
        return pseudobulk_of(study, sample_key=sample_key, columns=columns, min_cells=min_cells)
    finally:
        opened = drop(handle)
        if isinstance(opened, Incoming):
            opened.close()
