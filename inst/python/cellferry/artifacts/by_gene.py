"""The values of a matrix by gene, whatever it is kept by: one read that markers and files share.

A matrix that is kept by gene is cut as it is. One that is kept by cell is transposed: in memory in
several passes over parts of the genes, so that the transposed part is a fraction of the matrix;
from a file or from R in one pass, whose pieces wait on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..runs.parallel import bounded_map
from ..study.expression.blocks import BLOCK_VALUES, canonical, sparse_view
from .machine import available_memory, processors
from .vars_h5.transpose import Piece, Pieces, Transposed

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from ..runs.worker import Events
    from ..study.expression.source import Block, BlockRun, ExpressionSource

PASSES = 6
"""Passes over a matrix in memory: as many parts of its genes are transposed one after another."""
FEW_VALUES = 4_000_000
"""A smaller matrix is transposed at once."""
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
    """

    source: ExpressionSource
    folder: Path
    pool: ThreadPoolExecutor
    batch: int
    events: Events

    def __iter__(self) -> Iterator[tuple[int, Block]]:
        """Yield ``(first gene, block)``: columns of cells x genes, in order, each gene once."""
        if self.source.axis == "genes":
            yield from self._as_kept()
            return
        n_genes, stored = self.source.shape[1], self.source.stored_values
        several = self.source.in_memory and self.source.rereadable
        few = stored is not None and stored <= FEW_VALUES
        passes = PASSES if several and not few else 1
        bounds = np.linspace(0, n_genes, passes + 1).astype(int).tolist()
        for number, (start, stop) in enumerate(pairwise(bounds)):
            if stop > start:
                yield from self._transposed(start, stop, number, passes)

    def _as_kept(self) -> Iterator[tuple[int, Block]]:
        for start, block in self.source.blocks(BLOCK_VALUES):
            self.events.check()
            yield start, canonical(block)

    def _transposed(
        self, start: int, stop: int, number: int, passes: int
    ) -> Iterator[tuple[int, Block]]:
        n_cells, n_genes = self.source.shape
        whole = stop - start == n_genes
        memory = available_memory() // 3
        memory = memory if self.source.in_memory else min(memory, PIECES_OF_A_FILE)
        file = self.folder / f"genes-{start}.pieces"
        values = self.source.stored_values if whole and self.source.in_memory else None
        blocks = self._blocks(number, passes)
        following = next(blocks, None)
        if following is None:
            return
        pieces = Pieces(memory, file, values)
        dtype = canonical(following[1]).dtype
        turned = Transposed((stop - start, n_cells), dtype, pieces)

        def turn(item: tuple[int, Block | BlockRun]) -> list[Piece]:
            block = canonical(item[1])
            return turned.turned(cast("csr_matrix", block if whole else block[:, start:stop]))

        for made in bounded_map(
            turn, chain([following], blocks), self.pool, self.events, ahead=processors() + 1
        ):
            turned.add(made)
        first = 0
        for last, indices, data in turned.groups(self.pool):
            pointers = turned.indptr[first : last + 1] - turned.indptr[first]
            yield (
                start + first,
                sparse_view((data, indices, pointers), (n_cells, last - first), "genes"),
            )
            first = last
        file.unlink(missing_ok=True)

    def _blocks(self, number: int, passes: int) -> Iterator[tuple[int, Block | BlockRun]]:
        n_cells = self.source.shape[0]
        for row, block in self.source.blocks(self.batch):
            self.events.emit(
                "progress", number * n_cells + row, passes * n_cells, "cells", "Reading the values"
            )
            yield row, block
