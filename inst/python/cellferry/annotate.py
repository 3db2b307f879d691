"""The verb: the only way from a study to annotations, written once above all engines.

validate everything -> plan -> consent -> run -> annotations -> deliver
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from . import delivery
from .annotations import Annotations
from .cell_diagnoses import warn_of
from .checks import check_consent, check_needs, check_same_clustering, check_study
from .completion import Found, complete
from .engines import AnyEngine, Engine, Plan, Prepares, WritesFiles, create_engine
from .errors import (
    ISSUE_URL,
    CellferryError,
    EngineNeedsError,
    InternalError,
    InvalidOptionError,
    RunMismatchError,
    UnsupportedObjectError,
)
from .events import Event, Events, run_in_worker
from .markers import Markers
from .runs import Run
from .study import Context, Study
from .study_records import input_hash, study_from_record, study_record

if TYPE_CHECKING:
    import anndata

    from .study_builders import Reading

logger = logging.getLogger("cellferry")

OnEvent = Callable[[Event], None]


def annotate(
    study: Study,
    engine: AnyEngine[Found],
    *,
    allow_upload: bool = False,
    folder: Path | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
) -> Found:
    """Run an engine over a study and return one annotation per cluster, or per cell.

    Which of both is what the engine answers.

    Parameters
    ----------
    study, engine
        What is read, and who reads it.
    allow_upload
        Whether expression and metadata may leave the machine.
    folder
        Where the run is kept; None is the user's data folder.
    provenance
        What the caller wants remembered: key, parameters. Never a secret.
    on_event
        Called in this thread for each event of the engine.

    Raises
    ------
    CellferryError
        Checks raise before a run exists; later errors carry the run id in ``data["run"]``.
    KeyboardInterrupt
        With a note that names the run and how to resume it, and its id in ``run``.
    """
    level = level_of(engine)
    check_needs(engine, study, level)
    study = check_study(study, level)
    check_same_clustering(study)
    check_consent(engine, engine.plan(study), allow_upload=allow_upload)
    if isinstance(engine, Prepares):
        engine.prepare()
    run = Run.create(
        engine.name,
        folder or (engine.folder if isinstance(engine, WritesFiles) else None),
        level=level,
        options=dict(engine.describe()),
        object_hash=study.fingerprint(),
        input_hash=input_hash(study),
        provenance=dict(provenance or {}),
    )
    run.store("study.json", study_record(study))
    return execute(run, study, engine, on_event)


def level_of(engine: AnyEngine[Any]) -> delivery.Level:
    """Return what the engine answers: clusters or cells."""
    return "cells" if engine.capabilities.answers == {"cells"} else "clusters"


def execute(run: Run, study: Study, engine: AnyEngine[Found], on_event: OnEvent | None) -> Found:
    """Run (or go on with) a run whose study has been checked."""

    def work(events: Events) -> Found:
        return engine.run(study, run, events)

    run.update(status="unfinished", error=None)
    try:
        found = complete(run_in_worker(work, on_event), study, engine, run)
        if isinstance(engine, WritesFiles) and isinstance(found, Annotations):
            engine.write_files(found, study, run)
        # What is left, because a budget or a service ended, can be had by resuming.
        left = found.provenance.get("to_be_asked")
        run.update(status="unfinished" if left else "finished")
    except KeyboardInterrupt as interrupt:
        run.update(status="interrupted")
        interrupt.add_note(f"Resume with: cellferry runs resume {run.id}")
        interrupt.run = run.id  # type: ignore[attr-defined]
        raise
    except CellferryError as error:
        error.data.setdefault("run", run.id)
        run.update(status="failed", error=error.to_dict())
        raise
    except Exception as error:
        message = f'The engine "{engine.name}" stopped unexpectedly: {type(error).__name__}.'
        internal = InternalError(message, f"Please report it at {ISSUE_URL}.", run=run.id)
        run.update(status="failed", error=internal.to_dict())
        raise internal from error
    warn_of(found.evidence.get("diagnoses", ()))
    return found


def resume(
    identifier: str,
    study: Study | None = None,
    *,
    secrets: Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
) -> Annotations:
    """Finish a run, or return its results if it is finished.

    Parameters
    ----------
    identifier
        Id of the run, or its folder.
    study
        The object it was made from, to prove that it is the same one.
    secrets
        Options that no run records, such as ``{"api_key": ...}``.

    Raises
    ------
    RunNotFoundError, RunDamagedError, RunMismatchError, CredentialsRequiredError
    """
    run = Run.open(identifier)
    if study is not None and study.fingerprint() != run.content["object_hash"]:
        message = f'This object is not the one of the run "{run.id}": cells or clusters differ.'
        raise RunMismatchError(
            message, "Give the object that was annotated, or none for the table."
        )
    if run.content["status"] == "finished":
        return run.results()
    if run.content.get("level") == "cells":
        message = f'The run "{run.id}" is about cells, and expression is never kept in a run.'
        hint = "Give the object: annotate_cells(data, resume=...), or in R ResumeAnnotation(x)."
        raise EngineNeedsError(message, hint)
    stored = study_from_record(run.load("study.json"))
    if study is not None and study.normalized is not None:
        # A run that was stopped before its data were on disk needs the object's.
        stored = study.with_parts(markers=stored.markers, context=stored.context)
    options = {**run.content["options"], **(secrets or {})}
    engine = create_engine(run.content["engine"], options)
    if isinstance(engine, Prepares):
        engine.prepare()
    return execute(run, stored, engine, on_event)


@overload
def annotate_clusters(
    data: Any, markers: Any = None, *, dry_run: Literal[True], **arguments: Any
) -> Plan: ...


@overload
def annotate_clusters(
    data: Any, markers: Any = None, *, dry_run: Literal[False] = False, **arguments: Any
) -> Annotations: ...


def annotate_clusters(
    data: anndata.AnnData | Any,
    markers: Any = None,
    *,
    engine: str | Engine = "local",
    group_key: str | None = None,
    key: str = "cell_type",
    tissue: str | None = None,
    species: str | None = None,
    study_context: str = "",
    overwrite: bool = False,
    allow_upload: bool = False,
    progress: bool = True,
    dry_run: bool = False,
    **options: Any,
) -> Annotations | Plan:
    """Annotate the clusters of an AnnData (labelled in place) or of a marker table.

    Parameters
    ----------
    data
        AnnData (cells x genes), or a marker table: DataFrame, path, or dict of lists.
    markers
        Marker table for an AnnData. None: its stored ranking with fold changes, else
        scanpy's t-test.
    engine
        Name of an engine, or an engine.
    group_key
        Column of ``obs`` with the clusters; for a marker table, its cluster column.
    key
        Name of the label column; ``<key>_confidence``, ``_detail``, ``_ontology_id`` and
        ``_status`` go beside it, the record to ``adata.uns["cellferry"][key]``.
    tissue, species, study_context
        What is known of the sample. Species None is told from the gene names.
    overwrite
        Replace columns of these names that cellferry did not write.
    allow_upload
        Let the engine send expression or metadata off the machine.
    progress
        Show a progress bar on a terminal or in a notebook.
    dry_run
        Only tell what would be done: calls, bytes, tokens and estimated cost. No call is
        made, no key and no consent is needed, and nothing is labelled or written.
    **options
        Options of the engine.

    Returns
    -------
    Annotations
        One row per cluster. After a dry run the :class:`cellferry.engines.Plan`.

    Raises
    ------
    CellferryError
        A class of :mod:`cellferry.errors`; the AnnData is then unchanged.

    Examples
    --------
    >>> found = annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> found["a"].label
    'B cell'
    >>> print(annotate_clusters({"a": ["CD79A", "MS4A1"]}, dry_run=True))
    local: 1 cluster, 0 calls, 0 bytes sent, cost $0.00
    """
    from .progress import progress_events

    chosen = create_engine(engine, options)
    context = Context(tissue, species, study_context)
    is_anndata = _is_anndata(data)
    if is_anndata:
        replaced = delivery.check_object_key(data, key, overwrite=overwrite)
        if replaced:
            logger.info("Replacing the columns %s.", ", ".join(replaced))
    study = build_study(
        data, markers, group_key=group_key, context=context, reading=chosen.capabilities.reading
    )
    if dry_run:
        return plan_clusters(study, chosen)
    check_needs(chosen, study)
    with progress_events(show=progress) as on_event:
        found = annotate(
            study,
            chosen,
            allow_upload=allow_upload,
            provenance={"key": key, "object": "AnnData" if is_anndata else "markers"},
            on_event=on_event,
        )
    if is_anndata:
        delivery.attach(data, found, study.clusters, key)
    return found


def build_study(
    data: Any,
    markers: Any = None,
    *,
    group_key: str | None = None,
    context: Context | None = None,
    reading: Reading | None = None,
) -> Study:
    """Return the study of an AnnData, a marker table, or a study itself.

    ``reading`` is what the engine's capabilities say of reading an AnnData.
    """
    from .study_builders import study_from_anndata, study_from_markers

    if isinstance(data, Study):
        return data
    if _is_anndata(data):
        return study_from_anndata(
            data, markers, group_key=group_key, context=context, reading=reading
        )
    if markers is not None:
        message = "`data` is itself a marker table, so `markers` cannot be given beside it."
        raise InvalidOptionError(message, "Pass an AnnData as `data`, or leave `markers` out.")
    if not (isinstance(data, Markers | Mapping | str | Path) or _is_frame(data)):
        if type(data).__module__.startswith("rpy2."):
            message = "This is an object of R, which would not be labelled in place."
            recipe = "adata = cellferry.seurat.to_anndata(x); annotate_clusters(adata); "
            raise UnsupportedObjectError(message, f"{recipe}x = cellferry.seurat.to_seurat(adata)")
        message = f"cellferry cannot read an object of type {type(data).__name__}."
        hint = "Valid: AnnData, or a marker table (DataFrame, path, or dict of lists)."
        raise UnsupportedObjectError(message, hint)
    return study_from_markers(data, group_key=group_key, context=context)


def plan_clusters(study: Study, engine: Engine) -> Plan:
    """Return what annotating the study would do, without doing it: the dry run."""
    check_needs(engine, study)
    return engine.plan(check_study(study))


def _is_anndata(data: Any) -> bool:
    return any(f"{c.__module__}.{c.__name__}".endswith(".AnnData") for c in type(data).__mro__)


def _is_frame(data: Any) -> bool:
    return any(c.__name__ == "DataFrame" for c in type(data).__mro__)
