"""Building artifacts from an object of R: its expression is written while it arrives."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..artifacts import Artifacts, Build, BuildOptions
from ..artifacts.inputs import open_inputs
from ..artifacts.marker_sums import OF_ANNOTATION
from ..runs.worker import Event
from ..study.expression.blocks import BlockSource
from . import markers, wire
from .handles import keep, kept
from .sources import DiskBackedSource, QueueSource
from .studies import OpenReading, study_from_wire
from .wire import Message

if TYPE_CHECKING:
    from pathlib import Path

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
