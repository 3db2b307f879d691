"""The live page of an annotated object: any gene, any column, decisions that are kept at once."""

from __future__ import annotations

import logging
import os
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...annotations.labelled import labelled
from ...annotations.stored import present_annotations
from ...errors import (
    InvalidOptionError,
    UnsupportedObjectError,
    in_language,
)
from ...runs.progress import progress_events
from ...runs.reviews import Features, Reviewed, ReviewFolder
from ...study.embeddings import embedding_of
from ...study.inputs.objects import opened_object
from ...study.inputs.readers import path_of_r, reader_of_r
from ..pages import MOST_FEATURES, cells_of, own_columns, values_of_object
from .build import ReviewBuild, build_review
from .process import check_installed, served, start, wait_for_done, waiting

if TYPE_CHECKING:
    import anndata

logger = logging.getLogger("cellferry")

__all__ = ["Review", "open_review", "prepared", "review"]

PROTEINS = ("protein", "prot", "adt", "antibody", "hto", "hashtag", "surface")
"""What the names of such assays contain."""


@dataclass(frozen=True, eq=False)
class Review:
    """The live page of an object, and where its decisions are.

    Attributes
    ----------
    folder
        Has the decisions, also after the page has ended.
    address
        Where the page is, on this machine only; empty once it was not served.
    pid
        The process that serves it; 0 where there is none.
    key
        The label column that it is about.
    """

    folder: Path
    address: str
    pid: int
    key: str

    def __fspath__(self) -> str:
        """Return the folder, so that it can be given where a path can."""
        return str(self.folder)

    @property
    def alive(self) -> bool:
        """Whether the page is served."""
        return served(ReviewFolder(self.folder)) is not None

    def stop(self) -> None:
        """End the page; what was decided stays in the folder."""
        page = served(ReviewFolder(self.folder))
        if page is not None:
            page.stop()

    def __repr__(self) -> str:
        state = self.address if self.alive else "the page has ended"
        return f"<Review of {self.key}: {state}>\ncellferry.apply_decisions(adata, review)"


def review(
    data: anndata.AnnData | str | os.PathLike[str],
    key: str | None = None,
    *,
    coordinates_key: str | None = None,
    wait: bool = False,
    open_browser: bool | None = None,
    progress: bool = True,
) -> Review:
    """Open the live page of an object's annotations, on this machine only.

    It has what :func:`annotation_report` writes, of all cells, and besides any gene, any column,
    tests between chosen cells, and decisions that are kept at once. It runs in a process of its
    own, which ends with this one or after eight idle hours. The object is not changed until
    ``apply_decisions(adata, review)``, which can be called again and again, also after the page
    has ended. The same object gets the same page.

    Parameters
    ----------
    data
        An AnnData that was labelled, or the path of a labelled object. Cells x genes;
        log-normalised values.
    key
        Name of the label column; None is the newest.
    coordinates_key
        Name of the embedding in ``obsm`` that is shown first; None is UMAP, else t-SNE, else PCA,
        else the first.
    wait
        Wait until somebody says *Done* on the page, and apply what was decided to the AnnData, in
        place. An interrupt ends the waiting only.
    open_browser
        Whether to open the page in the browser; None does so where there is a display.
    progress
        Show a progress bar on a terminal or in a notebook.

    Returns
    -------
    Review
        Folder, address and process of the page; it prints the line to paste.

    Raises
    ------
    DependencyError
        The extra ``server`` is not installed; nothing was built.
    AnnotationsMissingError
    GroupMissingError
        There is no embedding of that name.
    InvalidOptionError
        ``wait`` needs an AnnData.
    OutputError
        The folder of the review cannot be written.

    Examples
    --------
    >>> import cellferry
    >>> page = cellferry.review(adata)                     # doctest: +SKIP
    >>> cellferry.apply_decisions(adata, page)             # doctest: +SKIP
    """
    is_path = not hasattr(data, "uns")
    if wait and is_path:
        message = "`wait=True` applies the decisions to an AnnData, and a path is none."
        raise InvalidOptionError(message, "Read it first: adata = anndata.read_h5ad(path)")
    page = open_review(data, key, coordinates_key=coordinates_key, progress=progress)
    logger.info("The page is at %s", page.address)
    show(page.address, open_browser)
    if wait:
        _wait(data, page)
    return page


def _wait(data: Any, page: Review) -> None:
    from ..decisions import apply_decisions

    folder = ReviewFolder(page.folder)
    here = served(folder)
    try:
        with waiting(folder):
            if here is not None and not wait_for_done(folder, here):
                logger.info("The page has ended before Done.")
    except KeyboardInterrupt:
        logger.info("No longer waiting; the page goes on at %s", page.address)
        return
    apply_decisions(data, page, key=page.key)


def show(address: str, wanted: bool | None) -> None:
    """Open an address in the browser, where that is wanted and possible."""
    has_display = os.name == "nt" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    is_mac = os.uname().sysname == "Darwin" if hasattr(os, "uname") else False
    if wanted or (wanted is None and (has_display or is_mac)):
        webbrowser.open(address)


def open_review(
    data: anndata.AnnData | str | os.PathLike[str],
    key: str | None = None,
    *,
    coordinates_key: str | None = None,
    outlives: bool = False,
    progress: bool = True,
) -> Review:
    """Return the live page of an object; built and started where it is not there.

    Parameters
    ----------
    data, key, coordinates_key, progress
        As in :func:`review`.
    outlives
        Whether its process stays when this one has ended.
    """
    check_installed()
    with progress_events(show=progress, title="Preparing the page") as on_event:
        path = None if hasattr(data, "uns") else path_of_r(data)
        if path is not None:
            folder: ReviewFolder = reader_of_r("review", path)(path, key, coordinates_key, on_event)
        else:
            with prepared(data, key, coordinates_key) as build:
                folder = build_review(build, on_event)
    return handle_of(folder, outlives=outlives)


def handle_of(folder: ReviewFolder, *, outlives: bool = False) -> Review:
    """Start the page of a folder, where it is not served yet, and return it."""
    page = start(folder, outlives=outlives)
    return Review(folder.path, page.address, page.pid, str(folder.record()["key"]))


@contextmanager
def prepared(
    data: Any, key: str | None = None, coordinates_key: str | None = None
) -> Iterator[ReviewBuild]:
    """Give what is to be built of an AnnData, or of the path of one.

    Parameters
    ----------
    data, key, coordinates_key
        As in :func:`review`.
    """
    metadata = labelled(data, coordinates_key)
    now = present_annotations(metadata, key)
    if now.clusters is None:
        line = in_language(
            python='cellferry.annotation_report(adata, "report.html")',
            r='AnnotationReport(object, "report.html")',
            cli="cellferry report INPUT report.html",
        )
        message = "Which cells the clusters of these labels have is not known any more."
        raise UnsupportedObjectError(message, f"Annotate again, or write the table: {line}")
    embedding_of(metadata, coordinates_key)
    own_key = key or str(now.found.provenance.get("key"))
    own = own_columns(metadata.obs, own_key)
    others = [str(c) for c in metadata.obs.columns if str(c) not in own]
    features = tuple(_features(metadata))
    cells = cells_of(
        _without(metadata, {f.key for f in features}),
        now.clusters, own, [*own, *others], coordinates_key,
    )  # fmt: skip
    opened: Any = nullcontext(data) if hasattr(data, "uns") else opened_object(Path(data), [])
    with opened as object_:
        source = values_of_object(object_)
        genes = () if source is None else tuple(source.genes)
        yield ReviewBuild(Reviewed(now.found, own_key, cells, genes, None, features), source)


def _features(adata: Any) -> Iterator[Features]:
    """Yield the small assays that are kept as tables in ``obsm``."""
    for name in map(str, adata.obsm):
        table = adata.obsm[name]
        if not (hasattr(table, "columns") and any(p in name.lower() for p in PROTEINS)):
            continue
        kinds = {kind.kind for kind in table.dtypes if hasattr(kind, "kind")}
        if 0 < table.shape[1] <= MOST_FEATURES and kinds <= set("fiu"):
            values = np.asarray(table, dtype=np.float32)
            yield Features(f"{name}_", tuple(map(str, table.columns)), values)


class _Without:
    """An object whose tables of features are no embeddings."""

    def __init__(self, adata: Any, gone: set[str]) -> None:
        self.obs = adata.obs
        self.obsm = {n: adata.obsm[n] for n in map(str, adata.obsm) if f"{n}_" not in gone}


def _without(adata: Any, gone: set[str]) -> Any:
    return _Without(adata, gone) if gone else adata
