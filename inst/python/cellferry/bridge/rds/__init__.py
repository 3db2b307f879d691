"""The study of an .rds file, and the way of its annotations back into the file's object."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...annotate.files import Finding, Input
from ...annotate.request import AnnotateRequest
from ...annotate.verb import OnEvent
from ...annotations import delivery
from ...annotations.cells import CellAnnotations
from ...annotations.clusters import Annotations
from ...annotations.labelling.labels import Labels, Written
from ...annotations.labelling.objects import with_previous, write_columns
from ...artifacts import Artifacts, BuildOptions, warn_of_values
from ...engines.base import AnyEngine
from ...runs.progress import progress_events
from ...study.markers.read import read_markers
from ...study.study import Context, Study
from .. import builds, wire
from ..calls import CALLS
from ..handles import drop, take
from ..requests import open_request
from ..results import results, written
from ..studies import Incoming, OpenStudy
from ..wire import Message
from .child import Handler, RChild, existing_file

if TYPE_CHECKING:
    import pandas as pd

IDENT = "ident"
"""The active identity of a Seurat object, R's default for the clusters."""


def as_from_r(name: str) -> Handler:
    """Return what answers a call of R as in a session."""
    return lambda message, out: CALLS[name](message, out, None)


class RdsObject:
    """A Seurat object or SingleCellExperiment in a file, kept by an Rscript child.

    The file may also hold a marker table, as a data frame or a list; the study then has no cells,
    and nothing is delivered or saved.

    Use as a context manager, and call :meth:`study`, :meth:`deliver` and :meth:`save` in this
    order. The child reads the file once and keeps the object until it is saved. Of a study for
    cells it is asked for blocks of the expression whenever that is read, until :meth:`deliver`.

    Parameters
    ----------
    path
        The file.
    engine
        Says which parts of the object are read.
    level
        Whether the answer is about clusters, or about cells: then no markers are read.
    markers
        Path of a marker table; None finds them in the object, by our own test.
    group_key
        Metadata column with the clusters; None is the active identity.
    assay
        Assay that is read; None is the default assay.
    cluster_column, gene_column
        Columns of a marker table that is in the file, where their names are none that are known.
    key, within, overwrite, allow_upload
        As in :func:`cellferry.annotate_clusters`.
    within_of_run
        Key of the labels within which the run answers that is gone on with.
    dry_run
        Whether the study is only for a plan, which takes no consent.
    levels
        Whether broader labels are written too.
    context
        What is known of the sample.
    rscript
        Path of Rscript; None finds it.
    """

    def __init__(
        self,
        path: Path,
        engine: AnyEngine,
        *,
        level: delivery.Level = "clusters",
        markers: Path | None = None,
        group_key: str | None = None,
        assay: str | None = None,
        cluster_column: str | None = None,
        gene_column: str | None = None,
        key: str | None = "cell_type",
        within: str | None = None,
        within_of_run: str | None = None,
        levels: bool = False,
        context: Context | None = None,
        overwrite: bool = False,
        allow_upload: bool = False,
        dry_run: bool = False,
        rscript: str | None = None,
    ) -> None:
        file = existing_file(path)
        self._child = RChild(rscript)
        self._engine = engine
        context = context or Context()
        self._task = {
            "verb": "annotate",
            "input": file,
            "engine": engine.name,
            "level": level,
            "markers": None if markers is None else str(markers.resolve()),
            "group_by": group_key or IDENT,
            "assay": assay,
            "cluster_column": cluster_column,
            "gene_column": gene_column,
            "key": key,
            "within": within,
            "earlier_key": within_of_run,
            "levels": levels,
            "tissue": context.tissue,
            "species": context.species,
            "study_context": context.study_context,
            "overwrite": overwrite,
            "allow_upload": allow_upload,
            "dry_run": dry_run,
        }
        self._handle = ""
        self._reading = ExitStack()
        self.provenance: Message = {}
        self.previous: Labels | None = None

    def __enter__(self) -> RdsObject:
        self._child.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        drop(self._handle)
        self._reading.close()
        self._child.__exit__(kind, value, traceback)

    def study(self, on_event: OnEvent | None = None) -> Study:
        """Let R read the object and send it; find its markers if none are given.

        Parameters
        ----------
        on_event
            Called in this thread with progress, where markers have to be found.
        """
        as_usual = (
            "check_clustering",
            "file_kind",
            "read_markers",
            "study_begin",
            "block",
            "discard",
        )
        handlers = {name: as_from_r(name) for name in as_usual}
        handlers |= {"task": lambda _message, _out: self._task, "request": self._request}
        self._child.serve(handlers, until="plan" if self._task["dry_run"] else "annotate")
        opened = take(self._handle, OpenStudy)
        self.provenance = opened.provenance
        self.previous = None if opened.request is None else opened.request.previous
        study = self._reading.enter_context(opened.read_by(self._child.ask))
        self._study = opened.with_markers(study, on_event)
        return self._study

    def deliver(self, found: Annotations | CellAnnotations) -> None:
        """Let R write the labels into its object."""
        self._reading.close()
        out = wire.Outgoing()
        self._child.deliver(results(found, self._study, out, self.previous), out)

    def save(self, path: Path) -> None:
        """Let R write its object to a file, see that it is whole, and end the child."""
        self._child.save(path)

    def _request(self, message: Message, _out: wire.Outgoing) -> Message:
        """Check what R asks for, with our engine; its keys are checked when it annotates."""
        answer = open_request(message, self._engine, prepare=False)
        self._handle = answer["handle"]
        return answer


@contextmanager
def open_rds(request: AnnotateRequest, finding: Finding = nullcontext) -> Iterator[Input]:
    """Let an Rscript child read an .rds: an object with cells, or a marker table.

    Parameters
    ----------
    request
        Its ``data`` is the path.
    finding
        Shows the progress of a search for markers, where nobody gave any.

    Raises
    ------
    InputError, DeliveryError, DependencyError
    """
    with (
        _marker_file(request) as markers,
        RdsObject(
            request.path,
            request.engine,
            level=request.level,
            markers=markers,
            group_key=request.group_key,
            assay=request.assay,
            cluster_column=request.cluster_column,
            gene_column=request.gene_column,
            key=request.key if request.key_given else None,
            within=request.within,
            within_of_run=request.within_of_run,
            levels=request.levels,
            context=request.context,
            overwrite=request.overwrite,
            allow_upload=request.allow_upload,
        ) as opened,
    ):
        with finding() as on_event:
            study = opened.study(on_event)
        if study.cells is None:
            yield Input(study, request.provenance)
        else:
            labelled = Rds(opened, study, str(opened.provenance.get("key") or request.key))
            yield Input(study, opened.provenance, labelled, study.coordinates)


@contextmanager
def _marker_file(request: AnnotateRequest) -> Iterator[Path | None]:
    """Return the marker table of an object as a file for R, which is removed at the end."""
    markers = request.markers
    named = request.cluster_column or request.gene_column
    if markers is None or (isinstance(markers, Path) and not named):
        yield markers
        return
    with tempfile.TemporaryDirectory(prefix="cellferry-") as folder:
        path = Path(folder) / "markers.csv"
        table = read_markers(
            markers, cluster_column=request.cluster_column, gene_column=request.gene_column
        )
        table.to_frame().to_csv(path, index=False)
        yield path


@dataclass
class Rds:
    """A Seurat object or SingleCellExperiment that an Rscript child keeps."""

    opened: RdsObject
    study: Study
    key: str
    suffix: str = ".rds"

    def in_force(self, found: Annotations | CellAnnotations) -> Annotations | CellAnnotations:
        """Return an answer with the decisions of the object's earlier labels that still hold."""
        previous = self.opened.previous

        def write() -> Written:
            return written(found, self.study, self.key, previous)[1]

        return with_previous(found, previous, write)

    def deliver(self, found: Annotations | CellAnnotations) -> pd.DataFrame:
        """Let R label its object; the columns are made here too, by the same rules."""
        self.opened.deliver(found)
        return delivered_columns(found, self.study, self.key, self.opened.previous)

    def save(self, path: Path) -> None:
        """Let R write the .rds."""
        self.opened.save(path)


def delivered_columns(
    found: Annotations | CellAnnotations, study: Study, key: str, previous: Labels | None = None
) -> pd.DataFrame:
    """Return the columns that an object of R gets, one row per cell.

    Cells that the assay does not have come last: they have the label of their cluster, or were
    skipped.
    """
    import pandas as pd

    cells, made = written(found, study, key, previous)
    frame = pd.DataFrame(index=pd.Index(cells))
    write_columns(frame, made, key)
    absent = study.absent
    frame = frame[list(made.record.provenance["columns"])]
    flags = [c for c in frame.columns if frame[c].dtype == bool]
    if absent is not None and flags:
        frame = frame.astype(dict.fromkeys(flags, object))
        frame.loc[list(absent.cells), flags] = None
    return frame


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
        Name of the embedding, with or without ``X_``; None is UMAP, else t-SNE,
        PCA or the first.
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
    chosen = BuildOptions(**options).checked()
    task: Message = {
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
        begun = builds.begin(message, chosen)
        handle = begun["handle"]
        return begun

    try:
        with RChild(rscript) as child:
            handlers = {
                "task": lambda _message, _out: task,
                "artifacts_begin": begin,
                "block": as_from_r("block"),
                "check_clustering": as_from_r("check_clustering"),
            }
            child.serve(handlers, until="artifacts_finish")
            child.answer(None)
        with progress_events(show=progress, title="Building artifacts") as on_event:
            built, _ = builds.finish(handle, on_event)
    finally:
        opened = drop(handle)
        if isinstance(opened, Incoming):
            opened.close()
    warn_of_values(built)
    return built
