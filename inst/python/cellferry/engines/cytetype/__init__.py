"""The CyteType engine: a job of a service that speaks the CyteType protocol.

``prepare`` makes the payload and the artifacts, ``uploads`` brings the artifacts to the
service, ``job`` submits and follows, ``answer`` reads the results. The service may be the
hosted one or ``cellferry serve``.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...annotations.clusters import Annotations
from ...errors import CellferryError, ServiceNotFoundError
from ..base import USUAL_SPARSITY, Capabilities, Extent, Plan
from ..service.addresses import is_loopback
from ..service.llm_configs import LLMConfigs
from ..service.providers import key_variables
from ..service.secrets import Secret, find_secret, redacted, wrapped
from .options import ADDRESS_VARIABLE, TOKEN_VARIABLE, Options, checked

if TYPE_CHECKING:
    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.study import Study
    from ..service.client import Retries, Service
    from .job import Job
    from .prepare import Prepared

NAME = "cytetype"
BYTES_PER_VALUE = 5
"""Of a stored value in vars.h5, compressed; for the plan."""
LATE_LOOKS, LATE_SECONDS = 5, 2.0
"""How often, and after which pauses, results that are the old ones are looked at again."""


class CyteType:
    """Annotate clusters with a service that speaks the CyteType protocol.

    Expression, metadata and markers are sent to the service; on a host that is not this
    machine that needs ``allow_upload``.

    Parameters
    ----------
    api_url
        Address of the service. None: the environment variable ``CYTETYPE_API_URL``, else the
        hosted service.
    auth_token
        Sent as ``Authorization: Bearer``. None: the environment variable
        ``CYTETYPE_AUTH_TOKEN``. Never stored.
    llm_configs
        Models that the service is to use: records with ``provider``, ``name``, and where
        needed ``apiKey``, ``baseUrl``, ``modelSettings``, ``targetAgents``. A key that is
        missing is taken from the provider's environment variable. Keys are never stored.
    metadata
        Names and values that the report shows; links stay links, and None is left out.
    n_parallel_clusters
        Clusters annotated at once, 1 to 50.
    visibility
        Who may see the job: ``"private"``, ``"org"``, ``"public"``; None leaves it to the
        service.
    rank_key, gene_symbols_column, coordinates_key
        For an AnnData: the ranking in ``uns``, the column of ``var`` with symbols (None looks
        for it), the embedding in ``obsm``.
    n_top_genes
        Markers per cluster.
    aggregate_metadata, min_percentage, max_metadata_categories
        Whether the composition of clusters by metadata is sent; of values that more than this
        percentage of cells have, in columns with at most so many values.
    pcent_batch_size
        Most cells that are read at once.
    max_cells_per_group
        Cells of each cluster whose coordinates are sent.
    obs_columns
        The only metadata columns that may leave; None is all.
    vars_h5_path, obs_duckdb_path
        Where the artifacts are written: a bare name in the folder of the run, a path as it is.
    upload_timeout_seconds, upload_max_workers
        Longest silence of the service during an upload; parts uploaded at once.
    cleanup_artifacts
        Delete the artifacts when the run has finished or failed.
    require_artifacts
        Whether it is an error if an artifact cannot be built or uploaded. False goes on
        without: the report then has no expression or metadata to look up.
    save_query, query_filename
        Whether and where the payload is kept as JSON; a key is never in it.
    poll_interval_seconds, timeout_seconds
        Longest pause between two looks at the job; longest wait for it.
    overwrite_files
        Whether files of these names that cellferry did not write are replaced.

    Raises
    ------
    InvalidOptionError

    Examples
    --------
    >>> engine = CyteType(api_url="http://127.0.0.1:8000", n_top_genes=30)
    >>> engine.describe()["n_top_genes"], engine.capabilities.host
    (30, None)
    """

    name = NAME
    variables = (ADDRESS_VARIABLE, TOKEN_VARIABLE, *key_variables())

    def __init__(
        self,
        *,
        api_url: str | None = None,
        auth_token: str | Secret | None = None,
        llm_configs: Mapping[str, object] | Sequence[Mapping[str, object]] | None = None,
        metadata: Mapping[str, object] | None = None,
        n_parallel_clusters: int = 2,
        visibility: str | None = None,
        rank_key: str = "rank_genes_groups",
        gene_symbols_column: str | None = None,
        n_top_genes: int = 50,
        aggregate_metadata: bool = True,
        min_percentage: int = 10,
        max_metadata_categories: int = 500,
        pcent_batch_size: int = 2000,
        coordinates_key: str = "X_umap",
        max_cells_per_group: int = 1000,
        obs_columns: Sequence[str] | None = None,
        vars_h5_path: str = "vars.h5",
        obs_duckdb_path: str = "obs.duckdb",
        upload_timeout_seconds: float = 3600,
        upload_max_workers: int = 4,
        cleanup_artifacts: bool = False,
        require_artifacts: bool = True,
        save_query: bool = True,
        query_filename: str = "query.json",
        poll_interval_seconds: float = 30,
        timeout_seconds: float = 7200,
        overwrite_files: bool = False,
    ) -> None:
        # Before anything can fail: a traceback may show what is in this frame.
        hidden = wrapped({"auth_token": auth_token, "llm_configs": llm_configs})
        auth_token, llm_configs = hidden["auth_token"], hidden["llm_configs"]  # type: ignore[assignment]
        given = {k: v for k, v in locals().items() if k in Options.__dataclass_fields__}
        self.options = checked(Options(**given))
        self._models = LLMConfigs(llm_configs)
        self._token = find_secret(auth_token, "auth_token", TOKEN_VARIABLE)
        self.retries: Retries | None = None
        self._again: tuple[str, str] | None = None

    def __repr__(self) -> str:
        # Also of one whose options were refused, as a traceback shows it.
        options = getattr(self, "options", None)
        where = None if options is None else options.api_url
        return f"<CyteType engine at {where or 'the usual address'}>"

    @property
    def capabilities(self) -> Capabilities:
        """It answers clusters; everything it reads is sent to the service."""
        from urllib.parse import urlsplit

        from ...study.build import Reading

        host = urlsplit(self.options.address).hostname
        away = not is_loopback(host)
        reading = Reading(
            rank_key=self.options.rank_key,
            coordinates_key=self.options.coordinates_key,
            symbols=True,
            gene_symbols_column=self.options.gene_symbols_column,
        )
        return Capabilities(
            uses=frozenset({"normalized", "counts", "obs", "var", "coordinates"}),
            sends=frozenset({"markers", "expression", "metadata"}) if away else frozenset(),
            host=host if away else None,
            reading=reading,
        )

    def describe(self) -> Mapping[str, object]:
        """Return the options without any secret; the keys of models are left out."""
        return {**self.options.describe(), "llm_configs": self._models.describe()}

    def plan(self, study: Study) -> Plan:
        """Return about how many bytes would be sent, and which metadata columns."""
        study.require("markers", self.name)
        extent = Extent(
            0 if study.cells is None else len(study.cells),
            0 if study.normalized is None else study.normalized.shape[1],
            () if study.obs is None else tuple(map(str, study.obs.columns)),
        )
        values = _stored_values(study)
        return self._plan(extent, len(study.clusters.names), values, study.group_key)

    def estimate(self, extent: Extent) -> Plan:
        """Return about what would be sent of an object that was not read yet."""
        return self._plan(extent, 0, extent.values, None)

    def _plan(self, extent: Extent, clusters: int, values: int, group_key: str | None) -> Plan:
        allowed = self.options.obs_columns
        columns = tuple(
            c for c in extent.columns if allowed is None or c in allowed or c == group_key
        )
        payload = extent.genes * (12 + 12 * clusters)
        metadata = extent.cells * (20 + 4 * len(columns))
        return Plan(
            self.name,
            clusters,
            calls=3,
            bytes_sent=payload + values * BYTES_PER_VALUE + metadata,
            cost_usd=None if self.capabilities.host else 0.0,
            columns=columns,
            notes=("About: the artifacts are not built for a plan.",),
        )

    def run(self, study: Study, run: Run, events: Events) -> Annotations:
        """Prepare, upload, submit, follow, fetch; each step is skipped if it was done before."""
        from .prepare import clean_up, prepare

        self._check_secrets(run)
        if self._again is not None:
            return self._asked_again(*self._again, study, run, events)
        prepared = prepare(study, run, self.options, events)
        try:
            found = self._asked(prepared, study, run, events)
        except CellferryError:
            if self.options.cleanup_artifacts:
                clean_up(prepared)
            raise
        if self.options.cleanup_artifacts:
            clean_up(prepared)
        return found

    def with_remark(
        self, cluster: str, remark: str, *, label: str | None, evidence: bool
    ) -> CyteType:
        """Return the engine that has the service ask one cluster of its job again."""
        del label, evidence  # the service has both
        again = copy.copy(self)
        again._again = (cluster, remark.strip())
        return again

    def _check_secrets(self, run: Run) -> None:
        """A run that used a token needs one again: ask before anything is sent."""
        if run.content.get("with_token"):
            find_secret(
                self._token,
                "auth_token",
                TOKEN_VARIABLE,
                required_for=f'The run "{run.id}"',
            )
        elif self._token is not None:
            run.update(with_token=True)
        if run.content["remote_job_id"] is None:
            self._models.wire()

    def _key(self, prepared: Prepared) -> str:
        """Return a hash of all that the job depends on: one of the same is not submitted again."""
        return _sha256([prepared.key, self._models.describe(), self.options.visibility])

    def _asked(self, prepared: Prepared, study: Study, run: Run, events: Events) -> Annotations:
        from .job import Submission
        from .uploads import Uploader

        options = self.options
        with self._service(run, events) as service:
            job = self._job(service, run, events)
            uploader = Uploader(
                service,
                run,
                events,
                workers=options.upload_max_workers,
                seconds=options.upload_timeout_seconds,
            )
            request = Submission(prepared, uploader, options, self._models).envelope
            labels = prepared.payload["clusterLabels"]

            def submit() -> bool:
                return job.submit(request, self._key(prepared), may_reuse=bool(prepared.artifacts))

            def follow() -> dict[str, str]:
                return job.follow(labels, lambda: job.renew(self._models.wire))

            taken_up = submit() if job.id is None else False
            try:
                states = follow()
            except ServiceNotFoundError:
                if not taken_up:
                    raise
                # The service has dropped what an earlier command had submitted.
                job.forget()
                submit()
                states = follow()
            with_markers = {labels[i] for i in prepared.payload["markerGenes"]}
            return _answer(job, service, states, study, with_markers)

    def _asked_again(
        self, cluster: str, remark: str, study: Study, run: Run, events: Events
    ) -> Annotations:
        """Have one cluster of the job asked again; a failure leaves the job of the run."""
        from .payload import ClusterIds

        known = {name: run.content.get(name) for name in ("remote_job_id", "attempt")}
        ids = ClusterIds.of(study.clusters.names)
        labels = {own: name for name, own in ids.by_cluster.items()}
        with self._service(run, events) as service:
            job = self._job(service, run, events)
            if job.id is None:
                message = f'The run "{run.id}" has no job at the service any more.'
                raise ServiceNotFoundError(message, "Annotate again.")
            try:
                before = job.results()["annotations"]
                job.ask_again(ids.by_cluster[cluster], remark, self._models.wire())
                states = job.follow(labels, lambda: job.renew(self._models.wire))
                for _ in range(LATE_LOOKS):
                    if job.results()["annotations"] != before:
                        break
                    # It may say for a moment that the job is finished as it was before.
                    events.wait(LATE_SECONDS)
                    states = job.follow(labels, lambda: job.renew(self._models.wire))
                return _answer(job, service, states, study, set(study.clusters.names))
            except CellferryError:
                run.update(**{k: v for k, v in known.items() if v is not None})
                raise

    def _service(self, run: Run, events: Events) -> Service:
        from ..service.client import Service

        address = (run.content.get("remote") or {}).get("api_url", self.options.address)
        return Service(address, token=self._token, events=events, retries=self.retries)

    def _job(self, service: Service, run: Run, events: Events) -> Job:
        from .job import Job

        return Job(
            service,
            run,
            events,
            poll_seconds=self.options.poll_interval_seconds,
            timeout_seconds=self.options.timeout_seconds,
        )


def _answer(
    job: Job, service: Service, states: Mapping[str, str], study: Study, with_markers: set[str]
) -> Annotations:
    """Return what the service answered, a row for each cluster, and keep it in the run."""
    from .answer import rows_of
    from .payload import ClusterIds

    # A service may repeat what it was sent, keys included.
    results = redacted(job.results())
    job.keep(results)
    if "failed" in states.values():
        job.let_go()
    ids = ClusterIds.of(study.clusters.names)
    rows, evidence = rows_of(results, states, study.clusters.names, ids, with_markers)
    others = {k: v for k, v in results.items() if k != "annotations"}
    annotated = results["annotations"]
    own = annotated if isinstance(annotated, Mapping) else {}
    unexpected = [i for i in own if ids.cluster(i) is None and i not in ids.by_cluster]
    provenance = {
        "job": job.id,
        "api_url": service.address,
        "report_url": job.report_url,
        "service": {**others, "unexpected_clusters": unexpected},
    }
    return Annotations(rows, evidence, provenance)


def _sha256(content: object) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _stored_values(study: Study) -> int:
    source = study.normalized
    if source is None:
        return 0
    known = source.stored_values
    return source.shape[0] * source.shape[1] // USUAL_SPARSITY if known is None else known
