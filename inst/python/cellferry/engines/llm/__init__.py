"""The LLM engine: every cluster answered, every answer checked, nothing paid for twice.

``settings`` and ``endpoints`` say whom to ask, ``questions`` what, ``planning`` what it takes;
``batch`` leads one ``conversation`` per cluster over a ``client``; ``replies`` and ``checks``
judge what comes back; ``answer`` and ``outputs`` pass it on.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...annotations.clusters import Annotation, Annotations
from ...errors import CellferryError, InvalidOptionError, listing
from ...study.lookup import lookup_of
from ..base import Capabilities, Plan, as_remark
from ..service.providers import key_variables
from ..service.secrets import Secret, redact, wrapped
from .outputs import check_files, output_files, run_folder, write_files
from .planning import make_plan
from .providers import check_packages
from .questions import VERSION as PROMPT_VERSION
from .questions import Question, evidence_determining, make_questions
from .settings import Settings

if TYPE_CHECKING:
    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.study import Study
    from .evidence import Evidence

__all__ = ["LLM"]

ENGINE = "llm"
VERSION = 1
"""Raised when the same question is put or judged differently, so that no old unit is reused."""


class LLM:
    """Annotate clusters with a language model of your choice.

    Only marker genes and what you say of the study leave the machine, unless
    ``evidence_rounds`` lets the model ask for figures of expression. The options of
    CASSIA's batch processing keep their names, and ``llm_configs`` is CyteType's.

    Parameters
    ----------
    provider
        ``"anthropic"``, ``"bedrock"``, ``"google"``, ``"groq"``, ``"mistral"``, ``"openai"``
        or ``"openrouter"``; or the base URL of an OpenAI-compatible server.
    model
        The provider's name of the model. None: ``anthropic/claude-sonnet-4.5`` for
        openrouter (the specified default) and ``claude-sonnet-4-6`` for anthropic; others
        have no default.
    base_url
        Address to use instead of the provider's, exactly as given. Local and private
        addresses need no key.
    api_key, api_key_env
        The key, or the name of the environment variable that has it. None: the
        provider's usual variable, for example ``OPENAI_API_KEY``; for a ``base_url`` it is
        ``CELLFERRY_LLM_API_KEY``. Keys are never stored.
    llm_configs
        One or two dicts ``provider, name, apiKey, baseUrl, modelSettings``, instead of the
        arguments above. The second model validates.
    output_name
        Base name of ``_summary.csv``, ``_conversations.json`` and ``_report.html``, used as
        given; the run is kept beside them in ``_run``. None: no files.
    overwrite_files
        Replace files of these names that no run of this name wrote.
    n_genes, ranking_method, ascending
        How many genes of each cluster are sent, and by what they are ranked; see
        :meth:`cellferry.Markers.select`.
    additional_info
        What else the model should know or attend to.
    temperature
        0 for answers that repeat as far as the model allows. None: the model's own. Left
        out for models that refuse it.
    reasoning
        ``"low"``, ``"medium"`` or ``"high"``, for models that reason.
    model_settings
        More settings of the model, for example ``{"max_tokens": 4096}``. What is sent as it
        is (``extra_headers``, ``extra_body``, ``extra_query``) may contain secrets: of these only
        the names are stored, and a run that is resumed needs ``model_settings`` again.
    validator_involvement
        ``"v1"``: a validating call judges each answer. ``"v0"``, strict: the validator also
        annotates without sight of the answer, and more than one step of the Cell Ontology
        between the two sends it back.
    max_workers
        Calls that run at the same time; fewer while the service says that it is busy.
    max_retries
        How often a reply that cannot be read is asked for again. Failures on the way are
        tried again apart from this.
    max_cost_usd, max_tokens
        Budget of one pass; what is left then is skipped, and resuming goes on.
    prices
        ``{"input": 3, "output": 15}``, USD per million tokens, where we know none.
    output_mode
        How an answer in a form is asked for: ``"tool"``, ``"schema"``, ``"prompted"``, or
        ``"auto"``, which finds out what the service can do.
    other_clusters
        Whether a question names the best genes of the other clusters for contrast.
    evidence_rounds
        How often the model may ask, for each cluster, to have figures looked up in the object
        before it answers: of at most 20 genes at once, in what share of the cells of each cluster
        they are found, and their mean. 0, the default, is never: then nothing but markers leaves
        the machine, and the questions are those of a marker table. Each request is a call more.
        For a model elsewhere it needs ``allow_upload``.
    evidence_columns
        Columns of the metadata that it may ask for too: their values by cluster, as percentages.
        None: no column.
    remarks
        What a person remarks about clusters: ``{"3": "No plasma cells: sorted before."}``. It is
        in the question of this cluster alone, which is asked again where it was answered before.
        :func:`cellferry.reannotate` does this for one cluster.
    timeout
        Seconds that one call may take.

    Raises
    ------
    InvalidOptionError, DependencyError

    Notes
    -----
    A cluster's answer is reused by a later run of the same ``output_name`` if its own
    question is the same. The other clusters, which are only contrast, do not count.

    Examples
    --------
    >>> LLM(provider="http://localhost:11434/v1", model="qwen3")
    LLM(provider='openai', model='qwen3', base_url='http://localhost:11434/v1')
    """

    name = ENGINE
    variables = key_variables()

    def __init__(
        self,
        *,
        provider: str = "openrouter",
        model: str | None = None,
        base_url: str | None = None,
        api_key: str | Secret | None = None,
        api_key_env: str | None = None,
        llm_configs: object = None,
        output_name: str | None = None,
        overwrite_files: bool = False,
        n_genes: int = 50,
        ranking_method: str = "avg_log2FC",
        ascending: bool | None = None,
        additional_info: str | None = None,
        temperature: float | None = 0,
        reasoning: str | None = None,
        model_settings: Mapping[str, object] | None = None,
        validator_involvement: str = "v1",
        max_workers: int = 4,
        max_retries: int = 1,
        max_cost_usd: float | None = None,
        max_tokens: int | None = None,
        prices: Mapping[str, float] | None = None,
        output_mode: str = "auto",
        other_clusters: bool = True,
        evidence_rounds: int = 0,
        evidence_columns: Sequence[str] | None = None,
        remarks: Mapping[str, Sequence[str] | str] | None = None,
        timeout: float = 180,
    ) -> None:
        # Before anything can fail: a traceback may show what is in this frame.
        hidden = wrapped({"api_key": api_key, "llm_configs": llm_configs})
        api_key, llm_configs = hidden["api_key"], hidden["llm_configs"]  # type: ignore[assignment]
        given = {name: v for name, v in locals().items() if name not in {"self", "hidden"}}
        self._settings = Settings.checked(given)
        for found in self._settings.endpoints:
            check_packages(found.provider)
        self._settings.check_prices()
        self._made: tuple[Study, dict[str, Question]] | None = None
        self._only: str | None = None

    def __repr__(self) -> str:
        settings = getattr(self, "_settings", None)
        if settings is None:
            # One whose options were refused, as a traceback shows it.
            return "LLM(...)"
        e = settings.annotator
        where = "" if e.base_url is None else f", base_url={e.base_url!r}"
        return f"LLM(provider={e.provider!r}, model={e.model!r}{where})"

    @property
    def capabilities(self) -> Capabilities:
        """Markers go to the host of the model; to this machine itself nothing is sent."""
        hosts = dict.fromkeys(e.host for e in self._settings.endpoints if e.host is not None)
        asks, columns = self._settings.evidence_rounds > 0, self._settings.evidence_columns
        sends = {"markers", *(["expression"] * asks), *(["metadata"] * (asks and bool(columns)))}
        return Capabilities(
            uses=frozenset({"normalized", *(["obs"] * bool(columns))} if asks else ()),
            sends=frozenset(sends if hosts else ()),
            host=" and ".join(hosts) or None,
        )

    def describe(self) -> Mapping[str, object]:
        """Return the options but for keys, from which the same engine can be made again."""
        return self._settings.describe()

    @property
    def folder(self) -> Path | None:
        """Where the run is kept: beside the files, if there are any."""
        name = self._settings.output_name
        return None if name is None else run_folder(name)

    def prepare(self) -> None:
        """Check keys and paths, so that nothing is missing after the first call was paid.

        Raises
        ------
        CredentialsRequiredError, OutputError
        """
        self._keys()
        if self._settings.output_name is not None:
            check_files(self._settings.output_name, overwrite=self._settings.overwrite_files)

    def _keys(self) -> tuple[Secret | None, ...]:
        return tuple(e.key() for e in self._settings.endpoints)

    def plan(self, study: Study) -> Plan:
        """Return calls, tokens and estimated cost without a call: the dry run."""
        questions, n = self._questions(study), len(study.clusters.names)
        self._evidence(study, questions)
        return make_plan(questions, n, self._settings, self.folder)

    def _questions(self, study: Study) -> dict[str, Question]:
        """Return the questions about a study; the plan and the run need the same."""
        if self._made is None or self._made[0] is not study:
            self._made = (study, self._new_questions(study))
        return self._made[1]

    def with_remark(self, cluster: str, remark: str, *, label: str | None, evidence: bool) -> LLM:
        """Return the engine that asks one cluster again with one more remark, and no other."""
        s = self._settings
        said = as_remark(label, remark)
        remarks = {**s.remarks, cluster: (*s.remarks.get(cluster, ()), said)}
        again = copy.copy(self)
        again._settings = replace(
            s, remarks=remarks, evidence_rounds=s.evidence_rounds if evidence else 0
        )
        again._made, again._only = None, cluster
        return again

    def _new_questions(self, study: Study) -> dict[str, Question]:
        s = self._settings
        unknown = [c for c in s.remarks if c not in study.clusters.names]
        if unknown:
            message = f"`remarks` names {listing(unknown)}, which is no cluster."
            hint = f"Clusters: {listing(study.clusters.names)}."
            raise InvalidOptionError(message, hint, option="remarks")
        chosen = study.require("markers", self.name).select(
            s.ranking_method, ascending=s.ascending, n_genes=s.n_genes
        )
        determining = {
            "version": VERSION,
            "models": [e.determining() for e in s.endpoints],
            "validator_involvement": s.validator_involvement,
            "other_clusters": s.other_clusters,
            **evidence_determining(s.evidence_rounds, s.evidence_columns, study.fingerprint()),
        }
        return make_questions(
            study,
            chosen,
            ranking_method=s.ranking_method,
            additional_info=s.additional_info,
            others=s.other_clusters,
            settings=determining,
            remarks=s.remarks,
        )

    def run(self, study: Study, run: Run, events: Events) -> Annotations:
        """Answer every cluster; what the journal knows is not asked again."""
        keys = self._keys()
        try:
            return self._run(study, run, events, keys)
        except CellferryError as error:
            error.message = redact(error.message)
            raise

    def _run(
        self, study: Study, run: Run, events: Events, keys: tuple[Secret | None, ...]
    ) -> Annotations:
        from .batch import Batch

        questions = self._questions(study)
        evidence = self._evidence(study, questions)
        finished = run.finished()
        known = {c: finished[q.key] for c, q in questions.items() if q.key in finished}
        names = study.clusters.names
        done = len(known) + len(names) - len(questions)
        events.emit("progress", done=done, total=len(names))
        batch = Batch(self._settings, keys, run, events, len(names), done, dict(known), evidence)
        batch.answer(
            {c: q for c, q in questions.items() if c not in known and self._only in {None, c}}
        )
        rows = []
        for name in names:
            if name in batch.payloads:
                row = Annotation.from_dict(batch.payloads[name]["annotation"])
                rows.append(replace(row, cluster=name))
            else:
                rows.append(self._skipped(name, name in questions, batch.stopped, study))
        provenance = {
            "engine_version": VERSION,
            "prompts": PROMPT_VERSION,
            "to_be_asked": [
                r.cluster for r in rows
                if r.status == "failed" or (r.status == "skipped" and r.cluster in questions)
            ],
        }  # fmt: skip
        kept = {name: p["evidence"] for name, p in batch.payloads.items()}
        return Annotations(tuple(rows), kept, provenance)

    def _evidence(self, study: Study, questions: Mapping[str, Question]) -> Evidence | None:
        """Return what the model may have looked up; raises :class:`EngineNeedsError`."""
        s = self._settings
        if not s.evidence_rounds:
            return None
        from .evidence import Evidence

        found = lookup_of(study)
        if found is None:
            study.require("normalized", self.name)
            study.require("cells", self.name)
        assert found is not None
        if study.obs is not None:
            unknown = [c for c in s.evidence_columns if c not in study.obs.columns]
            if unknown:
                message = f"The metadata have no column {listing(unknown)}."
                valid = listing([str(c) for c in study.obs.columns])
                hint = f"Valid for `evidence_columns`: {valid}."
                raise InvalidOptionError(message, hint, option="evidence_columns")
        contrast = tuple(questions) if s.other_clusters else ()
        return Evidence(found, s.evidence_rounds, s.evidence_columns, contrast)

    def _skipped(
        self, cluster: str, has_question: bool, stopped: str | None, study: Study
    ) -> Annotation:
        if has_question:
            error = f"Not asked: {stopped} was reached. Resuming the run goes on."
        elif study.markers is not None and cluster in study.markers.clusters:
            error = (
                "No gene passes the filter: adjusted p-value < 0.05, avg_log2FC > 0.25, in at "
                "least 10 % of the cluster's cells."
            )
        else:
            error = "The marker table has no rows for this cluster."
        e = self._settings.annotator
        return Annotation(
            cluster, "skipped", error=error, engine=ENGINE, model=e.model, provider=e.provider
        )

    @property
    def files(self) -> list[Path]:
        """The three files of ``output_name``, if one was given."""
        name = self._settings.output_name
        return [] if name is None else list(output_files(name).values())

    def write_files(self, found: Annotations, study: Study, run: Run) -> None:
        """Write the three files of ``output_name``, if one was given."""
        if self._settings.output_name is not None:
            write_files(self._settings.output_name, found, study, run)
