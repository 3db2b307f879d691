"""The only way from a study to annotations, written once above all engines.

validate everything -> plan -> consent -> run -> annotations -> deliver
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..annotations.cells import CELLS_FILE, CellAnnotations
from ..annotations.clusters import Annotations
from ..annotations.diagnoses import warn_of
from ..annotations.diagnoses.attention import with_attention
from ..engines import create_engine
from ..engines.base import AnyEngine, Engine, Plan, Prepares, ReadsContext, WritesFiles
from ..errors import (
    ISSUE_URL,
    AnnotationsFormatError,
    CellferryError,
    EngineNeedsError,
    InternalError,
    OutputError,
    RunDamagedError,
    RunMismatchError,
    RunNotFoundError,
    UnknownEngineError,
    UnknownOptionError,
    counted,
)
from ..files import is_full
from ..runs.decided import with_decided
from ..runs.lock import held
from ..runs.run import Run, check_folder
from ..runs.worker import CancelledWork, Event, Events, run_in_worker
from ..study.record import input_hash, study_record
from ..study.symbols import with_gene_symbols
from .checks import check_consent, check_needs, check_same_clustering, check_study, leaving
from .completion import Answer, complete
from .within import asked, completed_within, planned_within, provenance_of, warn_of_parts

if TYPE_CHECKING:
    from ..annotations.clusters import Level
    from ..study.study import Study

logger = logging.getLogger("cellferry")

OnEvent = Callable[[Event], None]


def annotate(
    study: Study,
    engine: Engine[Answer],
    *,
    allow_upload: bool = False,
    checked: bool = False,
    folder: Path | None = None,
    provenance: Mapping[str, object] | None = None,
    on_event: OnEvent | None = None,
) -> Answer:
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
    RunLockedError
        Another process, or another thread, works in the folder.
    CellferryError
        Checks raise before a run exists; later errors carry the run id in ``data["run"]``.
    KeyboardInterrupt
        With a note that names the run and how to resume it, and its id in ``run``.
    """
    study = _checked(study, engine)
    planned = planned_within(study, engine)
    if not checked:
        check_consent(engine, planned, allow_upload=allow_upload)
        if isinstance(engine, Prepares):
            engine.prepare()
    folder = folder or (engine.folder if isinstance(engine, WritesFiles) else None)
    with ExitStack() as stack:
        if folder is not None:
            check_folder(folder)
            stack.enter_context(held(folder))
        sizes = study.clusters.counts()
        run = Run.create(
            engine.name,
            folder,
            level=level_of(engine),
            options=dict(engine.describe()),
            object_hash=study.fingerprint(),
            input_hash=input_hash(study),
            provenance={**(provenance or {}), **_marker_test(study), **provenance_of(study)},
            n_cells=_n_cells(study),
            n_clusters=None if sizes is None else len(sizes),
            tissue=study.context.tissue,
        )
        # What the user's own metadata holds may be NaN, which the quick writer makes null.
        run.store("study.json", study_record(study), compact=not study.context.metadata)
        return execute(run, study, engine, on_event)


def _marker_test(study: Study) -> dict[str, object]:
    """Return how the markers were found, where it was by us."""
    details = None if study.markers is None else study.markers.details
    return {} if details is None else {"marker_test": dict(details)}


def _n_cells(study: Study) -> int | None:
    if study.cells is not None:
        return len(study.cells)
    sizes = study.clusters.counts()
    return None if sizes is None else sum(sizes.values())


def plan(study: Study, engine: Engine[object]) -> Plan:
    """Return what annotating the study would do, without doing it: the dry run.

    Parameters
    ----------
    study
        What would be read.
    engine
        Who would read it.
    """
    return planned_within(_checked(study, engine), engine)


def _checked(study: Study, engine: Engine[object]) -> Study:
    """Return the study as the engine reads it, or raise what is wrong with it."""
    check_needs(engine, study)
    study = check_study(study, level_of(engine), engine.capabilities.genes or ())
    check_same_clustering(study)
    say_understood(study, engine)
    return study


def say_understood(study: Study, engine: Engine[object]) -> None:
    """Say what the engine makes of tissue and species, and warn of what it can't make anything of.

    Engines that look no words up get them as they are written, which is said too.
    """
    if not isinstance(engine, ReadsContext):
        if (study.context.tissue or "").strip():
            logger.info("tissue: '%s', as it is written.", (study.context.tissue or "").strip())
        return
    understood = engine.understand(study)
    for line in understood.lines:
        logger.info("%s", line)
    for problem in understood.problems:
        warnings.warn(problem, stacklevel=4)


def level_of(engine: Engine[object]) -> Level:
    """Return what the engine answers: clusters or cells."""
    return "cells" if engine.capabilities.answers == {"cells"} else "clusters"


def execute(run: Run, study: Study, engine: Engine[Answer], on_event: OnEvent | None) -> Answer:
    """Run (or go on with) a run whose study has been checked.

    Parameters
    ----------
    run
        New, or one that was stopped: its finished units are not done again.
    study
        Checked, with what the engine reads.
    engine
        That of the run.
    on_event
        Called in this thread for each event of the engine.

    Raises
    ------
    RunLockedError
        Another process, or another thread, works on it.
    CellferryError
    """
    with held(run.folder) as session:
        run.session = session

        def work(events: Events) -> Answer:
            # An interrupt leaves the worker, and the lock with it, until it has ended.
            with session.working():
                return engine.run(asked(study, engine), run, events)

        with _noted(run, engine):
            run.mend()
            run.update(status="unfinished", error=None)
            found = completed_within(run_in_worker(work, on_event), study)
            if isinstance(found, Annotations):
                obs = study.quality if study.obs is None else study.obs
                found = cast("Answer", with_attention(found, obs, study.clusters))
            found = complete(found, study, engine, run)
            if isinstance(engine, WritesFiles):
                engine.write_files(found.summary(), study, run)
            # What is left, because a budget or a service ended, can be had by resuming.
            left = found.provenance.get("to_be_asked")
            run.update(status="unfinished" if left else "finished")
    warn_of(found.evidence.get("diagnoses", ()))
    if isinstance(found, Annotations):
        warn_of_parts(found)
    return found


@contextmanager
def _noted(run: Run, engine: Engine[Answer]) -> Iterator[None]:
    """Note in the record how the work of the block ended, as far as that can be written."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        _note(run, status="interrupted")
        interrupt.add_note(f"Resume with: {_how_to_resume(run)}")
        interrupt.run = run.id  # type: ignore[attr-defined]
        raise
    except CancelledWork:
        # The caller let go of its own work, to take the run up again.
        raise
    except CellferryError as error:
        error.data.setdefault("run", run.id)
        if isinstance(error, OutputError):
            _say_what_is_kept(error, run)
        _note(run, status="failed", error=error.to_dict())
        raise
    except Exception as error:
        if isinstance(error, OSError) and is_full(error):
            where = f' "{error.filename}"' if error.filename else ""
            message = f"A file{where} of the run cannot be written: {error.strerror}."
            full = OutputError(message, "Make room.", run=run.id)
            _say_what_is_kept(full, run)
            _note(run, status="failed", error=full.to_dict())
            raise full from error
        message = f'The engine "{engine.name}" stopped unexpectedly: {type(error).__name__}.'
        internal = InternalError(message, f"Please report it at {ISSUE_URL}.", run=run.id)
        _note(run, status="failed", error=internal.to_dict())
        raise internal from error


def _note(run: Run, **content: object) -> None:
    """Change the record, unless the disk is what the trouble is about."""
    with suppress(CellferryError, CancelledWork):
        run.update(**content)


def _say_what_is_kept(error: OutputError, run: Run) -> None:
    with suppress(RunDamagedError):
        n = len(run.finished())
        kept = f"{counted(n, 'answer')} {'is' if n == 1 else 'are'} kept."
        error.add_to_hint(f"{kept} Then go on: {_how_to_resume(run)}")


def _how_to_resume(run: Run) -> str:
    """Return the line to paste. Cells need their object, which the command line reads again."""
    if level_of_run(run) == "cells" and "input" not in run.provenance:
        return f'cellferry.resume("{run.id}", data)'
    return f"cellferry runs resume {run.id}"


def resume(
    run: Run,
    study: Study | None = None,
    *,
    engine: AnyEngine | None = None,
    options: Mapping[str, object] | None = None,
    allow_upload: bool = False,
    checked: bool = False,
    on_event: OnEvent | None = None,
) -> Annotations | CellAnnotations:
    """Finish a run, or return its answer if it is finished.

    Parameters
    ----------
    run
        A run about clusters or about cells.
    study
        The object it was made from, to prove that it is the same one, and to read what the run
        does not keep. A run about cells that is not finished needs it.
    engine
        The engine of the run, where it is made already; see :func:`engine_of`.
    options
        Options that no run records, such as ``{"api_key": ...}``.
    allow_upload
        Consent to another host than that of the run; for that one it was given.
    checked
        As in :func:`annotate`.

    Raises
    ------
    RunMismatchError, EngineNeedsError, UploadNotAllowedError, CredentialsRequiredError
    RunLockedError
        Another process, or another thread, works on it.
    RunDamagedError
        What it keeps of its input cannot be read, or its options are none of the engine.
    """
    found = _resumed(
        run, study, engine, options, allow_upload=allow_upload, checked=checked, on_event=on_event
    )
    return with_decided(found, run.folder, run.id)


def _resumed(
    run: Run,
    study: Study | None,
    engine: AnyEngine | None,
    options: Mapping[str, object] | None,
    *,
    allow_upload: bool,
    checked: bool,
    on_event: OnEvent | None,
) -> Annotations | CellAnnotations:
    if run.content["status"] == "finished":
        check_same(run, study)
        with suppress(RunDamagedError):
            return _with_files(run, _answer_of(run), study, engine, options)
    # Whoever had it before may have changed its record.
    with held(run.folder):
        run.reload()
        check_same(run, study)
        if run.content["status"] == "finished":
            try:
                return _with_files(run, _answer_of(run), study, engine, options)
            except RunDamagedError as error:
                logger.warning("%s They are made again from the journal.", error.message)
        return _finish(
            run,
            study,
            engine or engine_of(run, options),
            allow_upload=allow_upload,
            checked=checked,
            on_event=on_event,
        )


def check_same(run: Run, study: Study | None) -> None:
    """Raise :class:`RunMismatchError` if this is not the object of the run."""
    if study is not None and study.fingerprint() != run.needed("object_hash"):
        message = f'This object is not the one of the run "{run.id}": cells or clusters differ.'
        raise RunMismatchError(
            message, "Give the object that was annotated, or none for the table."
        )


def _answer_of(run: Run) -> Annotations | CellAnnotations:
    """Return the answer of a finished run; raises :class:`RunDamagedError`."""
    if level_of_run(run) != "cells":
        try:
            return run.answer()
        except RunNotFoundError as error:
            raise RunDamagedError(error.message, error.hint) from error
    try:
        return CellAnnotations.load(run.folder / CELLS_FILE)
    except AnnotationsFormatError as error:
        message = f'The results of the run "{run.id}" are damaged ({CELLS_FILE}).'
        raise RunDamagedError(message, f"Make them again: {_how_to_resume(run)}") from error


def _with_files(
    run: Run,
    found: Annotations | CellAnnotations,
    study: Study | None,
    engine: AnyEngine | None,
    options: Mapping[str, object] | None,
) -> Annotations | CellAnnotations:
    """Return the answer of a finished run, once the files of its engine are there."""
    if run.needed("options").get("output_name") is None:
        return found
    engine = engine or engine_of(run, options)
    if isinstance(engine, WritesFiles) and not all(path.exists() for path in engine.files):
        with held(run.folder):
            engine.write_files(found.summary(), study or run.study(), run)
    return found


def _finish(
    run: Run,
    study: Study | None,
    engine: AnyEngine,
    *,
    allow_upload: bool,
    checked: bool,
    on_event: OnEvent | None,
) -> Annotations | CellAnnotations:
    study, planned = prepared(run, study, engine)
    if not checked:
        allow_upload = is_allowed(run, engine, allow_upload=allow_upload)
        check_consent(engine, planned, allow_upload=allow_upload)
        if isinstance(engine, Prepares):
            engine.prepare()
    found: Annotations | CellAnnotations = execute(run, study, engine, on_event)
    return found


def prepared(run: Run, study: Study | None, engine: Engine[object]) -> tuple[Study, Plan]:
    """Return the study of a run as its engine reads it, and what is left to do.

    Parameters
    ----------
    run
        What it keeps of its input counts: markers, context.
    study
        The object, if it is given: for what no run keeps.
    engine
        Who reads it.

    Raises
    ------
    EngineNeedsError
        A run about cells needs the object.
    """
    cells = level_of_run(run) == "cells"
    stored = run.study()
    if study is not None and study.normalized is None and study.counts is None and not cells:
        study = None
    if study is not None:
        # What is missing may need the object's own data; the rest is as it was when it began.
        names = stored.gene_names or study.gene_names
        study = with_gene_symbols(study) if stored.gene_names else study
        study = study.with_parts(
            markers=stored.markers,
            context=stored.context,
            gene_names=names,
            recognised=stored.recognised,
            parents=stored.parents,
        )
        study = _checked(study, engine)
    elif cells:
        message = f'The run "{run.id}" is about cells, and expression is never kept in a run.'
        hint = "Give the object: cellferry.resume(run, data), or in R ResumeAnnotation(x)."
        raise EngineNeedsError(message, hint)
    study = study or stored
    # A plan refuses what the engine cannot read, also where consent was given before.
    return study, planned_within(study, engine)


def is_allowed(run: Run, engine: Engine[object], *, allow_upload: bool) -> bool:
    """Whether data may leave for the engine's host: now, or since the run began.

    Parameters
    ----------
    run
        The run to go on with; consent was given when it was made.
    engine
        The engine, with the options of now.
    allow_upload
        Consent of now.
    """
    if allow_upload or not leaving(engine.capabilities):
        return allow_upload
    return engine.capabilities.host == engine_of(run).capabilities.host


def level_of_run(run: Run) -> Level:
    """Return what a run is about: clusters or cells."""
    return "cells" if run.content.get("level") == "cells" else "clusters"


def engine_of(run: Run, options: Mapping[str, object] | None = None) -> AnyEngine:
    """Return the engine of a run; ``options`` are those that no run records, such as a key.

    Parameters
    ----------
    run
        Its record has the name of the engine, and options without secrets.
    options
        Take the place of those of the record.
    """
    kept = run.needed("options")
    try:
        return create_engine(run.content["engine"], {**kept, **(options or {})}, level_of_run(run))
    except (UnknownOptionError, UnknownEngineError) as error:
        if set(options or ()) & set(map(str, error.data.values())):
            raise
        message = f'The record of the run "{run.id}" cannot be used: {error.message}'
        raise RunDamagedError(message, "Its journal is used if you annotate again.") from error
