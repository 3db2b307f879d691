"""Markers of the clusters of an object of R, computed while its expression arrives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..artifacts.marker_sums import MarkerSums, read_marker_sums
from ..artifacts.markers import compared, contrasts_of, opened_study
from ..runs.worker import Event
from ..study.clusters import Clusters
from ..study.expression.blocks import BLOCK_ROWS, BlockSource
from ..study.inputs.readers import path_of_r
from ..study.markers.contrasts import Contrast, two_groups, within_parents
from ..study.markers.rules import MarkerOptions
from ..study.markers.tested import MarkerTable
from . import wire
from .handles import keep, take
from .sources import QueueSource
from .studies import OpenReading, study_from_wire
from .wire import Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..study.study import Study


@dataclass
class OpenMarkers(OpenReading[MarkerTable]):
    """Markers to be computed from a study of R."""

    interrupted = "Finding markers was interrupted."

    def begin(self, message: Message) -> Message:
        """Check everything, make room, and return what R is to send."""
        sent, study = message["study"], self.study
        assert study.cells is not None
        n_cells, genes = len(study.cells), list(sent["genes"])
        options = _options(message["options"])
        contrasts = _contrasts(study, message)
        draws, samples = _draws(message, contrasts), _clusters(message.get("samples"))
        source: BlockSource = self.shared_source("normalized", n_cells, genes, sent) or QueueSource(
            n_cells, genes, self.still_read, most=BLOCK_ROWS, dtype=np.float64
        )
        self.sources["normalized"] = source
        sums = MarkerSums(source.genes, contrasts, options, draws=draws, samples=samples)
        self.start(
            lambda events: read_marker_sums(source, sums, events).table(study.clusters.names)
        )
        return self.to_send()


def begin(message: Message) -> Message:
    """Open the computation and return its handle and what R is to send."""
    opened = OpenMarkers(study_from_wire(message["study"]))
    begun = opened.begin(message)
    return {"handle": keep(opened), **begun}


def finish(handle: str, on_event: Callable[[Event], None] | None, out: wire.Outgoing) -> Message:
    """Return the table as R takes it, and close the computation.

    Parameters
    ----------
    handle
        What :func:`begin` returned.
    on_event
        Called in this thread for each event.
    out
        Takes the columns.
    """
    opened = take(handle, OpenMarkers)
    try:
        found = opened.finish(on_event)
    finally:
        opened.close()
    return described(found, out)


def of_file(
    message: Message, on_event: Callable[[Event], None] | None, out: wire.Outgoing
) -> Message:
    """Return the table of a file that R does not read, as R takes it.

    Parameters
    ----------
    message
        ``path``, ``group_key``, ``assay``, ``options``, what is compared, and the cluster.
    on_event
        Called in this thread for each event.
    out
        Takes the columns.
    """
    path_of_r(message["path"], message.get("assay"))
    options = _options(message["options"])
    with opened_study(message["path"], message.get("group_key")) as study:
        names = ("ident_1", "ident_2", "within", "sample_key", "scheduler", "resume")
        sums = compared(study, options, on_event, **{name: message.get(name) for name in names})
        return described(sums.table(study.clusters.names), out)


def described(found: MarkerTable, out: wire.Outgoing) -> Message:
    """Return a table as R takes it."""
    columns = [
        out.column("p_val", "real", found.p_val.tolist()),
        out.column(found.fold_change_name, "real", found.avg_log_fc.tolist()),
        out.column("pct.1", "real", found.pct_1.tolist()),
        out.column("pct.2", "real", found.pct_2.tolist()),
        out.column("p_val_adj", "real", found.p_val_adj.tolist()),
        out.column("cluster", "integer", found.cluster.tolist()),
        out.column("gene", "text", found.gene.tolist()),
    ]
    for name in ("n_samples", "n_samples_same"):
        values = getattr(found, name)
        if values is not None:
            columns.append(out.column(name, "integer", values.astype(int).tolist()))
    return {
        "frame": out.frame(columns, len(found.gene)),
        "clusters": list(found.clusters),
        "left_out": [{"cluster": name, "why": why} for name, why in found.left_out.items()],
        "details": dict(found.details),
    }


def _options(sent: Mapping[str, Any]) -> MarkerOptions:
    """Return the options of R; infinite ones cross as text."""
    infinite = {"Inf": math.inf, "-Inf": -math.inf}
    given: dict[str, Any] = {name: infinite.get(str(v), v) for name, v in sent.items()}
    return MarkerOptions(**given).checked()


def _contrasts(study: Study, message: Message) -> list[Contrast]:
    parents = _clusters(message.get("parents"))
    if parents is not None:
        return within_parents(study.clusters, parents)
    if message.get("ident_1") is not None:
        return [two_groups(study.clusters, message["ident_1"], message.get("ident_2"))]
    return contrasts_of(study, None, None, None)


def _clusters(sent: Message | None) -> Clusters | None:
    return None if sent is None else Clusters(tuple(sent["names"]), sent["codes"])


def _draws(message: Message, contrasts: list[Contrast]) -> list[list[NDArray[np.integer]]] | None:
    """Return the cells that R drew, of each group of each contrast."""
    if message.get("draws") is None:
        return None
    cells = message["draws"]["cells"]
    ends = np.cumsum(message["draws"]["lengths"])
    each = iter(np.split(cells, ends[:-1]))
    return [[next(each) for _ in contrast.names] for contrast in contrasts]
