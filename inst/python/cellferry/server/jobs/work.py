"""The work on one job: from what the client sent to the files that are served.

Everything it writes appears whole or not at all, and is the same when it is done again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ...annotate.verb import execute
from ...annotations.clusters import Annotations
from ...files import write_whole
from ...runs.run import Run
from ...runs.worker import Event
from .orthologs import read_by_orthologs, with_own_names
from .remarks import history_of, kept, remarks_of
from .results import results_of
from .study import gene_notes, payload_markers, study_of

if TYPE_CHECKING:
    from ...engines.base import Engine
    from ...files import Json
    from .evidence import Evidence
    from .payload import JobInput


def answer(
    job: JobInput,
    engine: Engine[Annotations],
    evidence: Evidence,
    folder: Path,
    *,
    parallel: int,
    on_event: Callable[[Event], None],
) -> Annotations:
    """Answer a job, write ``results.json`` and ``annotations.json``, return the answers.

    Clusters that an earlier attempt finished are not annotated again: they are in the
    journal of the job's run.

    Parameters
    ----------
    engine
        Answers clusters.
    evidence
        Where expression is looked up, and what the sizes of the clusters are.
    folder
        The job's own.
    parallel
        Clusters whose expression is looked up at once.
    on_event
        Called in this thread; may raise to stop.
    """
    study = study_of(job, evidence.sizes).with_parts(lookup=evidence.lookup)
    read = read_by_orthologs(study)
    again = list(remarks_of(folder))
    answered = execute(_run(folder / "run", engine), read, engine, on_event)
    found = kept(with_own_names(answered, read), folder, again)
    expression = evidence.of(found, parallel, lambda: on_event(Event("message")))
    results = results_of(
        found,
        study_info=job.study_info,
        expression=expression,
        notes=[*gene_notes(study), *evidence.notes],
        history=history_of(folder),
    )
    explained: dict[str, Json] = {
        row.cluster: {
            **(found.evidence.get(row.cluster) or {}),
            **({"expression": expression[row.cluster]} if row.cluster in expression else {}),
        }
        for row in found
    }
    stored = Annotations(found.rows, explained, found.provenance, payload_markers(job))
    write_whole(folder / "annotations.json", stored.to_json())
    write_whole(folder / "results.json", orjson.dumps(results))
    return found


def _run(folder: Path, engine: Engine[Annotations]) -> Run:
    if (folder / "run.json").exists():
        return Run.open(folder)
    # Not remembered in the user's data folder: a job is found by its server.
    return Run.create(engine.name, folder, remembered=False, provenance={})
