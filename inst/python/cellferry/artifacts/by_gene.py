"""The values of a matrix by gene, whatever it is kept by: one read that markers and files share.

A matrix that is kept by gene is cut as it is. One that is in memory by cell is given by ranges of
genes, see :mod:`.gene_ranges`. Any other is transposed in one read, whose pieces wait in memory or
on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from ..runs.parallel import bounded_map
from ..study.expression.blocks import (
    BLOCK_VALUES,
    canonical,
    lines_between,
    row_ranges,
    sparse_view,
)
from ..study.expression.source import BlockRun
from .gene_ranges import GeneRanges
from .machine import available_memory, processors
from .vars_h5.transpose import MOST_VALUES, Piece, Pieces, Transposed

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from ..runs.worker import Events
    from ..study.expression.source import Block, ExpressionSource

FEW_VALUES = 4_000_000
"""A smaller matrix is transposed at once."""
SHARE_VALUES = 500_000
"""Values of one share of a matrix that is kept by gene: there are several for each thread."""
PIECES_OF_A_FILE = 64 << 20
"""Bytes of pieces kept in memory when the matrix itself is not."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class GeneReader:
    """Reads a source by gene.

    Parameters
    ----------
    source
        Cells x genes.
    folder
        For pieces that do not fit into memory.
    pool
        Transposes and joins.
    batch
        Most cells that are taken at once.
    events
        Receives progress; stops the work when the user interrupts.
    on_cells
        Called, in threads of the pool, with the first cell of each block and its values as they
        are read, cells x genes; not where the matrix is kept by gene.
    tells
        Whether it tells how many cells were read.
    """

    source: ExpressionSource
    folder: Path
    pool: ThreadPoolExecutor
    batch: int
    events: Events
    on_cells: Callable[[int, Block], None] | None = None
    tells: bool = True

    def __iter__(self) -> Iterator[tuple[int, Block]]:
        """Yield ``(first gene, block)``: columns of cells x genes, in order, each gene once."""
        return self.map(lambda first, block, _: (first, block.copy()))

    def map(self, work: Callable[[int, Block, int], _Result]) -> Generator[_Result]:
        """Yield what is made of each run of genes, in order, each gene once.

        Parameters
        ----------
        work
            Called, in threads of the pool, with the first gene, the values, cells x genes,
            compressed by genes, and how many values there are before them. Their memory is used
            again when it returns.
        """
        if self.source.axis == "genes":
            yield from self._mapped(work, self._as_kept())
            return
        blocks = self._kept_blocks()
        if blocks is None:
            yield from self._mapped(work, self._transposed(self.on_cells))
            return
        ranges = GeneRanges([block for _, block in blocks], self.source.shape[1])
        if not all([*self._cut(ranges, blocks)]):
            # Some have to be put in order first: that is done once.
            yield from self._mapped(work, self._transposed(None))
            return
        ranges.measure()
        yield from self._each(partial(ranges.turned, work=work), range(len(ranges.bounds) - 1))

    def _mapped(
        self, work: Callable[[int, Block, int], _Result], items: Iterable[tuple[int, Block]]
    ) -> Generator[_Result]:
        def placed() -> Iterator[tuple[int, Block, int]]:
            place = 0
            for first, block in items:
                yield first, block, place
                place += int(block.nnz)

        return self._each(lambda item: work(*item), placed())

    def _each(self, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Generator[_Result]:
        return bounded_map(work, items, self.pool, self.events, ahead=processors() + 1)

    def _kept_blocks(self) -> list[tuple[int, csr_matrix]] | None:
        """Return the blocks of a large matrix that is in memory as it is; else None."""
        if not self.source.shares_memory or (self.source.stored_values or 0) <= FEW_VALUES:
            return None
        blocks = [(row, cast("csr_matrix", b)) for row, b in self.source.blocks(self.batch)]
        kinds = {(block.indices.dtype, block.data.dtype) for _, block in blocks}
        most = max(int(block.nnz) for _, block in blocks)
        return blocks if len(kinds) == 1 and most <= MOST_VALUES else None

    def _cut(self, ranges: GeneRanges, blocks: list[tuple[int, csr_matrix]]) -> Generator[bool]:
        """Cut the blocks, and show them to whoever wants them by cell.

        Yields whether each is canonical: one that is not cannot be cut.
        """

        def cut(number: int) -> bool:
            row, block = blocks[number]
            checked = canonical(block)
            if self.on_cells is not None:
                self.on_cells(row, checked)
            if checked is block:
                ranges.cut(number)
            return checked is block

        def told() -> Iterator[int]:
            for number, (row, _) in enumerate(blocks):
                self._told(row)
                yield number

        return self._each(cut, told())

    def _as_kept(self) -> Iterator[tuple[int, Block]]:
        for start, given in self.source.blocks(BLOCK_VALUES):
            self.events.check()
            block = canonical(given)
            for first, last in row_ranges(block.indptr, SHARE_VALUES, int(block.shape[1])):
                yield start + first, lines_between(block, first, last, "genes")

    def _transposed(
        self, on_cells: Callable[[int, Block], None] | None
    ) -> Iterator[tuple[int, Block]]:
        n_cells, n_genes = self.source.shape
        blocks = self._blocks()
        first = next(blocks, None)
        dtype = np.dtype(np.float32) if first is None else canonical(first[1]).dtype
        memory = available_memory() // 3
        memory = memory if self.source.in_memory else min(memory, PIECES_OF_A_FILE)
        values = self.source.stored_values if self.source.in_memory else None
        file = self.folder / "genes.pieces"
        turned = Transposed((n_genes, n_cells), dtype, Pieces(memory, file, values))

        def turn(item: tuple[int, Block | BlockRun]) -> list[Piece]:
            row, block = item[0], canonical(item[1])
            if on_cells is not None:
                on_cells(row, block)
            return turned.turned(cast("csr_matrix", block))

        items = () if first is None else chain([first], blocks)
        for pieces in self._each(turn, items):
            turned.add(pieces)
        start = 0
        for stop, indices, data in turned.groups(self.pool):
            pointers = turned.indptr[start : stop + 1] - turned.indptr[start]
            block = sparse_view((data, indices, pointers), (n_cells, stop - start), "genes")
            block.has_canonical_format = True
            yield start, block
            start = stop
        file.unlink(missing_ok=True)

    def _blocks(self) -> Iterator[tuple[int, Block | BlockRun]]:
        for row, block in self.source.blocks(self.batch):
            self._told(row)
            yield row, block

    def _told(self, row: int) -> None:
        if self.tells:
            total = self.source.shape[0]
            self.events.emit("progress", row, total, "cells", "Reading the values")
