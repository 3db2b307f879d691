"""What is made before anything is sent, and kept in the folder of the run.

``payload.json`` and the two artifacts. When they are there, the run can be finished with
nothing but its id; until then nothing was sent.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ...errors import EngineNeedsError, OutputError, RunDamagedError
from ...files import Json, write_json
from .payload import InputData, build_payload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...artifacts import Artifacts
    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.study import Study
    from .options import Options

logger = logging.getLogger("cellferry")

PAYLOAD = "payload.json"


@dataclass(frozen=True)
class Prepared:
    """What is sent.

    Attributes
    ----------
    payload
        The ``input_data`` of the job.
    artifacts
        Kind of upload -> file; empty when the job goes without.
    """

    payload: InputData = field(repr=False)
    artifacts: Mapping[str, Path]

    @property
    def key(self) -> str:
        """A hash of the payload."""
        text = json.dumps(self.payload, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def placed(name: str, run: Run) -> Path:
    """Return where a file goes: a bare name into the folder of the run, a path as it is."""
    path = Path(name).expanduser()
    return run.folder / path if path.name == name else path


def prepare(study: Study, run: Run, options: Options, events: Events) -> Prepared:
    """Return what is sent, made now or by an earlier process of this run.

    Raises
    ------
    EngineNeedsError
        There is no expression, and ``require_artifacts`` asks for it.
    ArtifactBuildError
        An artifact cannot be built, and ``require_artifacts`` asks for it.
    OutputError
        A file would replace one that cellferry did not write.
    """
    stored = run.content.get("prepared")
    if stored is not None:
        artifacts = {kind: _where(path, run) for kind, path in stored["artifacts"].items()}
        return Prepared(cast("InputData", run.load(PAYLOAD)), artifacts)
    _check_expression(study, run, options)
    events.emit("started", 0, 0, "artifacts", "Preparing the data")
    built = None if study.normalized is None else _build(study, run, options)
    events.check()
    client = "seurat" if run.provenance.get("object") == "Seurat" else "anndata"
    payload = build_payload(study, options, None if built is None else built.summary, client)
    plain = cast("Mapping[str, Json]", payload)
    run.store(PAYLOAD, plain)
    if options.save_query:
        _save_query(plain, run, options)
    artifacts = {} if built is None else _files(built)
    run.update(prepared={"artifacts": {k: _noted(path, run) for k, path in artifacts.items()}})
    return Prepared(payload, artifacts)


def _noted(path: Path, run: Run) -> str:
    """Return a path for the record: within the folder of the run as seen from it."""
    whole, folder = path.resolve(), run.folder.resolve()
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)


def _where(noted: str, run: Run) -> Path:
    """Return where a file of the record is, also after the folder of the run was moved."""
    path = run.folder / noted
    # Older versions noted the whole path.
    moved = run.folder / path.name
    return moved if not path.exists() and moved.exists() else path


def _check_expression(study: Study, run: Run, options: Options) -> None:
    if study.normalized is not None or not options.require_artifacts:
        return
    if study.cells is None and study.clusters.sizes is not None:
        message = f'The run "{run.id}" was stopped before its data were on disk; nothing was sent.'
        raise RunDamagedError(message, "Annotate the object again: nothing is lost or paid twice.")
    message = 'The engine "cytetype" needs normalised expression for the artifacts.'
    hint = "Pass the object itself, or `require_artifacts=False` for markers alone."
    raise EngineNeedsError(message, hint, part="normalized")


def _build(study: Study, run: Run, options: Options) -> Artifacts:
    """Build the artifacts; the one place that calls their writer."""
    from ...artifacts import build_artifacts

    paths = [placed(name, run) for name in (options.vars_h5_path, options.obs_duckdb_path)]
    for path in paths:
        if not options.overwrite_files and path.parent.resolve() != run.folder.resolve():
            run.claim(path)
    built = build_artifacts(
        study,
        vars_h5_path=paths[0],
        obs_duckdb_path=paths[1],
        overwrite=options.overwrite_files,
        require_artifacts=options.require_artifacts,
        min_percentage=options.min_percentage,
        pcent_batch_size=options.pcent_batch_size,
        max_cells_per_group=options.max_cells_per_group,
        aggregate_metadata=options.aggregate_metadata,
        max_metadata_categories=options.max_metadata_categories,
        obs_columns=options.obs_columns,
        n_top_genes=options.n_top_genes,
        progress=False,
    )
    for name, error in built.errors.items():
        logger.warning("%s was left out: %s", name, error.message)
    return built


def _files(built: Artifacts) -> dict[str, Path]:
    made = {"vars_h5": built.vars_h5, "obs_duckdb": built.obs_duckdb}
    return {kind: path for kind, path in made.items() if path is not None}


def _save_query(payload: Mapping[str, Json], run: Run, options: Options) -> None:
    """Write the payload alone: the models and their keys are no part of it."""
    path = placed(options.query_filename, run)
    if not options.overwrite_files:
        run.claim(path)
    try:
        write_json(path, payload)
    except OSError as error:
        message = f'The query cannot be written to "{path}": {error.strerror}.'
        raise OutputError(
            message, "Choose another `query_filename`, or `save_query=False`."
        ) from error
    run.wrote(path)


def clean_up(prepared: Prepared) -> None:
    """Delete the artifacts of this run; what is gone already is no matter."""
    for path in prepared.artifacts.values():
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning('The artifact "%s" cannot be deleted: %s.', path, error.strerror)
