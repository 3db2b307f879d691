"""What R may ask for: one function for each call of :mod:`cellferry.bridge`.

Every function takes the decoded request, the outgoing buffers and the receiver of events,
and returns plain data. Handles of open studies live here until R annotates or discards.
"""

from __future__ import annotations

import json
import logging
import platform
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import annotate as verb
from . import delivery, wire
from ._version import __version__
from .annotations import COLUMNS, PRINTED, Annotations
from .checks import check_consent, genes_to_compare
from .doctor import installed_versions
from .engines import ENGINES, Engine, Prepares, create_engine, engine_options
from .engines.llm.keys import key_variables
from .errors import InternalError, error_codes, warning_codes
from .expression import BlockSource
from .markers import read_markers
from .runs import Run, list_runs
from .study import Clusters, Context, Study

Message = dict[str, Any]
OnEvent = Callable[[bytearray], Any]


@dataclass
class _Open:
    """A study on its way from R."""

    study: Study
    engine: Engine
    allow_upload: bool
    provenance: dict[str, Any]
    normalized: BlockSource | None = None
    owned: list[str] = field(default_factory=list)


_open: dict[str, _Open] = {}


def _describe(_request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    return {
        "version": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "engines": {name: engine_options(name) for name in ENGINES},
        "key_variables": key_variables(),
        "errors": error_codes(),
        "warnings": warning_codes(),
        "columns": COLUMNS,
        "printed": list(PRINTED),
        "suffixes": list(delivery.COLUMN_SOURCES),
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


def _request_engine(request: Message) -> Engine:
    return create_engine(request["engine"]["name"], request["engine"]["options"])


def _check_request(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    engine = _request_engine(request)
    check_consent(engine, None, allow_upload=bool(request.get("allow_upload")))
    if isinstance(engine, Prepares) and not request.get("resumed"):
        engine.prepare()
    replaced = _check_key(request)
    if replaced:
        logging.getLogger("cellferry").info("Replacing the columns %s.", ", ".join(replaced))
    return {
        "needs": sorted(engine.capabilities.needs),
        "uses": sorted(engine.capabilities.uses),
    }


def _check_key(request: Message) -> list[str]:
    key = request["key"]
    return delivery.check_key(
        key,
        request.get("existing") or [],
        delivery.owned_columns((request.get("stored") or {}).get(key)),
        overwrite=bool(request.get("overwrite")),
        reserved=request.get("reserved"),
    )


def _study(sent: Message) -> Study:
    codes = sent.get("codes")
    cells = sent.get("cells")
    coordinates = sent.get("coordinates")
    genes = sent.get("genes")
    markers = sent.get("markers")
    return Study(
        clusters=Clusters(tuple(sent["names"]), codes),
        group_key=sent.get("group_key"),
        cells=None if cells is None else tuple(cells),
        genes=None if genes is None else tuple(genes),
        markers=None if markers is None else read_markers(wire.frame_from_wire(markers)),
        coordinates=None
        if coordinates is None
        # R stores a matrix by columns.
        else (coordinates["name"], coordinates["values"].reshape(2, -1).T),
        context=Context(sent.get("tissue"), sent.get("species"), sent.get("study_context") or ""),
    )


def _study_begin(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    engine = _request_engine(request)
    replaced = _check_key(request)
    study = _study(request["study"])
    wanted = _genes_wanted(study, engine)
    handle = secrets.token_hex(8)
    _open[handle] = _Open(
        study,
        engine,
        bool(request.get("allow_upload")),
        {
            "key": request["key"],
            "object": request["study"].get("object"),
            "group_column": request["study"].get("group_column"),
            "parameters": request.get("parameters") or {},
        },
        None if wanted is None or study.cells is None else BlockSource(len(study.cells), wanted),
        replaced,
    )
    return {"handle": handle, "normalized": wanted, "clusters": list(study.clusters.names)}


def _genes_wanted(study: Study, engine: Engine) -> list[str] | None:
    """Return the genes whose expression R should send: to compare, and what the engine reads."""
    if study.cells is None or study.genes is None:
        return None
    capabilities = engine.capabilities
    wanted: dict[str, None] = {}
    if "normalized" in capabilities.needs | capabilities.uses:
        wanted.update(dict.fromkeys(capabilities.genes or study.genes))
    if study.markers is not None:
        wanted.update(dict.fromkeys(genes_to_compare(study.markers, study.clusters)))
    present = set(study.genes)
    return [g for g in wanted if g in present] or None


def _block(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    source = _open[request["handle"]].normalized
    if source is None:
        message = "No expression was asked for."
        raise InternalError(message)
    source.append(int(request["row_start"]), request["indptr"], request["indices"], request["data"])
    return {"rows": source.rows_received}


def _annotate(request: Message, out: wire.Outgoing, on_event: OnEvent | None) -> Message:
    opened = _open.pop(request["handle"])
    study = opened.study
    if opened.normalized is not None:
        if opened.normalized.rows_received != opened.normalized.shape[0]:
            message = "Fewer rows of expression arrived than there are cells."
            raise InternalError(message)
        study = study.with_parts(normalized=opened.normalized)
    found = verb.annotate(
        study,
        opened.engine,
        allow_upload=opened.allow_upload,
        provenance=opened.provenance,
        on_event=_sender(on_event),
    )
    return _results(found, out, opened.owned)


def _sender(on_event: OnEvent | None) -> verb.OnEvent | None:
    if on_event is None:
        return None

    def send(event: Any) -> None:
        on_event(bytearray(json.dumps(event.to_dict(), ensure_ascii=False).encode()))

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
    return {"discarded": _open.pop(request["handle"], None) is not None}


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
    study = None if sent is None else _study(dict(sent))
    found = verb.resume(
        request["run"], study, secrets=request.get("secrets"), on_event=_sender(on_event)
    )
    return _results(found, out)


def _read_annotations(request: Message, out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    return _results(Annotations.from_json(request["json"]), out)


def _report(request: Message, _out: wire.Outgoing, _on_event: OnEvent | None) -> Message:
    from .report import Embedding, write_report

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
    "block": _block,
    "check_request": _check_request,
    "describe": _describe,
    "discard": _discard,
    "read_annotations": _read_annotations,
    "read_markers": _read_markers,
    "report": _report,
    "run_resume": _run_resume,
    "run_results": _run_results,
    "run_show": _run_show,
    "runs_list": _runs_list,
    "study_begin": _study_begin,
}
