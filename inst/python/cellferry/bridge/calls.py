"""What R may ask for: one function for each call of :mod:`cellferry.bridge`.

Every function takes the decoded request, the outgoing buffers and the receiver of events,
and returns plain data. Open studies live in :mod:`cellferry.bridge.studies`.
"""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .._version import __version__
from ..annotate import verb
from ..annotate.cells import resume_cells
from ..annotate.checks import check_consent
from ..annotate.clusters import plan_clusters
from ..annotations import delivery
from ..annotations.cells import CellAnnotations
from ..annotations.clusters import COLUMNS, Annotations
from ..engines import CELL_ENGINES, ENGINES, ENVIRONMENT, engine_options
from ..engines.base import AnyEngine, Estimates, Extent, Plan, Prepares
from ..engines.llm.keys import key_variables
from ..errors import InternalError
from ..runs.run import Run, list_runs
from ..runs.worker import at_work
from ..study.clusters import Clusters
from ..study.markers.read import read_markers
from ..study.study import Study
from . import wire
from .installation import installed_versions
from .questions import ask_by, tell
from .results import cell_results, engine_asked, level_asked
from .studies import (
    Message,
    OpenStudy,
    close_study,
    describe_parts,
    genes_wanted,
    opened_study,
    parts_to_send,
    study_from_wire,
)

OnEvent = Callable[[bytearray], Any]


def _describe(_request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    return {
        "version": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "engines": {name: engine_options(name) for name in ENGINES},
        "cell_engines": {name: engine_options(name, "cells") for name in CELL_ENGINES},
        "key_variables": sorted({*key_variables(), *ENVIRONMENT}),
        "dependencies": installed_versions(),
    }


def _read_markers(request: Message, out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    markers = read_markers(
        _marker_source(request),
        cluster_column=request.get("cluster_column"),
        gene_column=request.get("gene_column"),
    )
    frame = markers.to_frame()
    columns = [
        out.column("cluster", "category", [str(c) for c in frame[name]], markers.clusters)
        if name == "cluster"
        else out.column(str(name), "text" if name == "gene" else "real", frame[name].tolist())
        for name in frame.columns
    ]
    return {"frame": out.frame(columns, len(frame)), "source": markers.source}


def _marker_source(request: Message) -> Any:
    if request.get("path") is not None:
        return Path(request["path"])
    if request.get("lists") is not None:
        lists = request["lists"]
        return dict(zip(lists["names"], lists["genes"], strict=True))
    return wire.frame_from_wire(request["frame"])


def _check_request(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    engine = engine_asked(request)
    if not request.get("dry_run"):
        # A dry run makes no call: it needs neither consent nor a key.
        plan = plan_unread(engine, request)
        check_consent(engine, plan, allow_upload=bool(request.get("allow_upload")))
        if isinstance(engine, Prepares) and not request.get("resumed"):
            engine.prepare()
    replaced = _check_key(request)
    if replaced:
        logging.getLogger("cellferry").info("Replacing the columns %s.", ", ".join(replaced))
    return {
        "needs": sorted(engine.capabilities.needs),
        "uses": sorted(engine.capabilities.uses),
    }


def plan_unread(engine: AnyEngine[Any], request: Message) -> Plan | None:
    """Return what would be sent of an object of which only the extent is known."""
    told = request.get("extent")
    if told is None or not isinstance(engine, Estimates):
        return None
    columns = tuple(request.get("existing") or ())
    return engine.estimate(Extent(int(told["cells"]), int(told["genes"]), columns))


def _check_key(request: Message) -> list[str]:
    key = request["key"]
    return delivery.check_key(
        key,
        request.get("existing") or [],
        delivery.owned_columns((request.get("stored") or {}).get(key)),
        overwrite=bool(request.get("overwrite")),
        reserved=request.get("reserved"),
        level=level_asked(request),
    )


def _study_begin(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    engine = engine_asked(request)
    replaced = _check_key(request)
    opened = OpenStudy(
        study_from_wire(request["study"]),
        engine,
        bool(request.get("allow_upload")),
        {
            "key": request["key"],
            "object": request["study"].get("object"),
            # The summary of cells has one row per label.
            "group_column": request["key"]
            if level_asked(request) == "cells"
            else request["study"].get("group_column"),
            "parameters": request.get("parameters") or {},
        },
        owned=replaced,
    )
    parts = parts_to_send(engine, request["study"])
    opened.expect(request["study"], parts, genes_wanted(opened.study, engine, parts))
    return opened.keep()


def _study_open(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    opened = OpenStudy(study_from_wire(request["study"]))
    opened.expect(request["study"], frozenset(request["parts"]))
    return opened.keep()


def _study_parts(request: Message, out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    return describe_parts(opened_study(request["handle"]).complete(), out)


def _block(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    return {"rows": opened_study(request["handle"]).append(request)}


def _taken(request: Message) -> OpenStudy:
    """Close the study of a request and return it; it must have been opened for an engine."""
    opened = close_study(request["handle"])
    if opened is None or opened.engine is None:
        message = "This study is not open, or was opened without an engine."
        raise InternalError(message)
    return opened


def _plan(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    opened = _taken(request)
    plan = plan_clusters(opened.complete(), opened.engine)
    return {**asdict(plan), "told": str(plan)}


def _annotate(request: Message, out: wire.Outgoing, on_event: OnEvent | None) -> Message:
    opened = _taken(request)
    opened.pull_by(None if on_event is None else ask_by(on_event))
    try:
        study = opened.complete()
        found = _annotated(opened, study, request.get("run"), _sender(on_event))
    finally:
        opened.pull_by(None)
    if isinstance(found, CellAnnotations):
        return cell_results(found, study, out, opened.owned)
    return _results(found, out, opened.owned)


def _annotated(
    opened: OpenStudy, study: Study, run: str | None, on_event: verb.OnEvent | None
) -> Any:
    if run is not None:
        return resume_cells(
            Run.open(run), study, opened.engine, allow_upload=opened.allow_upload, on_event=on_event
        )
    return verb.annotate(
        study,
        opened.engine,
        allow_upload=opened.allow_upload,
        provenance=opened.provenance,
        on_event=on_event,
    )


def _sender(on_event: OnEvent | None) -> verb.OnEvent | None:
    if on_event is None:
        return None

    def send(event: Any) -> None:
        tell(on_event, event.to_dict())

    return send


def _results(found: Annotations, out: wire.Outgoing, replaced: Sequence[str] = ()) -> Message:
    key = str(found.provenance.get("key") or "cell_type")
    n = len(found)
    table = [out.column(name, kind, found.column(name)) for name, kind in COLUMNS.items()]
    clusters = found.column("cluster")
    delivered = [out.column("cluster", "text", clusters)]
    for column in delivery.columns(found, key):
        values = [column.by_cluster[c] for c in clusters]
        kind = "real" if column.levels is None else "category"
        delivered.append(out.column(column.name, kind, values, column.levels))
    return {
        "run": found.provenance.get("run"),
        "key": key,
        "json": found.to_json(),
        "table": out.frame(table, n),
        "delivery": out.frame(delivered, n),
        "replaced": list(replaced),
        "summary": found.summary_line(),
    }


def _discard(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    opened = close_study(request["handle"])
    if opened is not None:
        opened.close()
    return {"discarded": opened is not None, "ended": not at_work()}


def _artifacts_begin(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    from . import builds as bridge_artifacts

    return bridge_artifacts.begin(request)


def _artifacts_finish(request: Message, out: wire.Outgoing, on_event: OnEvent | None) -> Message:
    from . import builds as bridge_artifacts

    return bridge_artifacts.finish(request, out, _sender(on_event))


def _runs_list(_request: Message, out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    runs = list_runs()
    columns = {
        "run": [run.id for run in runs],
        "created": [run.content["created"] for run in runs],
        "engine": [run.content["engine"] for run in runs],
        "status": [run.content["status"] for run in runs],
        "key": [run.content.get("provenance", {}).get("key") for run in runs],
        "folder": [str(run.folder) for run in runs],
    }
    made = [out.column(name, "text", values) for name, values in columns.items()]
    return {"frame": out.frame(made, len(runs))}


def _run_show(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    run = Run.open(request["run"])
    return {**run.content, "folder": str(run.folder)}


def _run_results(request: Message, out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    return _results(Run.open(request["run"]).results(), out)


def _run_resume(request: Message, out: wire.Outgoing, on_event: OnEvent | None) -> Message:
    sent: Mapping[str, Any] | None = request.get("study")
    study = None if sent is None else study_from_wire(dict(sent))
    found = verb.resume(
        request["run"], study, secrets=request.get("secrets"), on_event=_sender(on_event)
    )
    return _results(found, out)


def _read_annotations(request: Message, out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    return _results(Annotations.from_json(request["json"]), out)


def _report(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    from ..annotations.report import Embedding, write_report

    embedding = None
    if request.get("coordinates") is not None:
        name, values = request["coordinates"]["name"], request["coordinates"]["values"]
        clusters = Clusters(tuple(request["names"]), request["codes"])
        embedding = Embedding(name, values.reshape(2, -1).T, clusters)
    path = write_report(
        Annotations.from_json(request["json"]),
        Path(request["file"]),
        title=request.get("title"),
        embedding=embedding,
    )
    return {"file": str(path)}


CALLS: dict[str, Callable[[Message, wire.Outgoing, OnEvent | None], Message]] = {
    "annotate": _annotate,
    "artifacts_begin": _artifacts_begin,
    "artifacts_finish": _artifacts_finish,
    "block": _block,
    "check_request": _check_request,
    "describe": _describe,
    "discard": _discard,
    "plan": _plan,
    "read_annotations": _read_annotations,
    "read_markers": _read_markers,
    "report": _report,
    "run_resume": _run_resume,
    "run_results": _run_results,
    "run_show": _run_show,
    "runs_list": _runs_list,
    "study_begin": _study_begin,
    "study_open": _study_open,
    "study_parts": _study_parts,
}
