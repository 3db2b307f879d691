"""Artifacts of an object in an .rds file, which an Rscript child reads and sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import bridge_artifacts, wire
from .artifacts import Artifacts, BuildOptions, tell
from .bridge_studies import close_study
from .progress import progress_events
from .rds import Message, RChild, existing_file
from .rds_study import IDENT, as_from_r


def build_artifacts_of_rds(
    path: Path,
    *,
    group_key: str | None = None,
    assay: str | None = None,
    coordinates_key: str | None = None,
    progress: bool = True,
    rscript: str | None = None,
    **options: Any,
) -> Artifacts:
    """Build vars.h5 and obs.duckdb of a Seurat object or SingleCellExperiment in a file.

    Parameters
    ----------
    path
        The file, written with ``saveRDS()``.
    group_key
        Metadata column with the clusters; None is the active identity.
    assay
        None is the default assay.
    coordinates_key
        Name of the embedding, with or without ``X_``; None is UMAP, else t-SNE, else the first.
    progress
        Show a progress bar on a terminal.
    rscript
        Path of Rscript; None finds it.
    **options
        Those of :class:`cellferry.artifacts.BuildOptions`.

    Raises
    ------
    CellferryError
        As :func:`cellferry.build_artifacts`, and what is wrong with the object.

    Examples
    --------
    >>> built = build_artifacts_of_rds(Path("pbmc.rds"), group_key="leiden")  # doctest: +SKIP
    """
    file = existing_file(path)
    BuildOptions(**options).check()
    task: dict[str, Any] = {
        "verb": "artifacts",
        "input": file,
        "group_by": group_key or IDENT,
        "assay": assay,
        "coordinates_key": coordinates_key,
        "options": {},
    }
    handle = ""

    def begin(message: Message, _out: wire.Outgoing) -> Message:
        nonlocal handle
        begun = bridge_artifacts.begin({**message, "options": options})
        handle = begun["handle"]
        return begun

    try:
        with RChild(rscript) as child:
            handlers = {
                "task": lambda _message, _out: task,
                "artifacts_begin": begin,
                "block": as_from_r("block"),
            }
            child.serve(handlers, until="artifacts_finish")
            child.answer(None)
        with progress_events(show=progress, title="Building artifacts") as on_event:
            built = bridge_artifacts.opened_build(handle).finish(on_event)
    finally:
        opened = close_study(handle)
        if opened is not None:
            opened.close()
    tell(built)
    return built
