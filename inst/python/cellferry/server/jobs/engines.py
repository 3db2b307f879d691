"""Which engine answers a job, and how one cluster that breaks is kept from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...annotations.clusters import Annotation, Annotations
from ...engines import create_engine
from ...engines.base import Capabilities, Engine, Plan
from ...engines.llm.endpoints import MODELS_OF
from ...engines.llm.providers import check_packages
from ...errors import CellferryError, DependencyError, InternalError, listing
from ...runs.worker import CancelledWork, Events
from ...study.clusters import Clusters
from ..failures import Code, Failure

if TYPE_CHECKING:
    from ...files import Json
    from ...runs.run import Run
    from ...study.study import Study
    from .evidence import Evidence
    from .llm_configs import LLMConfig


def engine_of(
    configs: Sequence[LLMConfig],
    parallel: int,
    evidence: Evidence | None = None,
    remarks: Mapping[str, Sequence[str]] | None = None,
) -> Engine[Annotations]:
    """Return the engine of a job: the local one, or the language models it asks for.

    Parameters
    ----------
    configs
        Language models with their keys; none for the local engine.
    parallel
        Clusters at once. The local engine answers a cluster in milliseconds, one by one.
    evidence
        What a language model may ask for, :data:`EVIDENCE_ROUNDS` times for each cluster.
    remarks
        Cluster id -> what people say about its earlier answers.

    Raises
    ------
    Failure
        Language models are requested and this installation has none.
    """
    if not configs:
        return PerClusterFallback(create_engine("local"))

    return PerClusterFallback(llm_engine(configs, parallel, evidence, remarks))


class PerClusterFallback:
    """An engine whose unexpected errors cost the cluster they happen in, not the job.

    All clusters are annotated at once; only when that breaks is each annotated alone, with
    the markers of all, so that its answer is the same.

    Parameters
    ----------
    engine
        An engine of clusters; name, capabilities, options and plan are those of this one.
    """

    def __init__(self, engine: Engine[Annotations]) -> None:
        self._engine = engine
        self.name = engine.name

    @property
    def capabilities(self) -> Capabilities:
        """Those of the engine."""
        return self._engine.capabilities

    def describe(self) -> Mapping[str, object]:
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
        evidence: dict[str, Json] = {}
        provenance: dict[str, Json] = {}
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
                message = f"{type(error).__name__}: {reason}"
                rows.append(Annotation(cluster, "failed", error=message, engine=self.name))
            events.emit("progress", done=done, total=len(study.clusters.names), unit=cluster)
        return Annotations(tuple(rows), evidence, provenance)


NAME = "llm"
EVIDENCE_ROUNDS = 2
"""How often a model may have figures looked up: it is what a client sends artifacts for."""


def llm_engine(
    configs: Sequence[LLMConfig],
    parallel: int,
    evidence: Evidence | None = None,
    remarks: Mapping[str, Sequence[str]] | None = None,
) -> Engine[Annotations]:
    """Return the LLM engine of a request, clusters in parallel as requested.

    The first entry that annotates does so; one for the reviewer, or a second one, checks.

    Raises
    ------
    Failure
        It does not take the configs.
    """
    annotators = [c for c in configs if not c.target_agents or "annotator" in c.target_agents]
    reviewers = [c for c in configs if "reviewer" in c.target_agents and c not in annotators]
    if not annotators:
        message = "`llm_configs` must have an entry for the agent annotator."
        raise Failure(Code.LLM_VALIDATION_FAILED, message)
    chosen = [annotators[0], *(reviewers or annotators[1:])[:1]]
    for config in chosen:
        _check(config)
    options: dict[str, object] = {
        "llm_configs": [c.to_wire() for c in chosen],
        "max_workers": parallel,
    }
    if evidence is not None and evidence.lookup is not None:
        options["evidence_rounds"] = EVIDENCE_ROUNDS
        options["evidence_columns"] = list(evidence.columns)
    if remarks:
        options["remarks"] = remarks
    try:
        return create_engine(NAME, options)
    except CellferryError as error:
        raise Failure(Code.LLM_VALIDATION_FAILED, error.message) from error


def _check(config: LLMConfig) -> None:
    """Refuse at once what would fail the job later."""
    if config.provider not in MODELS_OF:
        message = (
            f"This server has no models of {config.provider}; it has {listing(MODELS_OF)}. "
            "Any OpenAI-compatible one is reached as openai with its `baseUrl`."
        )
        raise Failure(Code.LLM_VALIDATION_FAILED, message)
    if config.api_key is None:
        message = f"This server takes models of {config.provider} with an `apiKey` only."
        raise Failure(Code.LLM_VALIDATION_FAILED, message)
    try:
        check_packages(config.provider)
    except DependencyError as error:
        message = (
            f"This server has no language models: {error.message} "
            "Leave `llm_configs` out to use its own engine."
        )
        raise Failure(Code.LLM_VALIDATION_FAILED, message) from error
