"""The writer of vars.h5, as CyteType 0.19.4 lays it out.

``vars``: log-normalised matrix by genes (CSC of cells x genes: int32 indices, float32 data,
int64 indptr). ``raw``: raw counts by cells (CSR, int32 data), where there are any.
``info/var``: metadata of the genes. Each matrix is read once; where X is itself the counts,
one read gives both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import numpy as np

from ...runs.parallel import bounded_map
from ...runs.worker import Events
from ...study.expression.blocks import canonical
from ...study.expression.source import Axis, Block, BlockRun, ExpressionSource
from ...study.expression.statistics import BlockStatistics, ExpressionStatistics
from ..by_gene import GeneReader
from ..inputs import Candidate, Inputs
from ..machine import available_memory, processors
from .chunks import chunk_memory
from .counts import CountsVerdict, NotCountsError, as_counts, judge
from .file import new_hdf5
from .genes import write_var_metadata
from .matrix import MatrixWriter, Prepared
from .transpose import Pieces

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

    class FarMatrices(Protocol):
        """What writes matrices that a cluster reads; see :mod:`..ranges.vars_h5`."""

        def begin(self, source: ExpressionSource, statistics: ExpressionStatistics) -> None:
            """Have the normalised values put in the order of genes."""
            ...

        def normalized(self, group: h5py.Group, source: ExpressionSource) -> None:
            """Write the normalised values, and fill the statistics; called last."""
            ...

        def reads(self, source: ExpressionSource) -> bool:
            """Whether it can read counts."""
            ...

        def raw(self, group: h5py.Group, source: ExpressionSource) -> NotCountsError | None:
            """Write the counts, or say why they are none."""
            ...


Item: TypeAlias = "tuple[int, Block | BlockRun, int]"
"""First cell (or gene) of a block, the block, and how many values are before it; 0 where only
reading shows that."""
_Result = TypeVar("_Result")
PIECES_OF_A_FILE = 64 << 20
"""Bytes of pieces kept in memory when the matrix itself is not."""


class _NotInOrderError(Exception):
    """Rows of a matrix in memory have to be put in order, or a value occurs twice."""


@dataclass
class VarsWriter:
    """Writes one vars.h5; :meth:`write` returns what is thought of each place for counts.

    Parameters
    ----------
    inputs
        What is written.
    statistics
        Filled on the way: the same read feeds it.
    folder
        For pieces that do not fit into memory.
    batch
        Most cells of one step.
    events
        Receives progress; stops the work when the user interrupts.
    on_genes
        Called, in any thread, with the first gene of each run of genes and its normalised values,
        cells x genes, each gene once: the same read feeds whoever wants them by gene.
    far
        Writes matrices that a cluster reads; None reads them here.
    """

    inputs: Inputs
    statistics: ExpressionStatistics
    folder: Path
    batch: int
    events: Events
    gene_symbols_column: str | None = None
    on_genes: Callable[[int, Block], None] | None = None
    far: FarMatrices | None = None

    def write(self, path: Path) -> list[CountsVerdict]:
        """Write the file; whoever gave the path makes it durable and names it."""
        study = self.inputs.study
        normalized = study.require("normalized", "artifacts")
        verdicts, candidates = judge(self.inputs.candidates)
        self._memory = chunk_memory()
        with (
            new_hdf5(path) as (file, self._under),
            ThreadPoolExecutor(processors(), thread_name_prefix="cellferry") as self._pool,
        ):
            try:
                first = candidates[0] if candidates else None
                shared = first if first is not None and first.source is normalized else None
                refused: NotCountsError | None = None
                if self.far is None:
                    refused = self._normalized(file, normalized, shared)
                else:
                    # What is written here is written while workers are at work.
                    self.far.begin(normalized, self.statistics)
                write_var_metadata(
                    file, normalized.genes, self.inputs.var, self.gene_symbols_column
                )
                if self.far is not None:
                    verdicts = self._counts(file, candidates, verdicts, None)
                    self.far.normalized(file.create_group("vars"), normalized)
                elif refused is not None or shared is None:
                    verdicts = self._counts(file, candidates, verdicts, refused)
            except BaseException:
                self._pool.shutdown(cancel_futures=True)
                raise
        return verdicts

    def _writer(
        self, file: h5py.File, name: str, source: ExpressionSource, blocks: Axis | None = None
    ) -> MatrixWriter:
        axis: Axis = "genes" if name == "vars" else "cells"
        convert = _as_counts if name == "raw" else _as_float32
        memory = available_memory() // 3
        memory = memory if source.in_memory else min(memory, PIECES_OF_A_FILE)
        pieces = Pieces(memory, self.folder / f"{name}.pieces", source.stored_values)
        group = file.create_group(name)
        return MatrixWriter(
            group, source.shape, axis, blocks or source.axis, convert, pieces=pieces,
            pool=self._pool, under=self._under, memory=self._memory,
            on_genes=self.on_genes if name == "vars" and blocks is None else None,
        )  # fmt: skip

    def _normalized(
        self, file: h5py.File, source: ExpressionSource, shared: Candidate | None
    ) -> NotCountsError | None:
        """Write ``vars``, and ``raw`` from the same read if it is the same matrix."""
        axis = source.axis
        if shared is None and _is_by_cell(source):
            self._normalized_by_gene(file, source)
            return None
        values = self._writer(file, "vars", source)
        counts = None if shared is None else self._writer(file, "raw", source)
        refused: NotCountsError | None = None

        def work(
            item: Item,
        ) -> tuple[int, BlockStatistics, Prepared, Prepared | NotCountsError | None]:
            start, block = item[0], canonical(item[1])
            if axis == "genes" and self.on_genes is not None:
                self.on_genes(start, block)
            found = self.statistics.of_block(start, block, axis)
            both: Prepared | NotCountsError | None = None
            if counts is not None and refused is None:
                try:
                    both = counts.prepare(block)
                except NotCountsError as error:
                    both = error
            return start + _length(block, axis), found, values.prepare(block), both

        for done, found, prepared, both in self._blocks(source, axis, "normalised values", work):
            self.statistics.add(found)
            values.add(prepared)
            if counts is None or refused is not None:
                continue
            if isinstance(both, NotCountsError):
                refused = both
            elif both is not None:
                counts.add(both)
            del done
        values.finish(self._progress(values.length, "genes", "Writing the normalised values"))
        if counts is not None and refused is None:
            counts.finish(self._progress(counts.length, "cells", "Writing the raw counts"))
        elif counts is not None:
            del file["raw"]
        return refused

    def _normalized_by_gene(self, file: h5py.File, source: ExpressionSource) -> None:
        """Write ``vars`` of a matrix in memory, without a second copy of it."""
        values = self._writer(file, "vars", source, "genes")
        adding = threading.Lock()

        def add(start: int, block: Block) -> None:
            found = self.statistics.of_block(start, block, "cells")
            with adding:
                self.statistics.add(found)

        def work(first: int, block: Block, place: int) -> tuple[int, Prepared]:
            if self.on_genes is not None:
                self.on_genes(first, block)
            return first + _length(block, "genes"), values.prepare(block, place)

        report = self._progress(values.length, "genes", "Writing the normalised values")
        reader = GeneReader(
            source, self.folder, self._pool, self.batch, self.events, add, tells=False
        )
        for stop, prepared in reader.map(work):
            values.add(prepared)
            report(stop)
        values.finish(report)

    def _counts(
        self,
        file: h5py.File,
        candidates: list[Candidate],
        verdicts: list[CountsVerdict],
        refused: NotCountsError | None,
    ) -> list[CountsVerdict]:
        """Write ``raw`` from the first candidate that holds counts throughout."""
        for candidate in candidates:
            problem, refused = refused, None
            problem = problem or self._raw(file, candidate)
            if problem is None:
                return verdicts
            verdicts = [
                replace(v, are_counts=False, explanation=str(problem), refused_while_writing=True)
                if v.name == candidate.name
                else v
                for v in verdicts
            ]
        return verdicts

    def _raw(self, file: h5py.File, candidate: Candidate) -> NotCountsError | None:
        source = candidate.source
        assert source is not None
        if self.far is not None and self.far.reads(source):
            error = self.far.raw(file.create_group("raw"), source)
            if error is not None:
                del file["raw"]
            return error
        # Where values will be is known before they are read, unless rows are not in order.
        for is_placed in [True, False] if _is_by_cell(source) else [False]:
            try:
                self._write_raw(file, source, is_placed=is_placed)
            except NotCountsError as error:
                del file["raw"]
                return error
            except _NotInOrderError:
                del file["raw"]
            else:
                break
        return None

    def _write_raw(self, file: h5py.File, source: ExpressionSource, *, is_placed: bool) -> None:
        writer = self._writer(file, "raw", source)

        def work(item: Item) -> Prepared:
            block = canonical(item[1])
            if is_placed and block is not item[1]:
                raise _NotInOrderError
            return writer.prepare(block, item[2] if is_placed else None)

        for rows in self._blocks(source, source.axis, "raw counts", work):
            writer.add(rows)
        writer.finish(self._progress(writer.length, "cells", "Writing the raw counts"))

    def _blocks(
        self, source: ExpressionSource, axis: Axis, what: str, work: Callable[[Item], _Result]
    ) -> Iterator[_Result]:
        total = source.shape[0 if axis == "cells" else 1]
        report = self._progress(total, axis, f"Reading the {what}")

        def reported() -> Iterator[Item]:
            place = 0
            for start, block in source.blocks(self.batch):
                report(start)
                yield start, block, place
                place += 0 if isinstance(block, BlockRun) else int(block.nnz)
            report(total)

        return bounded_map(work, reported(), self._pool, self.events, ahead=processors() + 1)

    def _progress(self, total: int, unit: str, text: str) -> Callable[[int], None]:
        self.events.emit("started", 0, total, unit, text)

        def report(done: int) -> None:
            self.events.check()
            self._under.check()
            self.events.emit("progress", done, total, unit, text)

        return report


def _is_by_cell(source: ExpressionSource) -> bool:
    """Whether a source is in memory by cell, sparse."""
    return source.axis == "cells" and source.shares_memory


def _length(block: Block, axis: Axis) -> int:
    return int(block.shape[0 if axis == "cells" else 1])


def _as_counts(values: NDArray[np.number], out: NDArray[np.number] | None) -> NDArray[np.number]:
    return as_counts(values, None if out is None else out.view(np.int32))


def _as_float32(values: NDArray[np.number], out: NDArray[np.number] | None) -> NDArray[np.number]:
    if out is None or values.dtype == np.float32:
        return values.astype(np.float32, copy=False)
    np.copyto(out, values, casting="unsafe")
    return out
