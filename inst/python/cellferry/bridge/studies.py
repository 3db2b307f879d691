"""Studies that R is sending: opened, filled block by block, read or annotated, discarded.

Expression is read where R has it, if it is stored as it is wanted; else it is sent before it is
read, and kept; or, for cells, it is asked for whenever it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ..annotate.checks import genes_to_compare
from ..annotate.within import split_within, with_parents
from ..engines.base import AnyEngine
from ..errors import InternalError, InterruptedRunError
from ..runs.worker import CancelledWork, Event, Events, Worker
from ..study.clusters import Clusters
from ..study.expression.blocks import BLOCK_ROWS, BLOCK_VALUES, BlockSource, row_ranges
from ..study.expression.source import ExpressionSource
from ..study.markers.rules import MarkerOptions
from ..study.markers.table import Markers
from ..study.study import Absent, Context, Study
from ..study.symbols import names_by_symbol, recognise_genes
from . import memory as r_memory
from . import wire
from .callbacks import Ask, block_question
from .handles import take
from .requests import Request
from .sources import OnDemandSource
from .wire import Message

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

_GENES_OF = {"normalized": "genes", "counts": "counts_genes"}
"""Where R says which genes a part has."""
CLEARING_SECONDS = 5.0
"""How long interrupted work is given to remove what is temporary."""
_Result = TypeVar("_Result")


@dataclass
class Incoming:
    """A study on its way from R, and its expression: one source for each part that is read.

    R sends to ``sources``, but for those of ``shared``, which read its memory.
    """

    study: Study
    sources: dict[str, BlockSource] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)

    def shared_source(
        self,
        part: str,
        n_cells: int,
        genes: list[str],
        sent: Message,
        most: int = BLOCK_ROWS,
    ) -> BlockSource | None:
        """Return a part that R has in the memory of this process, None where it has to be sent.

        ``shared`` of what was sent says where R's dgCMatrix of genes x cells are, which are
        the rows of cells x genes, and in which process. R keeps them until it learns, from
        the answer to "discard", that nobody reads them any more.

        Parameters
        ----------
        part
            ``"normalized"`` or ``"counts"``.
        n_cells, genes
            The shape, cells x genes.
        sent
            The study as R sent it.
        most
            Most cells of a block.
        """
        shared: Message = sent.get("shared") or {}
        if part not in shared or genes != list(sent[_GENES_OF[part]]):
            return None
        if not r_memory.in_this_process(int(shared["process"])):
            return None
        source, first = BlockSource(n_cells, genes), 0
        columns = (shared[part][name] for name in ("cells", "values", "x", "i", "p"))
        for n, n_values, x, i, p in zip(*columns, strict=True):
            pointers = r_memory.vector(p, "integer", n + 1)
            data = r_memory.vector(x, "real", n_values)
            indices = r_memory.vector(i, "integer", n_values)
            for start, stop in row_ranges(pointers, BLOCK_VALUES, most):
                here = slice(int(pointers[start]), int(pointers[stop]))
                own = pointers[start : stop + 1] - pointers[start]
                source.append(first + start, own, indices[here], data[here])
            first += n
        self.shared.add(part)
        return source

    def to_send(self) -> Message:
        """Return what R is to send: the genes of the normalised values, and whether counts."""
        return self._wanted(
            {part: s for part, s in self.sources.items() if part not in self.shared}
        )

    @staticmethod
    def _wanted(sources: Mapping[str, ExpressionSource]) -> Message:
        normalized = sources.get("normalized")
        return {
            "normalized": None if normalized is None else list(normalized.genes),
            "counts": "counts" in sources,
        }

    def append(self, block: Message) -> int:
        """Take one block of expression and return the rows that have arrived."""
        source = self.sources.get(block["part"])
        if source is None:
            message = f'No "{block["part"]}" were asked for.'
            raise InternalError(message)
        source.append(int(block["row_start"]), block["indptr"], block["indices"], block["data"])
        return source.rows_received

    def complete(self) -> Study:
        """Return the study with its expression; every row that is sent must have arrived."""
        for source in self.sources.values():
            if source.rows_received != source.shape[0]:
                message = "Fewer rows of expression arrived than there are cells."
                raise InternalError(message)
        return self.study.with_parts(**self.sources)

    def close(self) -> None:
        """Give back what is kept beside the study."""
        for source in self.sources.values():
            source.close()


@dataclass
class OpenStudy(Incoming):
    """A study to be read or, with a request, to be annotated.

    Parts of ``on_demand`` are asked for, block by block, while it is annotated. With a ``test`` its
    markers are found by it, in the values that are sent for that and for the engine.
    """

    request: Request | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    test: MarkerOptions | None = None
    sisters: MarkerOptions | None = None
    on_demand: dict[str, OnDemandSource] = field(default_factory=dict)
    _ask: Ask | None = None

    @classmethod
    def of_request(cls, request: Request, message: Message) -> OpenStudy:
        """Return the study that R sends for a request, with room for what its engine reads.

        Parameters
        ----------
        request
            What was asked for.
        message
            ``study``, and ``marker_test`` where markers are to be found: ``expm1``, ``log_base``;
            ``sister_test`` where they are found within parents.
        """
        sent = message["study"]
        test, sisters = (
            None if message.get(name) is None else _test(message[name])
            for name in ("marker_test", "sister_test")
        )
        known = request.provenance(sent)
        opened = cls(
            study_from_wire(sent), request=request, provenance=known, test=test, sisters=sisters
        )
        if test is not None or sisters is not None:
            opened.expect(sent, parts_to_send(request.engine, sent) | {"normalized"})
        elif request.parts:
            parts = parts_to_send(request.engine, sent)
            opened.expect(sent, parts, genes_wanted(opened.study, request.engine, parts))
        return opened

    def with_markers(self, study: Study, on_event: Callable[[Event], None] | None) -> Study:
        """Return the study, complete, with its markers where they are to be found.

        Parameters
        ----------
        study
            What :meth:`read_by` gave.
        on_event
            Called in this thread with progress.
        """
        earlier = None if self.request is None else self.request.earlier
        if earlier is not None:
            split_within(study, earlier)
        if self.test is not None:
            from ..artifacts.markers import with_markers

            study = with_markers(study, on_event, self.test)
        if earlier is None or self.sisters is None:
            return study
        return with_parents(study, earlier, on_event, self.sisters)

    def expect(
        self, sent: Message, parts: frozenset[str], normalized: list[str] | None = None
    ) -> None:
        """Prepare for the expression that R is to send.

        Parameters
        ----------
        sent
            The study as R sent it: ``genes`` of the normalised values, ``counts_genes``. With
            ``on_demand``, how many values each part stores (as text, or None), nothing will be
            sent: the parts are asked for when they are read.
        parts
            Parts that are wanted, of which ``normalized`` and ``counts`` are expression.
        normalized
            The genes whose normalised values are wanted; None: all, if they are wanted.
        """
        if self.study.cells is None:
            return
        n_cells = len(self.study.cells)
        if normalized is None and "normalized" in parts:
            normalized = list(sent.get("genes") or [])
        if normalized:
            self._make_room("normalized", n_cells, normalized, sent)
        counts = list(sent.get("counts_genes") or [])
        if "counts" in parts and counts:
            self._make_room("counts", n_cells, counts, sent)

    def _make_room(self, part: str, n_cells: int, genes: list[str], sent: Message) -> None:
        on_demand: Mapping[str, str | None] | None = sent.get("on_demand")
        if on_demand is None:
            shared = self.shared_source(part, n_cells, genes, sent)
            self.sources[part] = BlockSource(n_cells, genes) if shared is None else shared
            return
        stored, stored_genes = on_demand.get(part), sent.get(_GENES_OF[part]) or ()
        # Of some genes only, it is not known how many values there are.
        known = stored is not None and len(genes) == len(stored_genes)
        self.on_demand[part] = OnDemandSource(
            n_cells, genes, partial(self._block, part), nnz=int(stored or 0) if known else None
        )

    def _block(self, part: str, number: int) -> Message:
        if self._ask is None:
            # A thread of a run that has ended reads on.
            raise CancelledWork
        return self._ask(block_question(part, number))

    @contextmanager
    def read_by(self, ask: Ask | None) -> Iterator[Study]:
        """Give the complete study, for whose blocks R is asked until this is left."""
        self._ask = ask
        try:
            yield self.complete()
        finally:
            self._ask = None

    def to_send(self) -> Message:
        """Return what R is to send, or to give when it is asked."""
        return self._wanted(self.on_demand) if self.on_demand else super().to_send()

    def complete(self) -> Study:
        """Return the study with its expression, of which some may still be asked for."""
        return super().complete().with_parts(**self.on_demand)


@dataclass
class OpenReading(Incoming, Generic[_Result]):
    """A study on its way from R, and the work that reads it.

    Matrices in R's own memory are read there. Of others the work begins before they arrive, and
    none is kept.
    """

    worker: Worker[_Result] | None = None
    work: Callable[[Events], _Result] | None = None
    interrupted = "The work was interrupted."

    def start(self, work: Callable[[Events], _Result]) -> None:
        """Begin now if anything can be read only once; else when all has arrived."""
        self.work = work
        if not all(source.rereadable for source in self.sources.values()):
            self.worker = Worker(work)

    def still_read(self) -> bool:
        """Whether the work still reads; raises why it failed, so that R sends no more."""
        if self.worker is None or not self.worker.ended:
            return True
        self.worker.result()
        return False

    def finish(self, on_event: Callable[[Event], None] | None) -> _Result:
        """Wait for the work and return its result."""
        if self.worker is None:
            self.complete()
            assert self.work is not None
            self.worker = Worker(self.work)
        try:
            found = self.worker.result(on_event)
        except KeyboardInterrupt:
            self.close()
            raise InterruptedRunError(self.interrupted) from None
        self.complete()
        return found

    def close(self) -> None:
        """Stop the work, if it is not finished."""
        for source in self.sources.values():
            if not source.rereadable:
                # What reads it while it arrives would wait for more.
                source.close()
        if self.worker is not None and not self.worker.ended:
            self.worker.cancel(CLEARING_SECONDS)
        super().close()


def parts_of(engine: AnyEngine) -> frozenset[str]:
    """Return the parts of a study that an engine reads."""
    return engine.capabilities.needs | engine.capabilities.uses


def parts_to_send(engine: AnyEngine, sent: Message) -> frozenset[str]:
    """Return the parts that R should send of an object: of alternatives only the first it has.

    Parameters
    ----------
    sent
        The study as R sent it: ``genes`` of the normalised values, ``counts_genes``.
    """
    has = {"normalized": bool(sent.get("genes")), "counts": bool(sent.get("counts_genes"))}
    there = [part for part in engine.capabilities.one_of if has.get(part, True)]
    return parts_of(engine) - frozenset(there[1:])


def genes_wanted(study: Study, engine: AnyEngine, parts: frozenset[str]) -> list[str] | None:
    """Return the genes whose normalised values R should send: to compare, and for the engine.

    Parameters
    ----------
    study
        With its genes and markers, without expression.
    engine
        Its capabilities name the genes it reads.
    parts
        What it reads of the object.
    """
    if study.cells is None or study.genes is None:
        return None
    wanted: dict[str, None] = {}
    if "normalized" in parts:
        wanted.update(dict.fromkeys(engine.capabilities.genes or study.genes))
    if study.markers is not None:
        # The table and the object may write one gene in two ways.
        table = recognise_genes(study).table
        readings = {} if table is None else table.readings
        compared = genes_to_compare(study.markers, study.clusters)
        wanted.update(dict.fromkeys(readings.get(g, g) for g in compared))
    if wanted.keys() >= set(study.genes):
        # All genes in the order that they are stored in, which needs no sorting.
        return [*study.genes]
    return names_by_symbol(study.genes, wanted, study.context.species) or None


def study_from_wire(sent: Message) -> Study:
    """Return the study of a decoded message, without its expression.

    ``markers`` is the handle of a table that was read, which is closed by this. Without ``names``
    of clusters, they are those of the table.
    """
    cells, genes, names = sent.get("cells"), sent.get("genes"), sent.get("names")
    markers = None if sent.get("markers") is None else take(sent["markers"], Markers)
    coordinates, obs, var = sent.get("coordinates"), sent.get("obs"), sent.get("var")
    embeddings, graph, quality = sent.get("embeddings"), sent.get("graph"), sent.get("quality")
    if names is None and markers is not None:
        names = markers.clusters
    clusters, absent = Clusters(tuple(names or ()), sent.get("codes")), None
    if sent.get("absent") is not None:
        absent = Absent(tuple(sent["absent"]["cells"]), sent["absent"]["codes"])
        clusters = clusters.with_others(absent.codes)
    return Study(
        clusters=clusters,
        group_key=sent.get("group_key"),
        cells=None if cells is None else tuple(cells),
        absent=absent,
        genes=None if genes is None else tuple(genes),
        markers=markers,
        coordinates=None
        if coordinates is None
        else (coordinates["name"], _by_columns(coordinates["values"], 2)),
        obs=None if obs is None else wire.frame_from_wire(obs),
        var=None if var is None else wire.frame_from_wire(var),
        quality=None if quality is None else wire.frame_from_wire(quality),
        embeddings=None
        if embeddings is None
        else {e["name"]: _by_columns(e["values"], int(e["n"])) for e in embeddings},
        graph=None if graph is None else (graph["name"], _graph(graph)),
        assay=sent.get("assay"),
        other_assays={a["name"]: tuple(a["features"]) for a in sent.get("other_assays") or ()}
        or None,
        context=Context(sent.get("tissue"), sent.get("species"), sent.get("study_context") or ""),
    )


def _by_columns(values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the n columns of a matrix as R stores it."""
    return values.reshape(n, -1).T


def _graph(sent: Message) -> csr_matrix:
    """Return a graph that R stores by columns; its rows are the neighbours of a cell."""
    from scipy.sparse import csc_matrix, csr_matrix

    n = len(sent["indptr"]) - 1
    stored = csc_matrix((sent["data"], sent["indices"], sent["indptr"]), shape=(n, n))
    return csr_matrix(stored)


def describe_parts(study: Study, out: wire.Outgoing) -> Message:
    """Return what arrived of a study: its frames, and sums by which matrices differ.

    Parameters
    ----------
    study
        Complete.
    out
        Takes the values.
    """
    answer: Message = {"cells": len(study.cells or ())}
    for name in ("obs", "var"):
        frame = getattr(study, name)
        if frame is not None:
            answer[name], answer[f"{name}_items"] = out.data_frame(frame)
    for name in ("normalized", "counts"):
        source = getattr(study, name)
        if source is not None:
            answer[name] = {"n": list(source.shape), "sums": _sums(source, out)}
    if study.embeddings is not None:
        answer["embeddings"] = {
            name: out.vector(np.ravel(values, order="F"), "<f8")
            for name, values in study.embeddings.items()
        }
    if study.graph is not None:
        answer["graph"] = {"name": study.graph[0], "sums": _matrix_sums(study.graph[1], out)}
    return answer


def _sums(source: ExpressionSource, out: wire.Outgoing) -> Message:
    rows = [np.asarray(block.sum(axis=1)).ravel() for _, block in source]
    columns = sum(np.asarray(block.sum(axis=0)).ravel() for _, block in source)
    return {
        "cells": out.vector(np.concatenate(rows), "<f8"),
        "genes": out.vector(np.asarray(columns), "<f8"),
        # Large integers cross as text.
        "nnz": str(source.stored_values),
    }


def _matrix_sums(matrix: csr_matrix, out: wire.Outgoing) -> Message:
    rows = np.asarray(matrix.sum(axis=1)).ravel()
    columns = np.asarray(matrix.sum(axis=0)).ravel()
    return {"rows": out.vector(rows, "<f8"), "columns": out.vector(columns, "<f8")}


def _test(given: Mapping[str, Any]) -> MarkerOptions:
    """Return how markers are found, with what R knows of the values."""
    # Not needed for a marker table, which waits for nothing that reads matrices.
    from ..artifacts.marker_sums import OF_ANNOTATION

    return replace(OF_ANNOTATION, **given)
