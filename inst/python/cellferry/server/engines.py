"""Which engine answers a job, and how one cluster that breaks is kept from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..annotations import Annotation, Annotations
from ..engines import Capabilities, Engine, Plan, create_engine
from ..errors import CellferryError, InternalError
from ..events import CancelledWork, Events
from ..study import Clusters

if TYPE_CHECKING:
    from ..runs import Run
    from ..study import Study
    from .llm_configs import LLMConfig


def engine_of(configs: Sequence[LLMConfig], parallel: int) -> Engine:
    """Return the engine of a job: the local one, or the language models it asks for.

    Parameters
    ----------
    parallel
        Clusters at once. The local engine answers a cluster in milliseconds, one by one.

    Raises
    ------
    Failure
        Language models are asked for and this installation has none.
    """
    if not configs:
        return Isolating(create_engine("local"))
    from .llm_engine import llm_engine

    return Isolating(llm_engine(configs, parallel))


class Isolating:
    """An engine whose unexpected errors cost the cluster they happen in, not the job.

    All clusters are asked for at once; only when that breaks is each asked for alone, with
    the markers of all, so that its answer is the same.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name = engine.name

    @property
    def capabilities(self) -> Capabilities:
        """Those of the engine."""
        return self._engine.capabilities

    def describe(self) -> Mapping[str, Any]:
        """Return the options of the engine."""
        return self._engine.describe()

    def plan(self, study: Study) -> Plan:
        """Return the plan of the engine."""
        return self._engine.plan(study)

    def run(self, study: Study, run: Run, events: Events) -> Annotations:
        """Answer every cluster; one that breaks has the status failed and the reason."""
        try:
            return self._engine.run(study, run, events)
        except (CancelledWork, CellferryError) as error:
            if not isinstance(error, InternalError):
                raise
        except Exception:
            pass
        rows: list[Annotation] = []
        evidence: dict[str, Any] = {}
        provenance: dict[str, Any] = {}
        sizes = study.clusters.counts()
        for done, cluster in enumerate(study.clusters.names, 1):
            events.check()
            alone = Clusters((cluster,), sizes=None if sizes is None else (sizes[cluster],))
            try:
                found = self._engine.run(study.with_parts(clusters=alone), run, Events())
                rows.extend(found.rows)
                evidence.update(found.evidence)
                provenance.update(found.provenance)
            except CancelledWork:
                raise
            except Exception as error:
                reason = error.message if isinstance(error, CellferryError) else "an internal error"
                told = f"{type(error).__name__}: {reason}"
                rows.append(Annotation(cluster, "failed", error=told, engine=self.name))
            events.emit("progress", done=done, total=len(study.clusters.names), unit=cluster)
        return Annotations(tuple(rows), evidence, provenance)
