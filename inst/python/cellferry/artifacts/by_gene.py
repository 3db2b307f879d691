"""The values of a matrix by gene, whatever it is kept by: one read that markers and files share.

A matrix that is kept by gene is cut as it is. One that is kept by cell is transposed: in memory in
several passes over parts of the genes, so that the transposed part is a fraction of the matrix;
from a file or from R in one pass, whose pieces wait on disk. While the genes of one pass are given
away those of the next are transposed, into memory that was used before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..runs.parallel import bounded_map
from ..study.expression.blocks import BLOCK_VALUES, canonical, row_ranges, sparse_view
from ..study.expression.source import BlockRun
from .machine import available_memory, processors
from .vars_h5.transpose import MOST_VALUES, Piece, Pieces, SharedArrays, Transposed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ..runs.worker import Events
    from ..study.expression.source import Block, ExpressionSource

PASSES = 10
"""Passes over a matrix in memory: as many parts of its genes are transposed one after another."""
PASSES_OF_DENSE = 3
"""The same of a dense matrix, of which each pass looks at every value."""
FEW_VALUES = 4_000_000
"""A smaller matrix is transposed at once."""
SHARE_VALUES = 500_000
"""Values of one share of a matrix that is kept by gene: there are several for each thread."""
PIECES_OF_A_FILE = 64 << 20
"""Bytes of pieces kept in memory when the matrix itself is not."""


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
    """

    source: ExpressionSource
    folder: Path
    pool: ThreadPoolExecutor
    batch: int
    events: Events
    on_cells: Callable[[int, Block], None] | None = None

    def __iter__(self) -> Iterator[tuple[int, Block]]:
        """Yield ``(first gene, block)``: columns of cells x genes, in order, each gene once."""
        if self.source.axis == "genes":
            yield from self._as_kept()
            return
        stored = self.source.stored_values
        several = self.source.in_memory and self.source.rereadable
        few = stored is not None and stored <= FEW_VALUES
        most = PASSES if stored is not None else PASSES_OF_DENSE
        yield from self._in_passes(most if several and not few else 1)

    def _in_passes(self, n: int) -> Iterator[tuple[int, Block]]:
        """Transpose the genes of each pass while those of the pass before are given away."""
        bounds = np.unique(np.linspace(0, self.source.shape[1], n + 1).astype(int)).tolist()
        parts = _Parts(bounds)
        arrays: list[SharedArrays] = []
        passes = (self._begun(parts, number, arrays) for number in range(len(bounds) - 1))
        following = next(passes, None)
        while following is not None:
            current = following
            for _ in current.steps:
                pass
            following = next(passes, None)
            given = 0
            for first, block in current.blocks(self.pool):
                yield first, block
                given += block.nnz
                while following is not None and following.done < given:
                    if next(following.steps, None) is None:
                        break
            current.file.unlink(missing_ok=True)

    def _as_kept(self) -> Iterator[tuple[int, Block]]:
        for start, given in self.source.blocks(BLOCK_VALUES):
            self.events.check()
            block = canonical(given)
            for first, last in row_ranges(block.indptr, SHARE_VALUES, int(block.shape[1])):
                yield start + first, _columns(block, first, last)

    def _begun(self, parts: _Parts, number: int, arrays: list[SharedArrays]) -> _Pass:
        """Return a pass whose blocks are still to be transposed.

        Its arrays are those of the last pass but one, if they are in ``arrays``.
        """
        start, stop = parts.bounds[number : number + 2]
        passes, n_cells = len(parts.bounds) - 1, self.source.shape[0]
        blocks = self._blocks(number, passes)
        first = next(blocks, None)
        dtype = np.dtype(np.float32) if first is None else canonical(first[1]).dtype
        values = self.source.stored_values if self.source.in_memory else None
        if passes > 1 and values is not None and values <= MOST_VALUES and len(arrays) < 2:
            # The system gives the memory that is written to, which is that of one pass.
            arrays.append(SharedArrays(values, dtype))
        shared = arrays[number % 2] if arrays else None
        if shared is not None:
            shared.clear()
        memory = available_memory() // 3
        memory = memory if self.source.in_memory else min(memory, PIECES_OF_A_FILE)
        file = self.folder / f"genes-{start}.pieces"
        pieces = Pieces(memory, file, values if passes == 1 else None, shared)
        turned = Transposed((stop - start, n_cells), dtype, pieces)

        def turn(item: tuple[int, Block | BlockRun]) -> list[Piece]:
            row, block = item
            if self.on_cells is not None and number == 0:
                block = canonical(block)
                self.on_cells(row, block)
            if passes == 1:
                return turned.turned(cast("csr_matrix", canonical(block)))
            return turned.turned(parts.part(row, block, number))

        items = () if first is None else chain([first], blocks)
        made = bounded_map(turn, items, self.pool, self.events, ahead=processors() + 1)
        return _Pass(start, n_cells, turned, made, file)

    def _blocks(self, number: int, passes: int) -> Iterator[tuple[int, Block | BlockRun]]:
        n_cells = self.source.shape[0]
        for row, block in self.source.blocks(self.batch):
            self.events.emit(
                "progress", number * n_cells + row, passes * n_cells, "cells", "Reading the values"
            )
            yield row, block


class _Pass:
    """Some genes of all cells: transposed block by block, and then given away."""

    def __init__(
        self,
        start: int,
        n_cells: int,
        turned: Transposed,
        made: Iterator[list[Piece]],
        file: Path,
    ) -> None:
        self._start, self._n_cells, self._turned = start, n_cells, turned
        self.file = file
        self.done = 0
        """Values that were transposed."""
        self.steps = self._steps(made)
        """Each takes a block that was transposed."""

    def _steps(self, made: Iterator[list[Piece]]) -> Iterator[bool]:
        for pieces in made:
            self._turned.add(pieces)
            self.done += sum(int(piece.indptr[-1]) for piece in pieces)
            yield True

    def blocks(self, pool: ThreadPoolExecutor) -> Iterator[tuple[int, Block]]:
        """Yield ``(first gene, block)`` after all steps."""
        first = 0
        for last, indices, data in self._turned.groups(pool):
            pointers = self._turned.indptr[first : last + 1] - self._turned.indptr[first]
            block = sparse_view((data, indices, pointers), (self._n_cells, last - first), "genes")
            block.has_canonical_format = True
            yield self._start + first, block
            first = last


def _columns(block: Block, start: int, stop: int) -> Block:
    """Return some columns of a matrix compressed by columns, which share its arrays."""
    pointers = block.indptr[start : stop + 1]
    here = slice(int(pointers[0]), int(pointers[-1]))
    arrays = (block.data[here], block.indices[here], pointers - pointers[0])
    return sparse_view(arrays, (int(block.shape[0]), stop - start), "genes")


class _Parts:
    """Cuts blocks of cells into the genes of each pass.

    Where each row is cut is found once, in the first pass: a block is then a matrix of as many rows
    for each cell as there are passes, whose arrays are those of the block.
    """

    def __init__(self, bounds: list[int]) -> None:
        self.bounds = bounds
        self._cuts: dict[int, NDArray[np.integer]] = {}

    def part(self, row: int, block: Block | BlockRun, number: int) -> csr_matrix:
        """Return the genes of a pass of the block that begins at a row; may run on any thread."""
        block = block.concat() if isinstance(block, BlockRun) else block
        cuts = self._cuts.get(row)
        if cuts is None:
            checked = canonical(block)
            cuts = cut_rows(checked.indptr, checked.indices, self.bounds)
            if checked is block:
                self._cuts[row] = cuts
            block = checked
        start, stop = self.bounds[number : number + 2]
        passes = len(self.bounds) - 1
        rows = int(block.shape[0]), int(block.shape[1])
        every = sparse_view((block.data, block.indices, cuts), (rows[0] * passes, rows[1]))
        found = every[number::passes]
        found.indices -= start
        return sparse_view((found.data, found.indices, found.indptr), (rows[0], stop - start))


def cut_rows(
    indptr: NDArray[np.integer], indices: NDArray[np.integer], bounds: list[int]
) -> NDArray[np.integer]:
    """Return the pointers of a matrix whose rows are cut into runs of columns.

    Parameters
    ----------
    indptr, indices
        Of a CSR matrix with sorted indices.
    bounds
        Where a run of columns begins, from 0, and last how many columns there are.

    Examples
    --------
    >>> cut_rows(np.array([0, 2, 3]), np.array([0, 5, 2]), [0, 3, 6]).tolist()
    [0, 1, 2, 3, 3]
    """
    wanted = np.asarray(bounds[:-1])
    low = np.repeat(indptr[:-1, None], len(wanted), axis=1)
    high = np.repeat(indptr[1:, None], len(wanted), axis=1)
    # A binary search in all rows at once.
    while (is_open := low < high).any():
        middle = (low + high) // 2
        is_less = is_open & (np.take(indices, middle, mode="clip") < wanted)
        low = np.where(is_less, middle + 1, low)
        high = np.where(is_open & ~is_less, middle, high)
    return np.append(low.ravel(), indptr[-1]).astype(indices.dtype)
