"""What is proven and added before an answer is returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from .._version import software
from ..annotations import delivery
from ..engines import package_of
from ..runs.figures import keep_figures

if TYPE_CHECKING:
    from ..annotations.clusters import Annotations, Level
    from ..engines.base import Engine
    from ..runs.run import Run
    from ..study.study import Study


class Answered(Protocol):
    """What the annotations of clusters and of cells have in common."""

    @property
    def level(self) -> Level:
        """What was annotated."""
        ...

    @property
    def evidence(self) -> Mapping[str, Any]:
        """What the engine knows beyond the columns."""
        ...

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the answer came from."""
        ...

    def completed(self, study: Study, engine: str, provenance: Mapping[str, object]) -> Self:
        """Return the answer with what the study knows beside it."""
        ...

    def keep(self, folder: Path) -> None:
        """Write what the summary leaves out into the folder of a run."""
        ...

    def summary(self) -> Annotations:
        """Return one row per cluster, or per label."""
        ...


Answer = TypeVar("Answer", bound=Answered)


def complete(found: Answer, study: Study, engine: Engine[object], run: Run) -> Answer:
    """Prove that everything has exactly its own answer, and add what only we know.

    The answer is stored in the run before it is returned.

    Parameters
    ----------
    found
        What the engine returned.
    study
        What it read: the clusters or cells that must be answered, in order.
    engine
        For the record: its name and options.
    run
        Where the answer is kept.

    Raises
    ------
    InternalError
        A cluster or a cell was not answered in its place.
    """
    provenance = _provenance(study, engine, run, found.level, delivery.beside_label(found))
    answered = found.completed(study, engine.name, provenance)
    answered.keep(run.folder)
    if study.figures is not None:
        keep_figures(run.folder, study.figures)
    run.store("annotations.json", answered.summary().to_dict())
    return answered


def _provenance(
    study: Study, engine: Engine[object], run: Run, level: Level, beside: Sequence[str]
) -> dict[str, object]:
    key = str(run.provenance.get("key", ""))
    compared = delivery.has_clusters(study.clusters)
    columns = delivery.column_names(key, level, compared=compared, beside=beside)
    package = package_of(engine.name, level)
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
        **({"genes": dict(study.recognised)} if study.recognised else {}),
        "columns": columns if key else [],
        "versions": software(dict([package] if package else [])),
        **run.provenance,
    }
