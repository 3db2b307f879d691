"""What R may ask for: one function for each call of :mod:`cellferry.bridge`.

Every function takes the decoded request, the outgoing buffers and the function of R that may be
called meanwhile, and returns plain data. What it opens for R is in
:mod:`cellferry.bridge.handles`.
"""

from __future__ import annotations

import importlib
import platform
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .._version import __version__, called_from_r
from ..annotate import verb
from ..annotate.files import as_path, check_output, opened_input, write_object
from ..annotate.request import AnnotateRequest
from ..annotations.cells import CellAnnotations
from ..annotations.clusters import Annotations
from ..annotations.delivery import DEFAULT_KEYS
from ..engines import (
    engine_options,
    engine_records,
    environment_variables,
    option_records,
    plain_default,
)
from ..engines.base import Plan
from ..errors import EngineUnusableError, InternalError, UnknownEngineError
from ..runs import Run, delete_runs, list_runs, prune_runs
from ..runs.worker import at_work
from ..study.clustering import Numbers, check_clustering
from ..study.clusters import Clusters
from ..study.inputs.kinds import file_kind
from ..study.markers.read import read_markers
from ..study.markers.table import Markers
from ..study.study import Context, Study
from . import wire
from .callbacks import Callback, ask_by, notify
from .handles import drop, keep, kept, take
from .installation import installed_versions
from .requests import Request, engine_of, merged_parts, merged_source, open_request
from .results import counted_annotations, described, embedding, label_markers, results
from .studies import Incoming, OpenStudy, describe_parts, study_from_wire
from .wire import Message

if TYPE_CHECKING:
    from ..engines.base import Engine
    from ..study.markers.read import Source


def _describe(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Say what there is; R says with it what it is, which goes into every record."""
    called_from_r(message.get("versions") or {})
    return {
        "version": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "dependencies": installed_versions(),
    }


def _engine(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return the options of one engine at a level, and the variables that it reads.

    Each is imported when it is asked for: together they take longer than labels of a table. Options
    are None where there is no such engine, or it cannot be loaded: who asks it says why.
    """
    name, level = str(message["name"]), message["level"]
    try:
        options = {k: plain_default(v) for k, v in engine_options(name, level).items()}
    except (UnknownEngineError, EngineUnusableError):
        return {"options": None, "variables": []}
    return {"options": options, "variables": environment_variables(name, level)}


def _check_clustering(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Refuse values of a column of R that are no clusters; see :mod:`..study.clustering`."""
    numbers = message.get("numbers")
    markers = message.get("markers")
    known = () if markers is None else kept(markers, Markers).clusters
    names = tuple(message["names"])
    sizes = tuple(int(n) for n in message["sizes"])
    check_clustering(
        Clusters(names, sizes=sizes),
        message["key"],
        None if numbers is None else Numbers(numbers["fraction"], float(numbers["largest"])),
        known=known,
        candidates=lambda: list(message["candidates"]),
    )
    return {}


def _known(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return what the embedded engine knows, its tissues or its cell types; or the engines."""
    from ..engines.local.knowledge.known import cell_type_records, tissue_records

    records: Sequence[Mapping[str, str | int]]
    if message["what"] == "tissues":
        records = tissue_records()
    elif message["what"] == "engines":
        records = engine_records()
    elif message["what"] == "options":
        records = option_records(message["engine"])
    else:
        records = cell_type_records(message.get("tissue"), message.get("species"))
    names = list(records[0]) if records else ["answers", "option", "default"]
    columns = [
        out.column(name, "integer" if name == "cell_types" else "text", [r[name] for r in records])
        for name in names
    ]
    return {"frame": out.frame(columns, len(records))}


def _read_markers(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Read a table and keep it; R gets a handle, and what it may want to know of the table."""
    markers = read_markers(
        _marker_source(message),
        cluster_column=message.get("cluster_column"),
        gene_column=message.get("gene_column"),
    )
    sizes = Counter(markers.cluster.tolist())
    return {
        "handle": keep(markers),
        "clusters": list(markers.clusters),
        "sizes": [sizes[code] for code in range(len(markers.clusters))],
        "ranking_methods": list(markers.ranking_methods),
        "source": markers.source,
    }


def _marker_frame(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return a table that was read as a data frame, and close it."""
    markers = take(message["handle"], Markers)
    frame = markers.to_frame()
    columns = [
        out.column("cluster", "category", [str(c) for c in frame[name]], markers.clusters)
        if name == "cluster"
        else out.column(str(name), "text" if name == "gene" else "real", frame[name].tolist())
        for name in frame.columns
    ]
    return {"frame": out.frame(columns, len(frame))}


def _file_kind(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Say what a file is, so that R can read what R reads."""
    kind = file_kind(message["path"])
    return {"name": kind.name, "what": kind.what, "is_of_r": kind.is_of_r}


def _annotate_file(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    """Annotate what is in a file that R does not read, and write it where it is wanted.

    With a run, what is in it is the object of that run, which is gone on with.
    """
    handle = message.get("markers")
    run = None if message.get("run") is None else Run.open(message["run"])
    request = AnnotateRequest(
        as_path(message["path"]),
        engine_of(message, run),
        message.get("key") or DEFAULT_KEYS["clusters"],
        None if handle is None else take(handle, Markers),
        message.get("group_key"),
        Context(message.get("tissue"), message.get("species"), message.get("study_context") or ""),
        bool(message.get("overwrite")),
        bool(message.get("allow_upload")),
        levels=bool(message.get("levels")),
        within=message.get("within"),
        key_given=message.get("key") is not None,
    )
    if run is not None:
        request = request.of_run(run)
    output = None if message.get("output") is None else Path(message["output"])
    if message.get("engines") is not None:
        from ..annotate.agreement.several import annotate_by_several

        engines = {
            str(name): cast("Engine[Annotations]", engine_of({**message, "engine": engine}, None))
            for name, engine in message["engines"].items()
        }
        agreed = annotate_by_several(
            engines, request, (), {}, dry_run=bool(message.get("dry_run")), output=output,
            progress=lambda _title: nullcontext(_notifier(callback)),
        )  # fmt: skip
        if isinstance(agreed, Plan):
            return {**asdict(agreed), "text": str(agreed)}
        return results(agreed, None, out)
    with opened_input(request) as opened:
        if message.get("dry_run"):
            plan = verb.plan(opened.study, request.engine)
            return {**asdict(plan), "text": str(plan)}
        if output is not None:
            check_output(output, opened, overwrite=request.overwrite)
        provenance = {**opened.provenance, "parameters": message.get("parameters") or {}}
        found: Annotations | CellAnnotations
        if run is None:
            found = verb.annotate(
                opened.study,
                request.engine,
                allow_upload=request.allow_upload,
                provenance=provenance,
                on_event=_notifier(callback),
            )
        else:
            found = verb.resume(
                run,
                opened.study,
                engine=request.engine,
                allow_upload=request.allow_upload,
                on_event=_notifier(callback),
            )
        if output is not None and opened.object is not None:
            opened.object.deliver(found)
            write_object(opened.object, output)
    return results(found.summary(), None, out)


def _artifacts_file(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Build the artifacts of an object in a file that R does not read."""
    from ..artifacts import build_artifacts
    from . import builds

    built = build_artifacts(
        message["path"],
        group_key=message.get("group_key"),
        coordinates_key=message.get("coordinates_key") or "X_umap",
        progress=False,
        scheduler=message.get("scheduler"),
        resume=message.get("resume"),
        **message["options"],
    )
    return builds.described(built, None, out)


def _annotations_file(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return the annotations of an object in a file that R does not read."""
    from ..annotations.labelled import labelled
    from ..annotations.stored import read_annotations, stored_annotations

    adata, key = labelled(message["path"]), message.get("key")
    if key is None:
        found = stored_annotations(adata, of_clusters=bool(message.get("of_clusters")))
        key = found.provenance.get("key")
    found = read_annotations(adata, key)
    return {"json": found.to_json(), "key": key, "note": found.provenance.get("note")}


def _study_report(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return the report of a file that R does not read."""
    from ..study.inventory import study_report

    frame = study_report(message["path"], assay=message.get("assay"))
    columns = [out.column(str(name), "text", frame[name].astype(str).tolist()) for name in frame]
    return {"frame": out.frame(columns, len(frame))}


def _marker_source(message: Message) -> Source:
    if message.get("path") is not None:
        return Path(message["path"])
    if message.get("lists") is not None:
        lists = message["lists"]
        return dict(zip(lists["names"], lists["genes"], strict=True))
    if message.get("frames") is not None:
        sent = message["frames"]
        frames = map(wire.frame_from_wire, sent["frames"])
        return dict(zip(sent["names"], frames, strict=True))
    columns = wire.columns_from_wire(message["frame"])
    return wire.frame_from_wire(message["frame"]) if columns is None else columns


def _request(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    return open_request(message)


def _study_begin(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Open the study of a request, under the handle of the request."""
    handle = message["handle"]
    opened = OpenStudy.of_request(kept(handle, Request), message)
    return {"handle": keep(opened, handle), **opened.to_send()}


def _study_open(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Open a study that is only read."""
    opened = OpenStudy(study_from_wire(message["study"]))
    opened.expect(message["study"], frozenset(message["parts"]))
    return {"handle": keep(opened), **opened.to_send()}


def _study_parts(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    return describe_parts(kept(message["handle"], OpenStudy).complete(), out)


def _block(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    return {"rows": kept(message["handle"], Incoming).append(message)}


def _requested(opened: OpenStudy) -> Request:
    if opened.request is None:
        message = "This study was opened without an engine."
        raise InternalError(message)
    return opened.request


def _plan(message: Message, _out: wire.Outgoing, callback: Callback | None) -> Message:
    opened = take(message["handle"], OpenStudy)
    request = _requested(opened)
    with opened.read_by(None if callback is None else ask_by(callback)) as study:
        plan = verb.plan(opened.with_markers(study, _notifier(callback)), request.engine)
    return {**asdict(plan), "text": str(plan)}


def _annotate(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    opened = take(message["handle"], OpenStudy)
    request = _requested(opened)
    with opened.read_by(None if callback is None else ask_by(callback)) as complete:
        study = opened.with_markers(complete, _notifier(callback))
        found = _annotated(request, study, opened.provenance, _notifier(callback))
    return results(found, study, out, request.previous)


def _annotated(
    request: Request, study: Study, provenance: Message, on_event: verb.OnEvent | None
) -> Annotations | CellAnnotations:
    """Do what was asked for; consent and keys were checked with the request."""
    if request.run is None:
        return verb.annotate(
            study, request.engine, checked=True, provenance=provenance, on_event=on_event
        )
    return verb.resume(request.run, study, engine=request.engine, checked=True, on_event=on_event)


def _notifier(callback: Callback | None) -> verb.OnEvent | None:
    if callback is None:
        return None
    return lambda event: notify(callback, event.to_dict())


def _discard(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    opened = drop(message["handle"])
    if isinstance(opened, Incoming):
        opened.close()
    return {"discarded": opened is not None, "ended": not at_work()}


def _artifacts_begin(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    from ..artifacts import BuildOptions
    from . import builds

    return builds.begin(message, BuildOptions(**message["options"]))


def _artifacts_finish(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    from ..artifacts import warn_of_values
    from . import builds

    built, study = builds.finish(message["handle"], _notifier(callback))
    warn_of_values(built)
    return builds.described(built, study, out)


def _markers_begin(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    from . import markers

    return markers.begin(message)


def _markers_finish(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    from . import markers

    return markers.finish(message["handle"], _notifier(callback), out)


def _markers_file(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    from . import markers

    return markers.of_file(message, _notifier(callback), out)


def _train_reference(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Train on a study that R has sent, or on a file that R does not read; or check the target."""
    from ..engines.reference.train import check_target, train_reference

    overwrite = bool(message.get("overwrite"))
    if message.get("check"):
        check_target(Path(message["file"]), overwrite=overwrite)
        return {}
    data: Any = message.get("path")
    if data is None:
        data = kept(message["handle"], OpenStudy).complete()
    labels = str(message.get("labels"))
    model = train_reference(
        data,
        labels,
        message["file"],
        n_genes=int(message["n_genes"]),
        leave_out=bool(message.get("leave_out")),
        overwrite=overwrite,
        assay=message.get("assay"),
    )
    return {
        "file": message["file"],
        "classes": list(model.classes),
        "genes": len(model.genes),
        "cross_validation": dict(model.about["cross_validation"]),
    }


def _singler_known(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return whether a reference that R has sent is still at hand."""
    from ..engines.singler.reference import is_kept

    return {"known": is_kept(message["name"])}


def _singler_reference(
    message: Message, _out: wire.Outgoing, _callback: Callback | None
) -> Message:
    """Keep a labelled object that R has sent, for the engine ``singler``; return its name."""
    from ..engines.singler.reference import SingleRReference, keep_reference

    reference = SingleRReference.of(
        kept(message["handle"], OpenStudy).complete(),
        message["title"],
        leave_out_unusable=bool(message["leave_out_unusable"]),
        bulk=message.get("de_method") in {None, "classic"},
    )
    return {"name": keep_reference(reference), "de_method": reference.method}


def _pseudobulk(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return the sums of a study that R has sent, or of a file that R does not read."""
    import numpy as np

    from ..artifacts.markers import pseudobulk
    from ..study.pseudobulk import pseudobulk_of

    names = ("sample_key", "columns", "min_cells")
    options = {name: message[name] for name in names}
    if message.get("path") is None:
        found = pseudobulk_of(kept(message["handle"], OpenStudy).complete(), **options)
    else:
        key, assay = message.get("group_key"), message.get("assay")
        found = pseudobulk(message["path"], key, assay=assay, **options)
    frame, _ = out.data_frame(found.samples.reset_index(drop=True))
    return {
        "genes": list(found.genes),
        "names": list(found.samples.index),
        "counts": out.vector(np.ravel(found.counts.astype(np.float64), order="F"), "<f8"),
        "samples": frame,
    }


def _companion(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    """Return marker genes of labels, or numbers of cells, of a study that R has sent."""
    from ..annotate.companions import described, embedding_question, markers_question
    from .requests import engine_of

    engine = engine_of({**message, "level": "cells"})
    allowed = {"allow_upload": bool(message["allow_upload"])}
    study = kept(message["handle"], OpenStudy).complete()
    if message["what"] == "markers":
        markers = markers_question(study, engine, **allowed).answer(_notifier(callback))
        return label_markers(markers, out)
    values = embedding_question(study, engine, **allowed).answer(_notifier(callback))
    return embedding(values, described(engine), out)


def _companion_file(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    """Return the same of a file that R does not read, and write its object where that is wanted."""
    from ..annotate.companions import described, embed, markers_question, opened_cells
    from .requests import engine_of

    engine = engine_of({**message, "level": "cells"})
    path, assay = Path(message["path"]), message.get("assay")
    allowed, on_event = bool(message["allow_upload"]), _notifier(callback)
    if message["what"] == "markers":
        with opened_cells(path, engine, "markers", message.get("group_key"), assay=assay) as cells:
            question = markers_question(cells.study, engine, allow_upload=allowed)
            return label_markers(question.answer(on_event), out)
    found = embed(
        path,
        engine=engine,
        key=f"X_{message['reduction']}",
        assay=assay,
        output=message.get("output"),
        overwrite=bool(message.get("overwrite")),
        allow_upload=allowed,
        progress=False,
        on_event=on_event,
    )
    return {**embedding(found.values, described(engine), out), "cells": list(found.cells)}


def _runs_list(_message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    runs = list_runs()
    columns = {
        "run": [run.id for run in runs],
        "created": [run.content["created"] for run in runs],
        "engine": [run.content["engine"] for run in runs],
        "status": [run.state() for run in runs],
        "key": [run.provenance.get("key") for run in runs],
        "folder": [str(run.folder) for run in runs],
        "tissue": [run.shape()[1] for run in runs],
    }
    made = [out.column(name, "text", values) for name, values in columns.items()]
    cells = [run.shape()[0] for run in runs]
    made += [
        out.column("cells", "real", [None if n is None else float(n) for n in cells]),
        out.column("bytes", "real", [float(run.size()) for run in runs]),
    ]
    return {"frame": out.frame(made, len(runs))}


def _runs_delete(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Delete the runs of these ids, or those that fit what is said."""
    dry_run = bool(message.get("dry_run"))
    if message.get("runs") is not None:
        found = delete_runs(*message["runs"], dry_run=dry_run)
    else:
        found = prune_runs(
            older_than=message.get("older_than"),
            finished=bool(message.get("finished")),
            keep=message.get("keep"),
            dry_run=dry_run,
        )
    made = [
        out.column("run", "text", [gone.run for gone in found]),
        out.column("folder", "text", [str(gone.folder) for gone in found]),
        out.column("bytes", "real", [float(gone.size) for gone in found]),
        out.column("kept", "text", ["; ".join(gone.kept) for gone in found]),
    ]
    return {"frame": out.frame(made, len(found))}


def _run_show(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    run = Run.open(message["run"])
    return {**run.content, "folder": str(run.folder)}


def _run_resume(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    """Finish a run without its object, or return its answer, as a table alone."""
    found = verb.resume(
        Run.open(message["run"]), options=message.get("secrets"), on_event=_notifier(callback)
    )
    return results(found.summary(), None, out)


def _merge(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Put annotated parts into an object; of its columns one row for each cell goes back."""
    made = merged_parts(message)
    answer = described(made.written, message["whole"]["cells"], made.key, out)
    return {**answer, "beside": dict(made.written.beside)}


def _merge_file(message: Message, out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Put annotated parts into the object of a file that R does not read."""
    from ..annotate.merging import merge_annotations

    found = merge_annotations(
        message["path"],
        {str(part["name"]): merged_source(part) for part in message["parts"]},
        add_cell_ids=message.get("ids"),
        key=message.get("key"),
        output=message.get("output"),
        overwrite=bool(message.get("overwrite")),
    )
    return results(found, None, out)


def _stored_keys(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return the keys of the annotations in a file that R does not read."""
    from ..annotate.merging import source_of

    return {"keys": list(source_of("", message["path"]).stored)}


def _run_reannotate(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
    """Ask one cluster of a run again, with a person's remark."""
    from ..annotate.reannotate import ask_again

    found = ask_again(
        Run.open(message["run"]),
        message["cluster"],
        message["remark"],
        options=message.get("secrets"),
        allow_upload=bool(message.get("allow_upload")),
        on_event=_notifier(callback),
    )
    return results(found, None, out)


def _groups(message: Message) -> Clusters:
    return Clusters(tuple(message["names"]), message["codes"])


def _report(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Write the report of an object in a file that R does not read, or of a table alone."""
    from ..annotations.report import REPORT_MB, check_report_file, write_report

    if message.get("path") is not None:
        from ..annotate.pages import annotation_report

        written = annotation_report(
            message["path"],
            message["file"],
            message.get("key"),
            coordinates_key=message.get("coordinates_key"),
            obs_columns=message.get("obs_columns") or (),
            expression=bool(message.get("expression", True)),
            cell_values=bool(message.get("cell_values", True)),
            report_mb=float(message.get("report_mb") or REPORT_MB),
            overwrite=bool(message.get("overwrite")),
            progress=False,
        )
        return {"file": str(written)}
    check_report_file(message["file"], overwrite=bool(message.get("overwrite")))
    path = write_report(
        counted_annotations(message), Path(message["file"]), title=message.get("title")
    )
    return {"file": str(path)}


def _page_begin(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    from . import builds

    return builds.begin_page(message)


def _page_finish(message: Message, _out: wire.Outgoing, callback: Callback | None) -> Message:
    from . import builds

    return builds.finish_page(message, _notifier(callback))


def _review(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Open the live page of a file that R does not read; without one, say whether it can be."""
    from ..annotate.review import open_review, process

    process.check_installed()
    if message.get("path") is None:
        return {}
    page = open_review(
        message["path"],
        message.get("key"),
        coordinates_key=message.get("coordinates_key"),
        progress=False,
    )
    return {"folder": str(page.folder), "address": page.address, "pid": page.pid, "key": page.key}


def _label_colors(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    """Return labels in lineage order with their colours, and the record where it was changed."""
    from ..annotations.label_colors import keep_colors, ordered_colors, with_colors

    record = message.get("json")
    own = message.get("own")
    if record is not None and own is not None:
        record = with_colors(record, dict(zip(own["labels"], own["colors"], strict=True)))
    if record is not None:
        record = keep_colors(record, message.get("before"))
    found = ordered_colors(record, message.get("labels"), dark=bool(message.get("dark")))
    return {
        "labels": list(found),
        "colors": list(found.values()),
        "json": record,
    }


def _write(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    from ..annotations.write import sample_counts, write_annotations, write_tables
    from ..annotations.write.deposits import DEPOSITS
    from .labels.deposits import deposited

    samples, overwrite = None, bool(message.get("overwrite"))
    if message.get("path") is not None:
        files = write_annotations(
            message["path"],
            message["file"],
            message.get("format"),
            key=message.get("key"),
            sample_key=message.get("sample_key"),
            overwrite=overwrite,
            title=message.get("title"),
            author=message.get("author"),
        )
        return {"files": [str(path) for path in files]}
    if message.get("format") in DEPOSITS:
        return {"files": [str(deposited(counted_annotations(message), message))]}
    if message.get("sample_key") is not None:
        labels, of_cells = _groups(message["labels"]), _groups(message["samples"])
        samples = sample_counts(labels, of_cells, message["sample_key"])
    written = write_tables(
        counted_annotations(message),
        message["file"],
        message.get("format"),
        samples=samples,
        overwrite=overwrite,
    )
    return {"files": [str(path) for path in written]}


def _methods(message: Message, _out: wire.Outgoing, _callback: Callback | None) -> Message:
    from ..annotations.write import methods_text

    return {"text": methods_text(counted_annotations(message))}


def _of(module: str, function: str) -> Callable[..., Message]:
    """Return a call of another module, which is imported when it is first asked for."""

    def call(message: Message, out: wire.Outgoing, callback: Callback | None) -> Message:
        found = getattr(importlib.import_module(f"{__package__}.labels.{module}"), function)
        answer: Message = found(message, out, callback)
        return answer

    return call


CALLS: dict[str, Callable[[Message, wire.Outgoing, Callback | None], Message]] = {
    "annotate": _annotate,
    "annotate_file": _annotate_file,
    "annotations_file": _annotations_file,
    "artifacts_begin": _artifacts_begin,
    "artifacts_file": _artifacts_file,
    "artifacts_finish": _artifacts_finish,
    "apply_decisions": _of("decisions", "apply"),
    "block": _block,
    "companion": _companion,
    "companion_file": _companion_file,
    "carry_decisions": _of("decisions", "carry"),
    "agreement_columns": _of("agreement", "columns"),
    "check_clustering": _check_clustering,
    "compare": _of("agreement", "compare"),
    "engine": _engine,
    "consensus": _of("agreement", "consensus"),
    "consensus_file": _of("agreement", "of_file"),
    "consensus_tables": _of("agreement", "tables"),
    "decisions": _of("decisions", "decisions"),
    "decisions_file": _of("decisions", "read_file"),
    "describe": _describe,
    "discard": _discard,
    "file_kind": _file_kind,
    "known": _known,
    "label_colors": _label_colors,
    "marker_frame": _marker_frame,
    "markers_begin": _markers_begin,
    "markers_file": _markers_file,
    "markers_finish": _markers_finish,
    "merge": _merge,
    "methods": _methods,
    "merge_file": _merge_file,
    "page_begin": _page_begin,
    "page_finish": _page_finish,
    "plan": _plan,
    "pseudobulk": _pseudobulk,
    "singler_known": _singler_known,
    "singler_reference": _singler_reference,
    "train_reference": _train_reference,
    "read_markers": _read_markers,
    "report": _report,
    "request": _request,
    "review": _review,
    "run_reannotate": _run_reannotate,
    "run_resume": _run_resume,
    "run_show": _run_show,
    "runs_delete": _runs_delete,
    "runs_list": _runs_list,
    "set_labels": _of("decisions", "set_labels"),
    "stored_keys": _stored_keys,
    "study_begin": _study_begin,
    "study_open": _study_open,
    "study_report": _study_report,
    "study_parts": _study_parts,
    "withdraw_decision": _of("decisions", "withdraw"),
    "write": _write,
}
