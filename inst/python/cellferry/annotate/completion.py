"""What is proven and added before an answer is returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .._version import __version__
from ..annotations import delivery
from ..annotations.cells import CellAnnotations
from ..annotations.clusters import Annotations

if TYPE_CHECKING:
    from ..annotations.clusters import Level
    from ..engines.base import Engine
    from ..runs.run import Run
    from ..study.study import Study

Answer = TypeVar("Answer", Annotations, CellAnnotations)


def complete(found: Answer, study: Study, engine: Engine[Any], run: Run) -> Answer:
    """Prove that everything has exactly its own answer, and add what only we know.

    The answer is stored in the run before it is returned.

    Raises
    ------
    InternalError
        A cluster or a cell was not answered in its place.
    """
    provenance = _provenance(study, engine, run, found.level)
    answered = found.completed(study, engine.name, provenance)
    answered.keep(run.folder)
    run.store("annotations.json", answered.summary().to_dict())
    return answered


def _provenance(study: Study, engine: Engine[Any], run: Run, level: Level) -> dict[str, Any]:
    key = str(run.content["provenance"].get("key", ""))
    compared = delivery.has_clusters(study.clusters)
    return {
        "run": run.id,
        "created": run.content["created"],
        "level": level,
        "engine": engine.name,
        "options": dict(engine.describe()),
        # The summary of cells has one row per label: its clusters are the labels.
        "group_key": study.group_key if level == "clusters" else key or None,
        "tissue": study.context.tissue,
        "species": study.context.species,
        "study_context": study.context.study_context,
        "columns": delivery.column_names(key, level, compared=compared) if key else [],
        "versions": {"cellferry": __version__},
        **run.content["provenance"],
    }
