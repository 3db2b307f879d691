"""The verb for cells: the same way as for clusters, to one answer per cell."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..annotations import delivery
from ..annotations.cells import CELLS_FILE, CellAnnotations
from ..engines import create_cell_engine
from ..engines.base import CellEngine, Plan, Prepares
from ..errors import RunMismatchError, UnsupportedObjectError
from ..runs.run import Run
from ..study.study import Context, Study
from .checks import check_consent, check_needs, check_study
from .verb import annotate, execute

if TYPE_CHECKING:
    import anndata

    from .verb import OnEvent

logger = logging.getLogger("cellferry")


def annotate_cells(
    data: anndata.AnnData | Study,
    *,
    engine: str | CellEngine = "local",
    group_key: str | None = None,
    key: str = "cell_type_cell",
    tissue: str | None = None,
    species: str | None = None,
    study_context: str = "",
    overwrite: bool = False,
    allow_upload: bool = False,
    progress: bool = True,
    resume: str | None = None,
    **options: Any,
) -> CellAnnotations:
    """Annotate every cell of an AnnData, which is labelled in place.

    Parameters
    ----------
    data
        AnnData (cells x genes) with log-normalised values or raw counts; never made dense.
    engine
        Name of an engine that answers cells, or such an engine.
    group_key
        Column of ``obs`` with clusters to compare with: what most cells of a cluster are
        goes to ``<key>_majority``, their share to ``<key>_majority_share``, and whether a
        cell differs to ``<key>_disagrees``. None: the one column with a usual name.
    key
        Name of the label column; ``<key>_detail``, ``_confidence``, ``_ontology_id`` and
        ``_status`` go beside it, the summary to ``adata.uns["cellferry"][key]``, and the
        evidence of each cell to ``cells.npz`` of the run.
    tissue, species, study_context
        What is known of the sample. Species None is told from the gene names.
    overwrite
        Replace columns of these names that cellferry did not write.
    allow_upload
        Let the engine send expression off the machine.
    progress
        Show a progress bar on a terminal or in a notebook.
    resume
        Id or folder of a run of the same cells that was stopped: only what is missing is
        done, with the options of the run.
    **options
        Options of the engine.

    Returns
    -------
    CellAnnotations
        One answer per cell, as columns.

    Raises
    ------
    CellferryError
        A class of :mod:`cellferry.errors`; the AnnData is then unchanged.

    Examples
    --------
    >>> import anndata, numpy
    >>> adata = anndata.AnnData(numpy.array([[3.0, 2.5, 2.0, 1.5, 0.0]]))
    >>> adata.var_names = ["CD79A", "MS4A1", "CD79B", "CD19", "CD3E"]
    >>> annotate_cells(adata, species="human").label.levels
    ('B cell',)
    """
    from ..runs.progress import progress_events

    run = None if resume is None else Run.open(resume)
    if run is not None:
        engine, options = run.content["engine"], {**run.content["options"], **options}
    chosen = create_cell_engine(engine, options)
    is_study = isinstance(data, Study)
    study = study_for_cells(data, group_key, Context(tissue, species, study_context))
    if not is_study:
        replaced = delivery.check_object_key(data, key, overwrite=overwrite, level="cells")
        if replaced:
            logger.info("Replacing the columns %s.", ", ".join(replaced))
    check_needs(chosen, study, "cells")
    with progress_events(show=progress, title="Annotating cells") as on_event:
        if run is not None:
            found = resume_cells(run, study, chosen, allow_upload=allow_upload, on_event=on_event)
        else:
            found = annotate(
                study,
                chosen,
                allow_upload=allow_upload,
                provenance={"key": key, "object": "study" if is_study else "AnnData"},
                on_event=on_event,
            )
    if not is_study:
        from ..annotations.delivery import attach_cells

        attach_cells(data, found, study.clusters, key, found.summary())
    return found


def study_for_cells(data: Any, group_key: str | None, context: Context) -> Study:
    """Return the study of an AnnData's cells, or a study itself."""
    from ..study.build import study_of_cells

    if isinstance(data, Study):
        return data
    if not any(f"{c.__module__}.{c.__name__}".endswith(".AnnData") for c in type(data).__mro__):
        message = f"cellferry cannot annotate the cells of an object of {type(data).__name__}."
        hint = "Valid: AnnData. Clusters of a marker table: annotate_clusters()."
        raise UnsupportedObjectError(message, hint)
    return study_of_cells(data, group_key=group_key, context=context)


def resume_cells(
    run: Run,
    study: Study,
    engine: CellEngine,
    *,
    allow_upload: bool = False,
    checked: bool = False,
    on_event: OnEvent | None = None,
) -> CellAnnotations:
    """Finish a run about cells with its object, or return its answer if it is finished.

    With ``checked`` consent and keys were checked before.

    Raises
    ------
    RunMismatchError
        The run is not about these cells.
    """
    if run.content.get("level") != "cells" or study.fingerprint() != run.content["object_hash"]:
        message = f'The run "{run.id}" is not about the cells of this object.'
        raise RunMismatchError(message, "Give the object that was annotated, with its clusters.")
    if run.content["status"] == "finished":
        return CellAnnotations.load(run.folder / CELLS_FILE)
    check_needs(engine, study, "cells")
    study = check_study(study, "cells")
    plan = engine.plan(study)
    if not checked:
        check_consent(engine, plan, allow_upload=allow_upload)
        if isinstance(engine, Prepares):
            engine.prepare()
    return execute(run, study, engine, on_event)


def plan_cells(study: Study, engine: CellEngine) -> Plan:
    """Return what annotating the cells would do, without doing it: the dry run."""
    check_needs(engine, study, "cells")
    return engine.plan(check_study(study, "cells"))
