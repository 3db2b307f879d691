"""The study of an .rds file, and the way of its annotations back into the file's object."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from . import delivery, wire
from .annotations import Annotations
from .bridge_calls import CALLS, plan_unread
from .bridge_cells import cell_results
from .bridge_studies import OpenStudy, close_study, genes_wanted, parts_to_send, study_from_wire
from .cell_annotations import CellAnnotations
from .checks import check_consent
from .engines import AnyEngine
from .rds import Handler, Message, RChild, existing_file
from .study import Context, Study

IDENT = "ident"
"""The active identity of a Seurat object, R's default for the clusters."""


def as_from_r(name: str) -> Handler:
    """Return what answers a call of R as in a session."""
    return lambda message, out: CALLS[name](message, out, None)


class RdsObject:
    """A Seurat object or SingleCellExperiment in a file, held by an Rscript child.

    Use as a context manager, and call :meth:`study`, :meth:`deliver` and :meth:`save` in this
    order. The child reads the file once and holds the object until it is saved. Of a study for
    cells it is asked for blocks of the expression whenever that is read, until :meth:`deliver`.

    Parameters
    ----------
    path
        The file.
    engine
        Says which parts of the object are read.
    level
        Whether the answer is about clusters, or about cells: then no markers are read.
    markers
        Path of a marker table; None computes them in R with ``FindAllMarkers()``.
    group_key
        Metadata column with the clusters; None is the active identity.
    key, overwrite, allow_upload
        As in :func:`cellferry.annotate_clusters`.
    context
        What is known of the sample.
    rscript
        Path of Rscript; None finds it.
    """

    def __init__(
        self,
        path: Path,
        engine: AnyEngine[Any],
        *,
        level: delivery.Level = "clusters",
        markers: Path | None = None,
        group_key: str | None = None,
        key: str = "cell_type",
        context: Context | None = None,
        overwrite: bool = False,
        allow_upload: bool = False,
        rscript: str | None = None,
    ) -> None:
        file = existing_file(path)
        self._child = RChild(rscript)
        self._engine, self._level = engine, level
        self._overwrite, self._allow_upload = overwrite, allow_upload
        context = context or Context()
        self._task = {
            "verb": "annotate",
            "input": file,
            "engine": engine.name,
            "level": level,
            "markers": None if markers is None else str(markers.resolve()),
            "group_by": group_key or IDENT,
            "key": key,
            "tissue": context.tissue,
            "species": context.species,
            "study_context": context.study_context,
            "overwrite": overwrite,
            "allow_upload": allow_upload,
        }
        self._handle = ""
        self.provenance: dict[str, Any] = {}

    def __enter__(self) -> RdsObject:
        self._child.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        close_study(self._handle)
        self._child.__exit__(kind, value, traceback)

    def study(self) -> Study:
        """Let R read the object, compute markers if none are given, and send both."""
        handlers = {
            "task": lambda _message, _out: self._task,
            "check_request": self._check,
            "read_markers": as_from_r("read_markers"),
            "study_begin": self._begin,
            "block": as_from_r("block"),
        }
        self._child.serve(handlers, until="annotate")
        opened = close_study(self._handle)
        assert opened is not None
        opened.pull_by(self._child.ask)
        self._study = opened.complete()
        return self._study

    def deliver(self, found: Annotations | CellAnnotations) -> None:
        """Let R write the labels into its object."""
        out = wire.Outgoing()
        if isinstance(found, CellAnnotations):
            answer = cell_results(found, self._study, out)
        else:
            answer = CALLS["read_annotations"]({"json": found.to_json()}, out, None)
        self._child.answer(answer, out)
        self._child.serve({}, until="save")

    def save(self, path: Path) -> None:
        """Let R write its object to a file, and end the child."""
        self._child.answer({"path": str(path.resolve())})
        self._child.serve({}, until="saved")
        self._child.answer(None)
        self._child.wait()

    def _check(self, message: Message, _out: wire.Outgoing) -> Message:
        plan = plan_unread(self._engine, message)
        check_consent(self._engine, plan, allow_upload=self._allow_upload)
        delivery.check_key(
            message["key"],
            message.get("existing") or [],
            delivery.owned_columns((message.get("stored") or {}).get(message["key"])),
            overwrite=self._overwrite,
            reserved=message.get("reserved"),
            level=self._level,
        )
        capabilities = self._engine.capabilities
        return {"needs": sorted(capabilities.needs), "uses": sorted(capabilities.uses)}

    def _begin(self, message: Message, _out: wire.Outgoing) -> Message:
        sent = message["study"]
        opened = OpenStudy(study_from_wire(sent))
        parts = parts_to_send(self._engine, sent)
        opened.expect(sent, parts, genes_wanted(opened.study, self._engine, parts))
        begun = opened.keep()
        self._handle = begun["handle"]
        self.provenance = {
            "key": message["key"],
            "object": sent.get("object"),
            # The summary of cells has one row per label.
            "group_column": message["key"] if self._level == "cells" else sent.get("group_column"),
            "parameters": message.get("parameters") or {},
        }
        return begun
