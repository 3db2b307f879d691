"""Artifacts and pages of an object of R: its expression is read while it arrives, or in place."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotate.pages import MOST_FEATURES, cells_of, check_columns, figures_of, own_columns
from ..artifacts import Artifacts, Build, BuildOptions
from ..artifacts.inputs import open_inputs
from ..artifacts.marker_sums import BATCH, OF_ANNOTATION, read_genes
from ..runs.reviews import Features, Reviewed, ReviewFolder
from ..runs.worker import Event, Events
from ..study.clusters import Clusters
from ..study.expression.blocks import BlockSource
from ..study.expression.gene_summary import GeneSummary
from . import markers, wire
from .handles import drop, keep, kept
from .results import counted_annotations
from .sources import DiskBackedSource, QueueSource
from .studies import Incoming, OpenReading, study_from_wire
from .wire import Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..annotate.review.build import ReviewBuild
    from ..study.study import Study

DTYPES = {"normalized": np.float32, "counts": np.float64}


@dataclass
class OpenBuild(OpenReading[Artifacts]):
    """Artifacts on their way from R.

    A build that must succeed writes while blocks arrive. One that may go on without a file needs a
    second read for its statistics, so that the blocks are kept first.
    """

    interrupted = "Building the artifacts was interrupted; no unfinished file is left."

    def begin(self, message: Message, options: BuildOptions) -> Message:
        """Check everything, make room, and return what R is to send.

        ``single``: the normalised values as float32, which is what the file has.
        """
        options, sent = options.checked(), message["study"]
        test = replace(OF_ANNOTATION, **(message.get("marker_test") or {}))
        assert self.study.cells is not None
        n_cells = len(self.study.cells)
        for part, genes in (("normalized", sent["genes"]), ("counts", sent.get("counts_genes"))):
            if genes:
                most = options.pcent_batch_size
                shared = self.shared_source(part, n_cells, list(genes), sent, most)
                self.sources[part] = shared or self._source(part, n_cells, genes, options)
        study = self.study.with_parts(**self.sources)
        counts = self.sources.get("counts")
        if counts is not None and counts.genes != self.sources["normalized"].genes:
            # No place in the file: it is not asked for.
            del self.sources["counts"]
        with open_inputs(study, group_key=None, coordinates_key="", rank_key="") as inputs:
            build = Build(inputs, options, test)
        build.check_targets()
        self.start(build.run)
        # A test of markers tells apart what float32 does not.
        return {**self.to_send(), "single": not options.markers}

    def _source(
        self, part: str, n_cells: int, genes: list[str], options: BuildOptions
    ) -> BlockSource:
        if options.require_artifacts:
            most, dtype = options.pcent_batch_size, np.float64 if options.markers else DTYPES[part]
            return QueueSource(n_cells, genes, self.still_read, most=most, dtype=dtype)
        folder = options.targets["vars.h5"].parent
        # The folder may be the very reason why a file can't be built.
        usable = folder if os.access(folder, os.W_OK | os.X_OK) else None
        return DiskBackedSource(
            n_cells, genes, usable, np.float64 if options.markers else DTYPES[part]
        )


def begin(message: Message, options: BuildOptions) -> Message:
    """Open a build and return its handle and what :meth:`OpenBuild.begin` says."""
    build = OpenBuild(study_from_wire(message["study"]))
    begun = build.begin(message, options)
    return {"handle": keep(build), **begun}


def finish(handle: str, on_event: Callable[[Event], None] | None) -> tuple[Artifacts, Study]:
    """Finish the build of a handle; return what was built, and of which study.

    Parameters
    ----------
    handle
        What :func:`begin` returned.
    on_event
        Called in this thread for each event.
    """
    opened = kept(handle, OpenBuild)
    return opened.finish(on_event), opened.study


def described(built: Artifacts, study: Study | None, out: wire.Outgoing) -> Message:
    """Return the statistics as R takes them."""
    summary, places = built.summary, built.counts
    coordinates = summary.coordinates
    return {
        "vars_h5": _path(built.vars_h5),
        "obs_duckdb": _path(built.obs_duckdb),
        "clusters": list(summary.clusters),
        "cells_per_cluster": [summary.cells_per_cluster[c] for c in summary.clusters],
        "genes": list(summary.genes),
        "percentages": out.vector(np.ravel(summary.percentages, order="F"), "<f8"),
        "metadata": summary.metadata,
        "coordinates": None
        if coordinates is None
        else {
            "name": study.coordinates[0] if study and study.coordinates else None,
            "values": out.vector(np.ravel(coordinates.values, order="F"), "<f8"),
            "clusters": list(coordinates.clusters),
        },
        "normalisation": {
            "kind": summary.normalisation.kind,
            "explanation": summary.normalisation.explanation,
        },
        "counts": out.frame(
            [
                out.column("place", "text", [p.name for p in places]),
                out.column("are_counts", "logical", [p.are_counts for p in places]),
                out.column("explanation", "text", [p.explanation for p in places]),
            ],
            len(places),
        ),
        "errors": {name: str(error) for name, error in built.errors.items()},
        "seconds": dict(built.seconds),
        "markers": None if built.markers is None else markers.described(built.markers, out),
    }


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


@dataclass
class OpenPage(OpenReading["GeneSummary | ReviewFolder"]):
    """A page of an object of R, whose expression is on its way: a file, or a live one.

    Attributes
    ----------
    message
        What R asked for.
    reviewed
        What the page shows.
    """

    message: Message | None = None
    reviewed: Reviewed | None = None
    drawn: tuple[int, ...] = ()
    build: ReviewBuild | None = None
    interrupted = "Reading the genes was interrupted; nothing was written."

    def begin(self) -> Message:
        """Begin to read, and return what R is to send."""
        assert self.message is not None
        assert self.reviewed is not None
        live = self.message["what"] == "review"
        if self.build is not None and not self.build.is_needed():
            folder = self.build.folder
            self.work = lambda _events: folder
            return self.to_send()
        sent = self.message.get("study")
        if sent is not None and self.study.cells:
            n_cells, genes = len(self.study.cells), list(sent["genes"])
            shared = self.shared_source("normalized", n_cells, genes, sent, BATCH)
            self.sources["normalized"] = shared or QueueSource(
                n_cells, genes, self.still_read, most=BATCH, dtype=np.float32
            )
        source = self.sources.get("normalized")
        if self.build is not None:
            self.build.source = source
            self.start(self.build.run)
        elif source is not None:
            self.start(self._figures)
        return {**self.to_send(), "single": True, "live": live}

    def _figures(self, events: Events) -> GeneSummary:
        """Read the genes for a page in a file; runs in the worker thread."""
        assert self.message is not None
        assert self.reviewed is not None
        source, clusters = self.sources["normalized"], self.reviewed.cells.clusters
        measured = self.reviewed.measured
        assert clusters.codes is not None
        if measured is not None:
            clusters = Clusters(clusters.names, clusters.codes[measured])
        values = bool(self.message.get("cell_values", True))
        figures, self.drawn = figures_of(
            source.genes,
            self.reviewed.found,
            clusters,
            cell_values=values,
            scale=math.log(self.reviewed.log_base),
        )
        read_genes(source, figures.take, events, "Reading genes")
        found = figures.summary()
        if measured is None or not values:
            return found
        # The page has all cells; those that were not measured show nothing.
        whole = {}
        for gene, one in found.drawn.items():
            codes = np.zeros(self.reviewed.cells.n, dtype=np.uint8)
            assert one.codes is not None
            codes[measured] = one.codes
            whole[gene] = replace(one, codes=codes)
        return replace(found, drawn=whole)


def begin_page(message: Message) -> Message:
    """Open a page and return its handle and what R is to send.

    Parameters
    ----------
    message
        ``what`` ("report" or "review"), the record with the cells of its rows, ``page`` (cells,
        rows, metadata, embeddings, features), and ``study`` with the genes, if they are to be read.

    Raises
    ------
    DependencyError, OutputError, GroupMissingError
    """
    from ..annotations.report import check_report_file

    live = message["what"] == "review"
    if live:
        from ..annotate.review.process import check_installed

        check_installed()
    else:
        check_report_file(message["file"], overwrite=bool(message.get("overwrite")))
    sent = message.get("study")
    study = study_from_wire(sent or {"cells": message["page"]["cells"]})
    reviewed = _reviewed(message, study, live=live)
    opened = OpenPage(study, message=message, reviewed=reviewed)
    if live:
        from ..annotate.review.build import ReviewBuild

        opened.build = ReviewBuild(reviewed)
    begun = opened.begin()
    return {"handle": keep(opened), **begun}


def _reviewed(message: Message, study: Study, *, live: bool) -> Reviewed:
    import pandas as pd

    page, sent = message["page"], message.get("study") or {}
    found, key = counted_annotations(message), str(message["key"])
    names = list(page.get("cells") or study.cells or ())
    obs = wire.frame_from_wire(page["obs"])
    obs.index = pd.Index(names, dtype=object)
    own = own_columns(obs, key)
    wanted = message.get("obs_columns")
    check_columns(obs, wanted or ())
    others = [str(c) for c in obs.columns if str(c) not in own] if live else wanted or []
    embeddings = {e["name"]: e["values"].reshape(2, -1).T for e in page["embeddings"]}
    object_: Any = SimpleNamespace(obs=obs, obsm=embeddings)
    clusters = Clusters(tuple(page["rows"]["names"]), page["rows"]["codes"])
    features = tuple(_features(page.get("features") or ()))
    return Reviewed(
        found,
        key,
        cells_of(object_, clusters, own, [*own, *others], message.get("coordinates_key")),
        tuple(sent.get("genes") or ()),
        page.get("measured"),
        features,
        float((message.get("scale") or {}).get("log_base") or math.e),
    )


def _features(sent: Any) -> list[Features]:
    made = []
    for one in sent:
        names = tuple(one["names"])
        if 0 < len(names) <= MOST_FEATURES:
            values: NDArray[np.float64] = one["values"].reshape(len(names), -1).T
            made.append(Features(str(one["key"]), names, values))
    return made


def finish_page(message: Message, on_event: Callable[[Event], None] | None) -> Message:
    """Finish the page of a handle: write the file, or start the process that serves it.

    Parameters
    ----------
    message
        The handle.
    on_event
        Called in this thread for each event.
    """
    from ..annotate.review import handle_of

    opened = kept(message["handle"], OpenPage)
    assert opened.message is not None
    if opened.message["what"] == "review":
        page = handle_of(finish_review(message["handle"], on_event))
        return {
            "folder": str(page.folder),
            "address": page.address,
            "pid": page.pid,
            "key": page.key,
        }
    return {"file": str(_write_report(opened, on_event))}


def finish_review(handle: str, on_event: Callable[[Event], None] | None = None) -> ReviewFolder:
    """Finish the folder of a review whose expression R has sent.

    Parameters
    ----------
    handle
        What :func:`begin_page` returned.
    on_event
        Called in this thread for each event.
    """
    opened = kept(handle, OpenPage)
    try:
        found = opened.finish(on_event)
    finally:
        drop(handle)
        if isinstance(opened, Incoming):
            opened.close()
    assert isinstance(found, ReviewFolder)
    return found


def _write_report(opened: OpenPage, on_event: Callable[[Event], None] | None) -> Path:
    from ..annotations.report import REPORT_MB, Content, Embedding, write_report

    message, reviewed = opened.message, opened.reviewed
    assert message is not None
    assert reviewed is not None
    figures = opened.finish(on_event) if "normalized" in opened.sources else None
    assert not isinstance(figures, ReviewFolder)
    values = opened.drawn
    embedding = None
    if reviewed.cells.embeddings:
        name, points = reviewed.cells.embeddings[0]
        embedding = Embedding(name, points, reviewed.cells.clusters)
    return write_report(
        reviewed.found,
        Path(message["file"]),
        title=message.get("title"),
        embedding=embedding,
        content=Content(reviewed.cells, figures, values),
        report_mb=float(message.get("report_mb") or REPORT_MB),
    )
