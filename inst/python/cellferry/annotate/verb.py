"""The verb: the only way from a study to annotations, written once above all engines.

validate everything -> plan -> consent -> run -> annotations -> deliver
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..annotations import delivery
from ..annotations.clusters import Annotations
from ..annotations.diagnoses import warn_of
from ..engines import create_engine
from ..engines.base import AnyEngine, Prepares, WritesFiles
from ..errors import (
    ISSUE_URL,
    CellferryError,
    EngineNeedsError,
    InternalError,
    RunMismatchError,
)
from ..runs.run import Run
from ..runs.worker import Event, Events, run_in_worker
from ..study.record import input_hash, study_from_record, study_record
from ..study.study import Study
from ..study.symbols import with_gene_symbols
from .checks import check_consent, check_needs, check_same_clustering, check_study
from .completion import Found, complete

if TYPE_CHECKING:
    pass

OnEvent = Callable[[Event], None]


def annotate(
    study: Study,
    engine: AnyEngine[Found],
    *,
    allow_upload: bool = False,
    checked: bool = False,
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
    checked
        Whether consent and what the engine prepares (keys, paths) were checked before the study
        was read, and are not to be checked again.
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
    plan = engine.plan(study)
    if not checked:
        check_consent(engine, plan, allow_upload=allow_upload)
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
    engine: AnyEngine[Annotations] | None = None,
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
    engine
        The engine of the run, with its options, if the caller has made and prepared it.
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
        names = stored.gene_names or study.gene_names
        study = with_gene_symbols(study) if stored.gene_names else study
        stored = study.with_parts(markers=stored.markers, context=stored.context, gene_names=names)
    if engine is None:
        options = {**run.content["options"], **(secrets or {})}
        engine = create_engine(run.content["engine"], options)
        if isinstance(engine, Prepares):
            engine.prepare()
    return execute(run, stored, engine, on_event)
