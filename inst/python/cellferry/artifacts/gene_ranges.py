"""The genes of a matrix in memory that is kept by cell, one range of genes after another.

A range is cut out of every row into memory that was used before, and transposed from there. As it
has few genes, of which each is written from its first cell to its last, all that is written to at
one time is in the processor's cache, and every value is in its place at once: nothing is joined,
and no second matrix is in memory. Ranges are independent of each other: each thread has one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..study.expression.blocks import sparse_view
from ..study.expression.source import runs_of, spread
from .vars_h5.transpose import transpose_into

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ..study.expression.source import Block

RANGE_VALUES = 2_000_000
"""Values of a range: 32 MB for each thread."""
MOST_RANGES = 40
"""A larger matrix has larger ranges: the fewer values of a row a range has, the longer it takes to
cut them out."""
SAMPLED_VALUES = 1_000_000
"""Values whose genes are counted to find ranges of about as many values."""
CUT_AT_ONCE = 8_192
"""Places that are searched at once, so that they stay in the processor's cache."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Cut:
    """A block of cells, and where its rows are cut: as many rows for each cell as ranges."""

    block: csr_matrix
    pointers: NDArray[Any]


class _Memory:
    """What one thread needs for a range: values as they are kept, and transposed."""

    def __init__(self, most: int, index: np.dtype, dtype: np.dtype) -> None:
        self.cut = np.empty(most, index), np.empty(most, dtype)
        self.turned = np.empty(most, np.int32), np.empty(most, dtype)


class GeneRanges:
    """Gives a matrix by ranges of genes.

    Parameters
    ----------
    blocks
        All cells, in order; they are kept, and must be parts of what is in memory anyway.
    n_genes
        How many genes they have.
    """

    def __init__(self, blocks: Sequence[csr_matrix], n_genes: int) -> None:
        self._blocks = blocks
        self._cuts: list[_Cut | None] = [None] * len(blocks)
        self.bounds = _bounds(blocks, n_genes)
        """First gene of each range, and last how many genes there are."""
        self._most = 0
        self._places = [0]
        self._free: deque[_Memory] = deque()

    def cut(self, number: int) -> None:
        """Find where the rows of a block are cut; on any thread, before :meth:`turned`.

        The block is canonical.
        """
        block = self._blocks[number]
        pointers = cut_rows(block.indptr, block.indices, self.bounds)
        self._cuts[number] = _Cut(block, pointers)

    def measure(self) -> None:
        """Find how large the ranges are, after every block was cut."""
        n = len(self.bounds) - 1
        sizes = np.zeros(n, np.int64)
        for cut in self._every():
            sizes += np.diff(cut.pointers).reshape(-1, n).sum(axis=0, dtype=np.int64)
        self._most = int(sizes.max(initial=0))
        self._places = [0, *np.cumsum(sizes).tolist()]

    def turned(self, number: int, work: Callable[[int, Block, int], _Result]) -> _Result:
        """Return what ``work`` makes of a range; on any thread.

        Parameters
        ----------
        number
            Of the range.
        work
            Called with its first gene, its values, cells x genes, compressed by genes, and how many
            values there are before them. Their memory is used again as soon as it returns.
        """
        try:
            memory = self._free.pop()
        except IndexError:
            block = self._blocks[0]
            memory = _Memory(self._most, block.indices.dtype, block.data.dtype)
        try:
            return work(self.bounds[number], self._range(number, memory), self._places[number])
        finally:
            self._free.append(memory)

    def _every(self) -> list[_Cut]:
        return [cut for cut in self._cuts if cut is not None]

    def _range(self, number: int, memory: _Memory) -> Block:
        n = len(self.bounds) - 1
        start, stop = self.bounds[number : number + 2]
        place, lengths = 0, [np.zeros(1, np.int64)]
        for cut in self._every():
            lengths.append(cut.pointers[number + 1 :: n] - cut.pointers[number:-1:n])
            size = int(lengths[-1].sum())
            here = slice(place, place + size)
            _cut_out(cut, number, n, memory.cut[0][here], memory.cut[1][here])
            place += size
        pointers = np.cumsum(np.concatenate(lengths))
        indices, data = (values[:place] for values in memory.cut)
        made = memory.turned[0][:place], memory.turned[1][:place]
        # The genes before the range have no values here.
        shape = (len(pointers) - 1, stop)
        every = transpose_into(shape, (pointers, indices, data), *made)
        block = sparse_view((made[1], made[0], every[start:]), (shape[0], stop - start), "genes")
        block.has_canonical_format = True
        return block


def _cut_out(
    cut: _Cut,
    number: int,
    n: int,
    indices: NDArray[Any],
    data: NDArray[np.number],
) -> None:
    """Put the values of one of ``n`` ranges of a block, row by row, into two arrays."""
    block, n_rows = cut.block, len(cut.pointers) - 1
    try:
        # What slicing rows calls, which would make arrays of its own.
        from scipy.sparse._sparsetools import csr_row_slice
    except ImportError:
        every = sparse_view(
            (block.data, block.indices, cut.pointers), (n_rows, int(block.shape[1]))
        )
        found = every[number::n]
        indices[:], data[:] = found.indices, found.data
        return
    csr_row_slice(number, n_rows, n, cut.pointers, block.indices, block.data, indices, data)


def _bounds(blocks: Sequence[csr_matrix], n_genes: int) -> list[int]:
    """Return where ranges begin, so that they have about as many values each."""
    n_values = sum(int(block.nnz) for block in blocks)
    n = min(MOST_RANGES, -(-n_values // RANGE_VALUES))
    if n < 2 or n_genes < 2:
        return [0, n_genes]
    chosen = [blocks[i] for i in spread(len(blocks), 16)]
    seen = np.concatenate([runs_of(b.indices, SAMPLED_VALUES // len(chosen)) for b in chosen])
    # One value more for each gene: there is an end for the genes that were not seen.
    counts = np.cumsum(np.bincount(seen, minlength=n_genes) + 1 / n_genes)
    ends = np.searchsorted(counts, counts[-1] * np.arange(1, n) / n) + 1
    return [int(bound) for bound in np.unique([0, *ends, n_genes])]


def cut_rows(
    indptr: NDArray[np.integer], indices: NDArray[np.integer], bounds: Sequence[int]
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
    n_rows, wanted = len(indptr) - 1, np.asarray(bounds[1:-1], indices.dtype)
    cuts = np.empty((n_rows, len(bounds) - 1), indices.dtype)
    cuts[:, 0] = indptr[:-1]
    step = max(1, CUT_AT_ONCE // max(1, len(wanted)))
    for start in range(0, n_rows if len(wanted) else 0, step):
        rows = slice(start, min(start + step, n_rows))
        pointers = indptr[rows.start : rows.stop + 1].astype(np.intp)
        first, last = int(pointers[0]), int(pointers[-1])
        cuts[rows, 1:] = _search(pointers - first, indices[first:last], wanted) + first
    return np.append(cuts.ravel(), indptr[-1]).astype(indices.dtype, copy=False)


def _search(
    pointers: NDArray[np.intp], indices: NDArray[np.integer], wanted: NDArray[np.integer]
) -> NDArray[np.intp]:
    """Return rows x wanted: where each would be put in; a binary search in all rows at once."""
    low = np.repeat(pointers[:-1, None], len(wanted), axis=1)
    high = np.repeat(pointers[1:, None], len(wanted), axis=1)
    longest = int(np.diff(pointers).max())
    step = 1 << longest.bit_length() >> 1
    while step:
        at = low + (step - 1)
        is_less = np.take(indices, at, mode="clip") < wanted
        is_less &= at < high
        low += is_less * step
        step >>= 1
    return low
