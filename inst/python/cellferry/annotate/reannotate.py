"""One cluster asked again, with what a person remarks about its answer.

Everything else stays: the other rows, the markers, the run. What the cluster was called before
is kept beside its new answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..annotations.clusters import Annotations
from ..engines.base import (
    AnyEngine,
    Capabilities,
    Engine,
    Plan,
    Prepares,
    TakesRemarks,
    WritesFiles,
)
from ..engines.service.secrets import wrapped
from ..errors import (
    CellferryError,
    EngineNeedsError,
    InvalidOptionError,
    RunMismatchError,
    ServiceError,
    in_language,
    listing,
    nearest,
)
from ..runs.lock import held
from ..runs.run import Run
from ..study.lookup import lookup_of
from ..study.options import text
from . import verb
from .checks import check_consent

if TYPE_CHECKING:
    import anndata

    from ..annotations.clusters import Annotation
    from ..files import Json
    from ..runs.worker import Events
    from ..study.study import Study


def reannotate(
    data: anndata.AnnData | Annotations | str | os.PathLike[str],
    cluster: str,
    remark: str,
    *,
    key: str | None = None,
    overwrite: bool = False,
    allow_upload: bool = False,
    progress: bool = True,
    **options: object,
) -> Annotations:
    """Ask a language model, or a CyteType service, about one cluster again, with your remark.

    The question is the earlier one with the remark, which is sent to the host of the model or
    service and kept in the run. All other clusters keep their answers and cost nothing. Where the
    cluster gets no answer, the earlier one stays. What it was called before is in
    ``found.evidence[cluster]["earlier"]``.

    Parameters
    ----------
    data
        The AnnData that was annotated, which is labelled in place; or the annotations; or the id
        or folder of the run, see ``cellferry runs list``.
    cluster
        Its name.
    remark
        What the answer missed, in a sentence or two.
    key
        Of an AnnData: the label column that is meant; None is the newest.
    overwrite
        Replace columns of these names that cellferry did not write.
    allow_upload
        Consent to another host than that of the run.
    progress
        Show a progress bar on a terminal or in a notebook.
    **options
        Options of the engine that no run records: ``api_key``; of CyteType ``auth_token``.

    Returns
    -------
    Annotations
        All clusters, with the new answer.

    Raises
    ------
    EngineNeedsError
        The engine of the run takes no remarks: only language models and CyteType do.
    InvalidOptionError
        There is no such cluster, or no remark.
    ServiceError
        The cluster got no answer; nothing is changed.
    RunNotFoundError, RunMismatchError, CredentialsRequiredError

    Examples
    --------
    >>> import cellferry
    >>> found = cellferry.annotate_clusters({"a": ["CD79A", "MS4A1", "CD79B"]})
    >>> reannotate(found, "a", "Sorted for plasma cells.")
    Traceback (most recent call last):
        ...
    cellferry.errors.EngineNeedsError: The engine "local" takes no remarks: it asks no model...
    """
    from ..annotations import delivery
    from ..annotations.labelling.objects import attach
    from ..annotations.stored import read_annotations
    from ..runs.progress import progress_events
    from .request import AnnotateRequest, is_anndata

    options = wrapped(options)
    if not is_anndata(data):
        run = Run.open(_run_of(data) if isinstance(data, Annotations) else data)
        with progress_events(show=progress, title="Annotating clusters") as on_event:
            return ask_again(
                run, cluster, remark, options=options, allow_upload=allow_upload, on_event=on_event
            )
    run = Run.open(_run_of(read_annotations(data, key)))
    request = AnnotateRequest(
        data,
        verb.engine_of(run, options),
        delivery.DEFAULT_KEYS["clusters"] if key is None else key,
        overwrite=overwrite,
        allow_upload=allow_upload,
    ).of_run(run)
    study = request.study()
    with progress_events(show=progress, title="Annotating clusters") as on_event:
        found = ask_again(
            run,
            cluster,
            remark,
            study=study,
            engine=request.engine,
            allow_upload=allow_upload,
            on_event=on_event,
        )
    made = attach(data, found, study.clusters, request.key)
    assert isinstance(made, Annotations)
    return made


def _run_of(found: Annotations) -> str:
    run = found.provenance.get("run")
    if not run:
        message = "These annotations do not say which run they are of."
        raise InvalidOptionError(message, "Annotate again, or give the id of the run.")
    return str(run)


def ask_again(
    run: Run,
    cluster: str,
    remark: str,
    *,
    study: Study | None = None,
    engine: AnyEngine | None = None,
    options: Mapping[str, object] | None = None,
    allow_upload: bool = False,
    on_event: verb.OnEvent | None = None,
) -> Annotations:
    """Ask about one cluster of a run again; see :func:`reannotate`.

    Parameters
    ----------
    run
        Of clusters, with an answer.
    cluster, remark
        What is asked again, and with which words of a person.
    study
        The object it was made from. Without it nothing is looked up in its expression.
    engine
        The engine of the run, where it is made already.
    options
        Options that no run records, such as ``{"api_key": ...}``.
    allow_upload
        Consent to another host than that of the run.
    on_event
        Called in this thread for each event of the engine.
    """
    if verb.level_of_run(run) == "cells":
        message = f'The run "{run.id}" is about cells, and a remark is about a cluster.'
        raise RunMismatchError(message, 'Annotate the clusters with engine="llm" first.')
    said = text("remark", remark).strip()
    chosen = engine or verb.engine_of(run, options)
    if not isinstance(chosen, TakesRemarks):
        message = f'The engine "{chosen.name}" takes no remarks: it asks no model that reads them.'
        hint = in_language(
            python='Annotate with a language model: engine="llm".',
            r='Annotate with a language model: engine = LLMEngine("openai", "gpt-5").',
            cli="Annotate with a language model: --engine llm.",
        )
        raise EngineNeedsError(message, hint)
    with held(run.folder):
        run.reload()
        before = run.answer()
        names = [row.cluster for row in before]
        if cluster not in names:
            guess = nearest(str(cluster), names)
            message = f'There is no cluster "{cluster}" in the run "{run.id}".'
            meant = f'Did you mean "{guess}"? ' if guess else ""
            raise InvalidOptionError(message, f"{meant}Clusters: {listing(names)}.")
        verb.check_same(run, study)
        old = before[cluster]
        measured = study is not None and lookup_of(study) is not None
        again = _Again(
            chosen.with_remark(cluster, said, label=old.label, evidence=measured),
            before,
            cluster,
            said,
        )
        ready, planned = verb.prepared(run, study, again)
        allowed = verb.is_allowed(run, again, allow_upload=allow_upload)
        check_consent(again, planned, allow_upload=allowed)
        again.prepare()
        kept = {name: run.content.get(name) for name in ("options", "status", "error")}
        options = again.describe()
        if "remarks" in options:
            run.update(options={**run.needed("options"), "remarks": options["remarks"]})
        try:
            return verb.execute(run, ready, again, on_event)
        except CellferryError:
            run.update(**kept)
            raise


@dataclass
class _Again:
    """An engine that asks one cluster, and leaves all other rows as they were."""

    engine: AnyEngine
    before: Annotations
    cluster: str
    remark: str

    def __post_init__(self) -> None:
        self.name = self.engine.name

    @property
    def capabilities(self) -> Capabilities:
        return self.engine.capabilities

    def describe(self) -> Mapping[str, object]:
        return self.engine.describe()

    def plan(self, study: Study) -> Plan:
        return self.engine.plan(study)

    def prepare(self) -> None:
        if isinstance(self.engine, Prepares):
            self.engine.prepare()

    def run(self, study: Study, run: Run, events: Events) -> Annotations:
        engine: Engine[Annotations] = self.engine  # type: ignore[assignment]
        found = engine.run(study, run, events)
        new = found[self.cluster]
        if new.status in {"failed", "skipped"}:
            message = (
                f'Cluster "{self.cluster}" got no answer: {new.error or "no reason is known."}'
            )
            raise ServiceError(message, "Its earlier answer is kept. Try again.", run=run.id)
        rows = tuple(new if n == self.cluster else self.before[n] for n in study.clusters.names)
        evidence = {**self.before.evidence, self.cluster: self._evidence(found, self.before)}
        left = [c for c in self.before.provenance.get("to_be_asked") or () if c != self.cluster]
        return Annotations(rows, evidence, {**found.provenance, "to_be_asked": left})

    def _evidence(self, found: Annotations, before: Annotations) -> dict[str, Json]:
        known = before.evidence.get(self.cluster) or {}
        earlier = [*(known.get("earlier") or []), _short(before[self.cluster], self.remark)]
        return {**(found.evidence.get(self.cluster) or {}), "earlier": earlier}

    @property
    def folder(self) -> Path | None:
        return self.engine.folder if isinstance(self.engine, WritesFiles) else None

    @property
    def files(self) -> list[Path]:
        return self.engine.files if isinstance(self.engine, WritesFiles) else []

    def write_files(self, found: Annotations, study: Study, run: Run) -> None:
        if isinstance(self.engine, WritesFiles):
            self.engine.write_files(found, study, run)


def _short(row: Annotation, remark: str) -> dict[str, Json]:
    """Return what is kept of an answer that was asked again, with the remark about it."""
    return {
        "label": row.label,
        "ontology_id": row.ontology_id,
        "status": row.status,
        "confidence": row.confidence,
        "justification": row.justification,
        "remark": remark,
    }
