"""Marker export and embedding: what a service of cells offers beside annotation.

The engine ``"local"`` computes both on this machine; ``"cellatlas"`` asks ``cellferry serve``, or
a service that has paths of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..engines import create_engine
from ..engines.base import AnyEngine, Companion, Prepares
from ..errors import (
    CellferryError,
    ColumnExistsError,
    EngineNeedsError,
    GroupMissingError,
    UnsupportedObjectError,
)
from ..runs.run import Run
from ..runs.worker import run_in_worker
from ..study.study import Study
from .checks import check_consent, check_needs, check_study
from .request import build_study, is_anndata

if TYPE_CHECKING:
    import anndata
    import numpy as np
    from numpy.typing import NDArray

    from ..runs.worker import Event, Events
    from ..study.markers.table import Markers

Result = TypeVar("Result")
LABELS = ("cell_type_cell", "cell_type")
"""Where labels are looked for, before columns of clusters."""
KEY = "X_cellferry"


def export_markers(
    data: anndata.AnnData | Study,
    group_key: str | None = None,
    *,
    engine: str | AnyEngine = "local",
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
        them.
    group_key
        Column of ``obs`` with the labels; cells without one are among the others. None:
        ``cell_type_cell``, ``cell_type``, or the one column of clusters with a usual name.
    engine
        ``"local"`` on this machine; ``"cellatlas"``, or :class:`cellferry.engines.cellatlas.\
CellAtlas`, sends all cells in one request, at most 100,000.
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
    key = group_key
    if key is None and is_anndata(data):
        key = next((name for name in LABELS if name in data.obs.columns), None)
    study = _study(data, key)
    if study.clusters.codes is None or not study.clusters.names:
        message = "Marker genes are exported for labels, and no column of labels was found."
        raise GroupMissingError(message, "Name it: `group_key`.")

    question = markers_question(study, chosen, allow_upload=allow_upload, resume=resume)
    return question.shown(progress=progress)


def embed_cells(
    data: anndata.AnnData | Study,
    *,
    engine: str | AnyEngine = "local",
    key: str = KEY,
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
        AnnData (cells x genes) with log-normalised values or raw counts; never made dense.
    engine
        ``"local"`` on this machine; ``"cellatlas"``, or :class:`cellferry.engines.cellatlas.\
CellAtlas`, asks a service, in chunks.
    key
        Name in ``obsm``. What was computed how goes to ``uns[key + "_embedding"]``.
    overwrite
        Replace an embedding of this name that cellferry did not write.
    allow_upload, progress, resume
        As in :func:`export_markers`.
    **options
        Options of the engine.

    Returns
    -------
    numpy.ndarray
        Cells x dimensions, float32. A cell without any marker gene is all zeros; NaN where a
        service gave nothing.

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
    chosen = create_engine(engine, options, "cells")
    note = f"{key}_embedding"
    if is_anndata(data) and key in data.obsm and note not in data.uns and not overwrite:
        message = f'There is an embedding "{key}" that cellferry did not write.'
        raise ColumnExistsError(message, "Choose another `key`, or `overwrite=True`.")
    study = _study(data, None)

    question = embedding_question(study, chosen, allow_upload=allow_upload, resume=resume)
    found = question.shown(progress=progress)
    if is_anndata(data):
        data.obsm[key] = found
        data.uns[note] = described(chosen)
    return found


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


def _study(data: object, group_key: str | None) -> Study:
    if not isinstance(data, Study) and not is_anndata(data):
        message = f"Cells are read of an AnnData, and this is a {type(data).__name__}."
        raise UnsupportedObjectError(message, "Read the file first: anndata.read_h5ad(path).")
    return build_study(data, group_key=group_key, level="cells")
