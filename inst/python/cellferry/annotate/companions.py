"""Marker export and embedding: what a service of cells offers beside annotation.

The engine ``"local"`` computes both on this machine; ``"cellatlas"`` asks ``cellferry serve``, or
a service that has paths of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..engines import create_engine
from ..engines.base import AnyEngine, Companion, Prepares
from ..errors import (
    CellferryError,
    ColumnExistsError,
    EngineNeedsError,
    GroupMissingError,
    InvalidOptionError,
    UnsupportedObjectError,
)
from ..runs.run import Run
from ..runs.worker import run_in_worker
from ..study.build import study_of_cells
from ..study.inputs.kinds import file_error, file_kind
from ..study.inputs.objects import opened_object, read_object
from ..study.inputs.readers import path_of_r, reader_of_r
from ..study.study import Study
from .checks import check_consent, check_needs, check_study
from .files import as_path, check_output_file, replacing_output, write_h5ad
from .request import build_study, is_anndata

if TYPE_CHECKING:
    import anndata
    import numpy as np
    from numpy.typing import NDArray

    from ..runs.worker import Event, Events
    from ..study.layers import AnnDataLike
    from ..study.markers.table import Markers

Result = TypeVar("Result")
LABELS = ("cell_type_cell", "cell_type")
"""Where labels are looked for, before columns of clusters."""
KEY = "X_cellferry"


def export_markers(
    data: anndata.AnnData | str | os.PathLike[str] | Study,
    group_key: str | None = None,
    *,
    engine: str | AnyEngine = "local",
    assay: str | None = None,
    allow_upload: bool = False,
    progress: bool = True,
    resume: str | os.PathLike[str] | None = None,
    **options: object,
) -> Markers:
    """Return the marker genes of each label, for enrichment analysis and for a look.

    A Wilcoxon test of every gene between the cells of a label and all others: positive genes,
    with a log2 fold change of 0.25 and in a tenth of the cells at least. Its p-values rank genes.

    Parameters
    ----------
    data
        AnnData (cells x genes): log-normalised values, and for a service raw counts if it has
        them. Or the path of a file: an .h5ad, which is read piece by piece, zarr, or an .rds,
        which R reads.
    group_key
        Column of ``obs`` with the labels; cells without one are among the others. None:
        ``cell_type_cell``, ``cell_type``, or the one column of clusters with a usual name; of an
        .rds the active identity.
    engine
        ``"local"`` on this machine; ``"cellatlas"``, or :class:`cellferry.engines.cellatlas.\
CellAtlas`, sends all cells in one request, at most 100,000.
    assay
        Of an .rds; None is its default assay.
    allow_upload
        Let the engine send expression off the machine.
    progress
        Show a progress bar on a terminal or in a notebook.
    resume
        Id of a run of the same cells that was stopped: what was answered is not asked again.
    **options
        Options of the engine.

    Returns
    -------
    Markers
        ``to_frame()`` has Seurat's columns; it can be given to :func:`cellferry.annotate_clusters`.

    Raises
    ------
    CellferryError

    Examples
    --------
    >>> import anndata, numpy as np
    >>> x = np.log1p(np.array([[9, 0], [7, 0], [8, 1], [0, 9], [0, 8], [0, 7.5]], "float32"))
    >>> adata = anndata.AnnData(np.hstack([x] * 4))
    >>> adata.var_names = ["CD3D", "CD79A", "CD3E", "CD79B", "CD2", "CD19", "CD3G", "MS4A1"]
    >>> adata.obs["cell_type"] = ["T cell"] * 3 + ["B cell"] * 3
    >>> export_markers(adata, progress=False).clusters
    ('T cell', 'B cell')
    """
    chosen = create_engine(engine, options, "cells")
    with opened_cells(data, chosen, "markers", group_key, assay=assay) as opened:
        question = markers_question(opened.study, chosen, allow_upload=allow_upload, resume=resume)
        return question.shown(progress=progress)


def embed_cells(
    data: anndata.AnnData | str | os.PathLike[str] | Study,
    *,
    engine: str | AnyEngine = "local",
    key: str = KEY,
    assay: str | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    allow_upload: bool = False,
    progress: bool = True,
    resume: str | os.PathLike[str] | None = None,
    **options: object,
) -> NDArray[np.float32]:
    """Return an embedding of every cell, and write it to ``obsm[key]`` of an AnnData.

    The engine ``"local"`` projects each cell onto 50 fixed directions of marker genes: whatever
    the chunks, and in the same space for every object of a species. It is not trained.

    Parameters
    ----------
    data
        AnnData (cells x genes) with log-normalised values or raw counts; never made dense. Or the
        path of a file, as of :func:`export_markers`.
    engine
        ``"local"`` on this machine; ``"cellatlas"``, or :class:`cellferry.engines.cellatlas.\
CellAtlas`, asks a service, in chunks.
    key
        Name in ``obsm``. What was computed how goes to ``uns[key + "_embedding"]``. In an .rds
        the reduction has the name without ``X_``.
    assay
        Of an .rds; None is its default assay.
    output
        Of a path: where the object goes with its embedding, an .rds where that was read, else an
        .h5ad. None writes none.
    overwrite
        Replace an embedding of this name that cellferry did not write, and the file ``output``.
    allow_upload, progress, resume
        As in :func:`export_markers`.
    **options
        Options of the engine.

    Returns
    -------
    numpy.ndarray
        Cells x dimensions, float32. A cell without any marker gene is all zeros; NaN where a
        service gave nothing. Of an .rds these are the cells that the assay has.

    Raises
    ------
    ColumnExistsError
        There is a foreign embedding of this name.
    CellferryError
        The AnnData is then unchanged.

    Examples
    --------
    >>> import anndata, numpy
    >>> adata = anndata.AnnData(numpy.array([[3.0, 2.5, 2.0, 1.5, 0.0]]))
    >>> adata.var_names = ["CD79A", "MS4A1", "CD79B", "CD19", "CD3E"]
    >>> embed_cells(adata, progress=False).shape, "X_cellferry" in adata.obsm
    ((1, 50), True)
    """
    found = embed(
        data, engine=create_engine(engine, options, "cells"), key=key, assay=assay, output=output,
        overwrite=overwrite, allow_upload=allow_upload, progress=progress, resume=resume,
    )  # fmt: skip
    return found.values


@dataclass(frozen=True, eq=False)
class Embedding:
    """Numbers of cells.

    Attributes
    ----------
    cells
        Their n names.
    values
        n x dimensions.
    """

    cells: tuple[str, ...]
    values: NDArray[np.float32]


def embed(
    data: anndata.AnnData | str | os.PathLike[str] | Study,
    *,
    engine: AnyEngine,
    key: str = KEY,
    assay: str | None = None,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    allow_upload: bool = False,
    progress: bool = True,
    resume: str | os.PathLike[str] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> Embedding:
    """Embed cells as :func:`embed_cells` does, and return their names too.

    Parameters
    ----------
    data, key, assay, output, overwrite, allow_upload, progress, resume
        As of :func:`embed_cells`.
    engine
        Made.
    on_event
        Called in this thread for each event, in place of a progress bar.
    """
    target = None if output is None else Path(output).expanduser()
    wanted = Delivery(key, overwrite, target)
    with opened_cells(data, engine, "embedding", assay=assay, delivery=wanted) as opened:
        question = embedding_question(
            opened.study, engine, allow_upload=allow_upload, resume=resume
        )
        shown = on_event is None
        found = question.shown(progress=progress) if shown else question.answer(on_event)
        opened.deliver(found, described(engine))
        return Embedding(tuple(opened.study.cells or ()), found)


def described(engine: AnyEngine) -> dict[str, str]:
    """Return what an object remembers of how its embedding was made: text only."""
    from ..engines.local.cells.projection import NAME

    if engine.name == "local":
        return {"engine": engine.name, "model": NAME}
    options = engine.describe()
    return {
        "engine": engine.name,
        "model": str(options["model"]),
        "api_url": str(options["api_url"]),
    }


@dataclass(frozen=True)
class Question(Generic[Result]):
    """What is asked of an engine, of which study.

    Attributes
    ----------
    ask
        Puts the question; called in a worker thread.
    study
        Checked, with cells, and for markers with labels.
    what
        ``"markers"`` or ``"embedding"``.
    allow_upload
        Consent.
    resume
        Id of a run that has some of the answers.
    """

    ask: Callable[[Companion, Run, Events], Result]
    study: Study
    engine: AnyEngine
    what: str
    allow_upload: bool = False
    resume: str | os.PathLike[str] | None = None

    def shown(self, *, progress: bool) -> Result:
        """Return the answer, with a progress bar if there is to be one."""
        from ..runs.progress import progress_events

        with progress_events(show=progress, title=f"Asking for {self.what}") as on_event:
            return self.answer(on_event)

    def answer(self, on_event: Callable[[Event], None] | None = None) -> Result:
        """Return the answer; a run keeps what a service answered."""
        engine = self.engine
        if not isinstance(engine, Companion):
            message = f'The engine "{engine.name}" has no {self.what}.'
            raise EngineNeedsError(message, 'Use "local" or "cellatlas".')
        companion: Companion = engine
        check_consent(engine, engine.plan(self.study), allow_upload=self.allow_upload)
        if isinstance(engine, Prepares):
            engine.prepare()
        run = Run.open(self.resume) if self.resume else self._new_run()
        try:
            found = run_in_worker(lambda events: self.ask(companion, run, events), on_event)
        except CellferryError as error:
            error.data.setdefault("run", run.id)
            run.update(status="failed", error=error.to_dict())
            raise
        except KeyboardInterrupt:
            run.update(status="interrupted")
            raise
        run.update(status="finished", error=None)
        return found

    def _new_run(self) -> Run:
        options = dict(self.engine.describe())
        return Run.create(self.engine.name, level="cells", options=options, companion=self.what)


def markers_question(study: Study, engine: AnyEngine, **more: Any) -> Question[Markers]:
    """Return the question for the markers of a study's clusters; ``more`` as in its class."""
    checked = checked_for(study, engine)

    def ask(companion: Companion, run: Run, events: Events) -> Markers:
        return companion.marker_genes(checked, run, events)

    return Question(ask, checked, engine, "markers", **more)


def embedding_question(
    study: Study, engine: AnyEngine, **more: Any
) -> Question[NDArray[np.float32]]:
    """Return the question for the embedding of a study's cells; ``more`` as in its class."""
    checked = checked_for(study, engine)

    def ask(companion: Companion, run: Run, events: Events) -> NDArray[np.float32]:
        return companion.embedding(checked, run, events)

    return Question(ask, checked, engine, "embedding", **more)


def checked_for(study: Study, engine: AnyEngine) -> Study:
    """Return the study as the engine reads it, or raise what is wrong with it."""
    check_needs(engine, study)
    return check_study(study, "cells", engine.capabilities.genes or ())


@dataclass(frozen=True)
class Delivery:
    """Where an embedding goes.

    Attributes
    ----------
    key
        Its name, ``X_`` before it.
    overwrite
        Whether what is there may be replaced.
    output
        The file of the object with it; None writes none.
    """

    key: str = KEY
    overwrite: bool = False
    output: Path | None = None

    def check(self, adata: AnnDataLike) -> None:
        """Refuse the name of a foreign embedding; raises :class:`ColumnExistsError`."""
        foreign = self.key in adata.obsm and f"{self.key}_embedding" not in adata.uns
        if foreign and not self.overwrite:
            message = f'There is an embedding "{self.key}" that cellferry did not write.'
            raise ColumnExistsError(message, "Choose another `key`, or `overwrite=True`.")

    def write(
        self, adata: anndata.AnnData, found: NDArray[np.float32], note: dict[str, str]
    ) -> None:
        """Write an embedding into an AnnData."""
        adata.obsm[self.key] = found
        adata.uns[f"{self.key}_embedding"] = note


def _nowhere(_found: NDArray[np.float32], _note: dict[str, str]) -> None:
    """Leave an embedding out of the object."""


@dataclass(frozen=True)
class OpenCells:
    """Cells that an engine is asked about, of an object or of a file that is open.

    Attributes
    ----------
    study
        What the engine reads.
    deliver
        Writes an embedding, with how it was made, to where it goes.
    """

    study: Study
    deliver: Callable[[NDArray[np.float32], dict[str, str]], None] = field(default=_nowhere)


@contextmanager
def opened_cells(
    data: object,
    engine: AnyEngine,
    what: str,
    group_key: str | None = None,
    *,
    assay: str | None = None,
    delivery: Delivery | None = None,
) -> Iterator[OpenCells]:
    """Yield what is asked about; a file is closed after.

    Parameters
    ----------
    data
        An AnnData, a study or a path.
    engine
        Says which values R sends of an .rds.
    what
        ``"markers"``, which need labels, or ``"embedding"``.
    group_key
        Column with the labels.
    assay
        Of an .rds.
    delivery
        Where an embedding goes.

    Raises
    ------
    UnsupportedObjectError, GroupMissingError, InvalidOptionError, InputError, OutputError,
    ColumnExistsError
    """
    wanted = delivery or Delivery()
    path = path_of_r(data, assay)
    given = as_path(data)
    if wanted.output is not None:
        if not isinstance(given, Path):
            message = "`output` is for the object of a path, and this is none."
            raise InvalidOptionError(message, "Leave it out, and write the object yourself.")
        suffix = ".h5ad" if path is None else ".rds"
        check_output_file(wanted.output, suffix, overwrite=wanted.overwrite)
    if path is not None:
        read: Callable[..., AbstractContextManager[OpenCells]] = reader_of_r("companion", path)
        with read(
            path, engine=engine, what=what, group_key=group_key, assay=assay, delivery=wanted
        ) as of_r:
            yield of_r
    elif isinstance(given, Path):
        with _of_file(given, what, group_key, wanted) as of_file:
            yield of_file
    elif is_anndata(given):
        if what == "embedding":
            wanted.check(given)
        key = group_key or (_labels_of(given) if what == "markers" else None)
        study = build_study(given, group_key=key, level="cells")
        _check_labels(study, what)
        yield OpenCells(study, lambda found, note: wanted.write(given, found, note))
    elif isinstance(given, Study):
        _check_labels(given, what)
        yield OpenCells(given)
    else:
        message = f"Cells are read of an AnnData, and this is a {type(data).__name__}."
        raise UnsupportedObjectError(message, "Valid: AnnData, or the path of a file with one.")


@contextmanager
def _of_file(path: Path, what: str, group_key: str | None, wanted: Delivery) -> Iterator[OpenCells]:
    """Yield the cells of an .h5ad or zarr; it is read whole only where it is written again."""
    kind = file_kind(path)
    if not kind.is_anndata:
        raise file_error(path, kind, "an object with cells", UnsupportedObjectError)
    output = wanted.output
    if output is not None:
        adata = read_object(path, kind)
        wanted.check(adata)

        def deliver(found: NDArray[np.float32], note: dict[str, str]) -> None:
            wanted.write(adata, found, note)
            with replacing_output(output) as partial:
                write_h5ad(adata, partial)

        yield OpenCells(study_of_cells(adata), deliver)
        return
    with opened_object(path) as opened:
        key = group_key or (_labels_of(opened) if what == "markers" else None)
        study = study_of_cells(opened, group_key=key)
        _check_labels(study, what)
        yield OpenCells(study)


def _labels_of(adata: AnnDataLike) -> str | None:
    return next((name for name in LABELS if name in adata.obs.columns), None)


def _check_labels(study: Study, what: str) -> None:
    if what == "markers" and (study.clusters.codes is None or not study.clusters.names):
        message = "Marker genes are exported for labels, and no column of labels was found."
        raise GroupMissingError(message, "Name it: `group_key`.")
