"""The Cell Atlas engine: a service that answers every cell of a sparse matrix.

``gene_check`` and ``quality`` look before anything is sent, ``payload`` makes the chunks,
``sending`` brings them there and keeps the answers in the run, ``calls`` reads the answers.
The service may be the hosted one or ``cellferry serve``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from ...annotations.cells import FAILED, SKIPPED, CellAnnotations
from ...annotations.clusters import UNKNOWN
from ...annotations.texts import Texts, spread
from ...errors import InternalError
from ..base import Capabilities, Extent, Plan
from ..service.addresses import check_address, is_loopback
from ..service.secrets import Secret, find_secret
from .options import ADDRESS_VARIABLE, HOSTED, KEY_VARIABLE, Options, checked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.expression.source import ExpressionSource
    from ...study.markers.table import Markers
    from ...study.study import Study
    from ..service.client import Retries
    from .quality import Quality
    from .sending import Answered

NAME = "cellatlas"
BYTES_PER_COUNT, BYTES_PER_VALUE = 8, 17
"""Of one stored value in the JSON, for the plan."""


class CellAtlas:
    """Annotate cells with a service that speaks the Cell Atlas API.

    Expression is sent to the service; on a host that is not this machine that needs
    ``allow_upload``.

    Parameters
    ----------
    api_url
        Whole address of the annotation endpoint. None: the environment variable
        ``CELLATLAS_API_URL``, else the hosted service.
    api_key
        Sent as ``Authorization: Bearer``. None: the environment variable
        ``CELLATLAS_API_KEY``. Never stored. This machine needs none.
    model, reference_atlas
        As the service knows them.
    timeout
        Seconds: longest silence of the service, and longest time of one chunk.
    chunk_size
        Most cells of a request, at most 100,000. Chunks end earlier where they reach
        ``chunk_bytes``.
    chunk_bytes
        About how many bytes of JSON a request may have.
    parallel
        Requests at once; so many chunks, and one more, are in memory.
    compress
        Whether requests are gzipped. None: once the service has said that it takes that
        (response header ``Accept-Encoding``, RFC 7694), and never to this machine.
    values
        ``"auto"``: raw counts where the object has them (a third of the bytes), else
        log-normalised values. ``"counts"`` or ``"normalized"`` insists.
    qc
        What is done about empty droplets, dying cells and doublets before the call:
        ``"warn"``, ``"filter"`` (they are not sent and get no label), ``"off"``.
    min_counts, max_mitochondrial
        A cell with fewer counts is an empty droplet; one with a larger share (0..1) of
        mitochondrial counts is dying. Published limits are 0.1 to 0.2, by tissue. Where near-empty
        barcodes are there, those with few counts are tested against them too.
    doublets
        ``"column"``: what a column of the object says (Scrublet's, scDblFinder's,
        DoubletFinder's). ``"compute"``: where there is none a score is computed from raw counts
        by Scrublet, if scanpy is installed; the run keeps it as ``doublet_scores.json``. Cells
        of several samples should be scored sample by sample, before. Doublets are reported;
        only ``qc="filter"`` leaves them out.
    markers_path, embedding_path
        Where the service has marker export and embedding, for :func:`cellferry.export_markers`
        and :func:`cellferry.embed_cells`. None: beside ``annotate``, as on ``cellferry serve``;
        those of the hosted service are not public.

    Raises
    ------
    InvalidOptionError

    Examples
    --------
    >>> engine = CellAtlas(api_url="http://127.0.0.1:8000/v1/singlecell/annotate")
    >>> engine.describe()["model"], engine.capabilities.host
    ('geneformer', None)
    """

    name = NAME
    variables = (ADDRESS_VARIABLE, KEY_VARIABLE)

    def __init__(
        self,
        *,
        api_url: str | None = None,
        api_key: str | Secret | None = None,
        model: str = "geneformer",
        reference_atlas: str = "human-core-2026",
        timeout: float = 300,
        chunk_size: int = 50_000,
        chunk_bytes: int = 24 * 1024**2,
        parallel: int = 2,
        compress: bool | None = None,
        values: str = "auto",
        qc: str = "warn",
        min_counts: int = 200,
        max_mitochondrial: float = 0.2,
        doublets: str = "column",
        markers_path: str | None = None,
        embedding_path: str | None = None,
    ) -> None:
        given = {k: v for k, v in locals().items() if k in Options.__dataclass_fields__}
        given["api_url"] = check_address(api_url or os.environ.get(ADDRESS_VARIABLE) or HOSTED)
        self.options = checked(Options(**given))
        self._key = find_secret(api_key, "api_key", KEY_VARIABLE)
        self.retries: Retries | None = None
        self._looked: tuple[Study, Quality | None, dict[str, object]] | None = None

    def __repr__(self) -> str:
        # Also of one whose options were refused, as a traceback shows it.
        options = getattr(self, "options", None)
        return f"<CellAtlas engine at {getattr(options, 'api_url', 'no address yet')}>"

    @property
    def capabilities(self) -> Capabilities:
        """It answers cells from expression, which is sent to the service.

        The hosted service is said to have companion endpoints, whose paths and bodies are not
        public: they are asked where the options or ``cellferry serve`` have them.
        """
        host = urlsplit(self.options.api_url).hostname
        away = not is_loopback(host)
        values = self.options.values
        wanted = ("counts", "normalized") if values == "auto" else (values,)
        return Capabilities(
            answers=frozenset({"cells"}),
            needs=frozenset({"cells"}),
            uses=frozenset({*wanted, "obs"}),
            one_of=wanted,
            sends=frozenset({"expression"}) if away else frozenset(),
            host=host if away else None,
            companions=("embedding extraction", "marker-gene export"),
        )

    def describe(self) -> Mapping[str, object]:
        """Return the options without the key."""
        return self.options.describe()

    def plan(self, study: Study) -> Plan:
        """Look at genes and quality, and say how much would be sent, without a call.

        Raises
        ------
        GeneIdentifiersError, EngineNeedsError
        """
        source, counts = self._source(study)
        quality, _ = self._look(study)
        values = source.stored_values
        if values is None:
            values = sum(int(block.nnz) for _, block in source)
        n_cells = source.shape[0] if quality is None else len(quality.reasons)
        return self._plan(n_cells, len(study.clusters.names), values, counts=counts)

    def estimate(self, extent: Extent) -> Plan:
        """Return about what would be sent of an object that was not read yet.

        Unless ``values`` says otherwise it is taken to have counts.
        """
        counts = self.options.values != "normalized"
        return self._plan(extent.cells, 0, extent.values, counts=counts)

    def _plan(self, n_cells: int, n_clusters: int, values: int, *, counts: bool) -> Plan:
        size = values * (BYTES_PER_COUNT if counts else BYTES_PER_VALUE)
        by_cells = -(-n_cells // self.options.chunk_size)
        return Plan(
            self.name,
            n_clusters,
            cells=n_cells,
            calls=max(by_cells, -(-size // self.options.chunk_bytes)),
            bytes_sent=size,
            cost_usd=None if self.capabilities.host else 0.0,
            notes=("About: the chunks are not encoded for a plan.",),
        )

    def prepare(self) -> None:
        """Raise :class:`CredentialsRequiredError` if another machine is asked without a key."""
        host = self.capabilities.host
        needed = None if host is None else f"The service at {host}"
        find_secret(self._key, "api_key", KEY_VARIABLE, required_for=needed, host=host)

    def run(self, study: Study, run: Run, events: Events) -> CellAnnotations:
        """Send every chunk that the run does not have yet, and join the answers."""
        from ..service.client import Service
        from .payload import Encoder
        from .sending import Sender

        options = self.options
        source, counts = self._source(study)
        quality, genes = self._look(study, quiet=True)
        cells: tuple[str, ...] = study.require("cells", self.name)
        keep = quality.good if quality is not None and options.qc == "filter" else None
        if quality is not None and quality.doublet_scores is not None:
            scores = np.round(quality.doublet_scores, 4).tolist()
            run.store("doublet_scores.json", dict(zip(cells, scores, strict=True)))
        encoder = Encoder(
            source.genes,
            model=options.model,
            reference_atlas=options.reference_atlas,
            counts=counts,
            chunk_bytes=options.chunk_bytes,
            chunk_cells=options.chunk_size,
        )
        with Service(
            options.api_url,
            token=self._key,
            events=events,
            read_seconds=options.timeout,
            retries=self.retries,
        ) as service:
            sender = Sender(service, run, events, options.parallel, options.compress)
            answered = sender.send(encoder.chunks(source, keep), cells)
        found = _merged(answered, cells, quality if keep is not None else None)
        evidence: dict[str, object] = {"genes": genes, "chunks": len(answered)}
        if quality is not None:
            evidence["quality"] = {**quality.numbers, "action": options.qc}
        provenance = {
            "api_url": options.api_url,
            "read": "counts" if counts else "normalized",
            "chunks_sent": sender.sent,
        }
        return replace(
            found, model=options.model, provider=urlsplit(options.api_url).hostname,
            evidence=evidence, provenance=provenance,
        )  # fmt: skip

    def marker_genes(self, study: Study, run: Run, events: Events) -> Markers:
        """Send all cells and their labels at once, and return the marker genes of each label.

        Raises
        ------
        EngineNeedsError, InvalidOptionError, ServiceError
        """
        from .companions import check_markers, labels_of, markers_of

        more = {"labels": labels_of(study)}
        (answered,) = self._companion(
            study, run, events, ("markers_path", "markers"), check_markers, more=more
        )
        return markers_of(answered.answer())

    def embedding(self, study: Study, run: Run, events: Events) -> NDArray[np.float32]:
        """Send every chunk that the run does not have yet; return cells x dimensions.

        Raises
        ------
        InvalidOptionError, ServiceError
        """
        from .companions import check_embedding, joined, rows_of

        answered = self._companion(study, run, events, ("embedding_path", "embed"), check_embedding)
        return joined([rows_of(chunk.answer(), len(chunk.rows)) for chunk in answered])

    def _companion(
        self,
        study: Study,
        run: Run,
        events: Events,
        where: tuple[str, str],
        check: Callable[[object, int], object],
        *,
        more: Mapping[str, object] | None = None,
    ) -> list[Answered]:
        """Send all cells to another endpoint: in chunks, or at once where there is ``more``."""
        from ..service.client import Service
        from .options import companion_address
        from .payload import MOST_CELLS, Encoder
        from .sending import Sender

        options = self.options
        source, counts = self._source(study)
        cells: tuple[str, ...] = study.require("cells", self.name)
        whole = more is not None
        encoder = Encoder(
            source.genes,
            model=options.model,
            reference_atlas=options.reference_atlas,
            counts=counts,
            chunk_bytes=2**62 if whole else options.chunk_bytes,
            chunk_cells=MOST_CELLS if whole else options.chunk_size,
            more=more,
        )
        with Service(
            companion_address(options, *where),
            token=self._key,
            events=events,
            read_seconds=options.timeout,
            retries=self.retries,
        ) as service:
            sender = Sender(
                service,
                run,
                events,
                options.parallel,
                options.compress,
                check=check,
                halves=not whole,
            )
            return sender.send(encoder.chunks(source), cells)

    def _source(self, study: Study) -> tuple[ExpressionSource, bool]:
        wanted = self.options.values
        counts = wanted == "counts" or (wanted == "auto" and study.counts is not None)
        source: ExpressionSource = study.require("counts" if counts else "normalized", self.name)
        return source, counts

    def _look(
        self, study: Study, *, quiet: bool = False
    ) -> tuple[Quality | None, dict[str, object]]:
        """Return quality and genes of a study; looked at once, and warned of once."""
        from .quality import check_genes, measure

        if self._looked is None or self._looked[0] is not study:
            source, counts = self._source(study)
            genes = check_genes(source.genes, study.context.species)
            quality = None
            if self.options.qc != "off":
                quality = measure(
                    source,
                    study.obs,
                    counts=counts,
                    min_counts=self.options.min_counts,
                    max_mitochondrial=self.options.max_mitochondrial,
                    compute_doublets=self.options.doublets == "compute",
                )
            self._looked = (study, quality, genes)
            if quality is not None and not quiet:
                quality.warn(filtered=self.options.qc == "filter")
        return self._looked[1], self._looked[2]


def _merged(
    answered: Sequence[Answered], cells: tuple[str, ...], quality: Quality | None
) -> CellAnnotations:
    """Join the answers of all chunks; every cell that was sent has exactly one."""
    from ...biology.ontology import cell_ontology
    from .calls import NO_LABEL, Calls, check_answer, columns_of

    n = len(cells)
    expected = np.arange(n) if quality is None else np.flatnonzero(quality.good)
    parts, rows = [], [np.zeros(0, dtype=np.intp)]
    for chunk in answered:
        parts.append(columns_of(check_answer(chunk.answer(), len(chunk.rows))))
        rows.append(chunk.rows)
    at: NDArray[np.intp] = np.concatenate(rows)
    if not np.array_equal(at, expected):
        message = "The chunks do not have every cell exactly once."
        raise InternalError(message)
    calls = Calls.joined(parts)
    label, status = np.full(n, -1, np.int32), np.full(n, SKIPPED, np.uint8)
    confidence = np.full(n, np.nan)
    label[at], status[at], confidence[at] = calls.label.codes, calls.status, calls.confidence
    errors = Texts.none(n) if quality is None else Texts.of(quality.reasons)
    if np.any(status == FAILED):
        reasons = errors.values()
        reasons[status == FAILED] = NO_LABEL
        errors = Texts.of(reasons.tolist())
    terms = {x: cell_ontology().find(x) for x in calls.label.levels if x != UNKNOWN}
    return CellAnnotations(
        cells,
        Texts(calls.label.levels, label),
        status,
        confidence,
        Texts.none(n),
        errors,
        spread(calls.alternatives, at, n),
        spread(calls.supporting, at, n),
        confidence_kind="stated",
        engine=NAME,
        ontology={x: (m.term.id, m.term.label) for x, m in terms.items() if m is not None},
    )
