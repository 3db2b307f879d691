"""What an .rds says of itself: its annotations, and the report of what is read of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...annotations.delivery import STORE
from .. import wire
from ..wire import Message
from .child import RChild, existing_file

if TYPE_CHECKING:
    import anndata


def stored_of_rds(
    path: Path, coordinates_key: str | None = None, *, rscript: str | None = None
) -> anndata.AnnData:
    """Return what an object of R holds of its annotations, as an AnnData without matrices.

    Parameters
    ----------
    path
        A Seurat object or SingleCellExperiment, written with ``saveRDS()``.
    coordinates_key
        The embedding to read, with or without ``X_``; None is the one that R draws.
    rscript
        Path of Rscript; None finds it.

    Returns
    -------
    AnnData
        ``obs`` has the metadata, and the active identity of a Seurat object as ``ident`` where
        there is no such column; ``uns`` the record; ``obsm`` the one embedding, n cells x 2.

    Raises
    ------
    CellferryError
        R is missing, or it is no such object.

    Examples
    --------
    >>> labelled = stored_of_rds(Path("pbmc.rds"))  # doctest: +SKIP
    """
    import anndata

    task = {"verb": "stored", "input": existing_file(path), "coordinates_key": coordinates_key}
    found = _answer(task, "stored", rscript)
    coordinates, obsm = found.get("coordinates"), {}
    if coordinates is not None:
        obsm[coordinates_key or coordinates["name"]] = coordinates["values"].reshape(2, -1).T
    uns = {STORE: found["stored"]} if found["stored"] else {}
    return anndata.AnnData(obs=wire.frame_from_wire(found["obs"]), obsm=obsm, uns=uns)


def study_report_of_rds(
    path: Path, *, assay: str | None = None, rscript: str | None = None
) -> list[tuple[str, ...]]:
    """Return the rows of R's ``StudyReport()`` of an object in a file.

    Parameters
    ----------
    path
        A Seurat object or SingleCellExperiment, written with ``saveRDS()``.
    assay
        None is the default assay.
    rscript
        Path of Rscript; None finds it.

    Returns
    -------
    list of tuple of str
        ``item``, ``kind``, ``what``, ``action``, ``why``.

    Raises
    ------
    CellferryError
        R is missing, it is no such object, or it has no such assay.

    Examples
    --------
    >>> rows = study_report_of_rds(Path("pbmc.rds"))  # doctest: +SKIP
    """
    task = {"verb": "report", "input": existing_file(path), "assay": assay}
    found = _answer(task, "reported", rscript)
    columns = ("item", "kind", "what", "action", "why")
    return list(zip(*(found[name] for name in columns), strict=True))


def _answer(task: Message, until: str, rscript: str | None) -> Any:
    """Give the child its task, and return the message that it ends with."""
    with RChild(rscript) as child:
        found = child.serve({"task": lambda _message, _out: task}, until=until)
        child.answer(None)
    return found
