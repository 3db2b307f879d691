"""The verb: the only way from a study to annotations, written once above all engines.

validate everything -> plan -> consent -> run -> annotations -> deliver
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import delivery
from ._version import __version__
from .annotations import Annotation, Annotations
from .checks import check_consent, check_needs, check_same_clustering, check_study
from .engines import Engine, Plan, Prepares, WritesFiles, create_engine
from .errors import (
    ISSUE_URL,
    CellferryError,
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
KEPT_MARKERS = 50
"""Markers per cluster that travel with the annotations."""


def annotate(
    study: Study,
    engine: Engine,
    *,
    allow_upload: bool = False,
    folder: Path | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_event: OnEvent | None = None,
) -> Annotations:
    """Run an engine over a study and return one annotation per cluster.

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
    check_needs(engine, study)
    study = check_study(study)
    check_same_clustering(study)
    check_consent(engine, engine.plan(study), allow_upload=allow_upload)
    if isinstance(engine, Prepares):
        engine.prepare()
    run = Run.create(
        engine.name,
        folder or (engine.folder if isinstance(engine, WritesFiles) else None),
        options=dict(engine.describe()),
        object_hash=study.fingerprint(),
        input_hash=input_hash(study),
        provenance=dict(provenance or {}),
    )
    run.store("study.json", study_record(study))
    return execute(run, study, engine, on_event)


def execute(run: Run, study: Study, engine: Engine, on_event: OnEvent | None) -> Annotations:
    """Run (or go on with) a run whose study has been checked."""

    def work(events: Events) -> Annotations:
        return engine.run(study, run, events)

    run.update(status="unfinished", error=None)
    try:
        found = _complete(run_in_worker(work, on_event), study, engine, run)
        run.store("annotations.json", found.to_dict())
        if isinstance(engine, WritesFiles):
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
    return found


def _complete(found: Annotations, study: Study, engine: Engine, run: Run) -> Annotations:
    """Prove that every cluster has exactly its own row, and add what only we know."""
    names = tuple(row.cluster for row in found)
    if names != study.clusters.names:
        message = f'The engine "{engine.name}" answered {names}, not {study.clusters.names}.'
        raise InternalError(message, f"Please report it at {ISSUE_URL}.")
    counts = study.clusters.counts() or {}

    def filled(row: Annotation) -> Annotation:
        return replace(row, n_cells=counts.get(row.cluster), engine=row.engine or engine.name)

    key = str(run.content["provenance"].get("key", ""))
    provenance = {
        "run": run.id,
        "created": run.content["created"],
        "engine": engine.name,
        "options": dict(engine.describe()),
        "group_key": study.group_key,
        "tissue": study.context.tissue,
        "species": study.context.species,
        "study_context": study.context.study_context,
        "columns": delivery.column_names(key) if key else [],
        "versions": {"cellferry": __version__},
        **run.content["provenance"],
        **dict(found.provenance),
    }
    if study.gene_names:
        named = {g for row in found for g in row.supporting} & study.gene_names.keys()
        provenance["gene_names"] = {g: study.gene_names[g] for g in sorted(named)}
    markers = found.markers or kept_markers(study.markers)
    return Annotations(tuple(map(filled, found)), found.evidence, provenance, markers)


def kept_markers(markers: Markers | None) -> dict[str, list[Any]]:
    """Return the best markers per cluster as plain columns with Seurat's names."""
    if markers is None:
        return {}
    # Not every table has fold changes; lists are ranked by their order whatever the method.
    method = next(iter(markers.ranking_methods), "avg_log2FC")
    chosen = markers.select(method, n_genes=KEPT_MARKERS)
    rows = [int(r) for selection in chosen.values() for r in selection.rows]
    frame = markers.to_frame().iloc[rows]
    plain: dict[str, list[Any]] = {}
    for name in frame.columns:
        values = frame[name].tolist()
        # JSON has neither NaN nor infinity.
        plain[str(name)] = [
            (v if math.isfinite(v) else None) if isinstance(v, float) else str(v) for v in values
        ]
    return plain


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
    stored = study_from_record(run.load("study.json"))
    if study is not None and study.normalized is not None:
        # A run that was stopped before its data were on disk needs the object's.
        stored = study.with_parts(markers=stored.markers, context=stored.context)
    options = {**run.content["options"], **(secrets or {})}
    engine = create_engine(run.content["engine"], options)
    if isinstance(engine, Prepares):
        engine.prepare()
    return execute(run, stored, engine, on_event)


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
    **options: Any,
) -> Annotations:
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
    **options
        Options of the engine.

    Returns
    -------
    Annotations
        One row per cluster.

    Raises
    ------
    CellferryError
        A class of :mod:`cellferry.errors`; the AnnData is then unchanged.

    Examples
    --------
    >>> found = annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]})
    >>> found["a"].label
    'B cell'
    """
    from .progress import progress_events

    chosen = create_engine(engine, options)
    context = Context(tissue, species, study_context)
    is_anndata = _is_anndata(data)
    if is_anndata:
        owned = delivery.owned_columns(data.uns.get(delivery.STORE, {}).get(key))
        replaced = delivery.check_key(key, list(data.obs.columns), owned, overwrite=overwrite)
        if replaced:
            logger.info("Replacing the columns %s.", ", ".join(replaced))
    study = build_study(
        data, markers, group_key=group_key, context=context, reading=chosen.capabilities.reading
    )
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
