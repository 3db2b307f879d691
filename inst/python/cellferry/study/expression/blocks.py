"""Blocks of rows of a sparse matrix: how they are cut, shared, joined and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

import numpy as np

from ...errors import InvalidObjectError
from .source import RUNS, Axis, Block, BlockRun, ExpressionSource, Matrix, runs_of, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    Arrays: TypeAlias = tuple[
        NDArray[np.number | np.bool_], NDArray[np.integer], NDArray[np.integer]
    ]


BLOCK_ROWS = 20_000
"""Most cells of one block."""
BLOCK_VALUES = 4_000_000
"""Most values of one block, stored or dense: 32 MB of a sparse matrix."""


def row_ranges(indptr: NDArray[np.integer], values: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield ``(start, stop)`` of runs of rows with at most ``values`` values and ``most`` rows.

    A row with more values is a run of its own.

    Parameters
    ----------
    indptr
        Pointers of a sparse matrix, one more than its rows.
    values, most
        Most values and most rows of a run.

    Examples
    --------
    >>> list(row_ranges(np.array([0, 2, 4, 9, 9, 10]), values=4, most=9))
    [(0, 2), (2, 3), (3, 5)]
    """
    length, start = len(indptr) - 1, 0
    while start < length:
        within = int(np.searchsorted(indptr, indptr[start] + values, side="right")) - 1
        stop = min(max(within, start + 1), start + most, length)
        yield start, stop
        start = stop


@overload
def sparse_view(
    arrays: Arrays, shape: tuple[int, int], axis: Literal["cells"] = "cells"
) -> csr_matrix: ...


@overload
def sparse_view(arrays: Arrays, shape: tuple[int, int], axis: Axis) -> Block: ...


def sparse_view(arrays: Arrays, shape: tuple[int, int], axis: Axis = "cells") -> Block:
    """Return ``(data, indices, indptr)`` as a sparse matrix of these very arrays, unchecked.

    SciPy's constructor copies what is a view of arrays of twice the size, ``copy=False`` or not.

    Parameters
    ----------
    arrays
        ``data``, ``indices`` and ``indptr``.
    shape
        Cells x genes.
    axis
        Along what it is compressed: ``"cells"`` makes a CSR, ``"genes"`` a CSC matrix.

    Examples
    --------
    >>> whole = np.arange(9.0)
    >>> block = sparse_view((whole[2:4], np.array([0, 2]), np.array([0, 2])), (1, 3))
    >>> block.toarray().tolist(), np.shares_memory(block.data, whole)
    ([[2.0, 0.0, 3.0]], True)
    """
    from scipy.sparse import csc_matrix, csr_matrix

    made = csr_matrix(shape) if axis == "cells" else csc_matrix(shape)
    for name, values in zip(("data", "indices", "indptr"), arrays, strict=True):
        setattr(made, name, values)
    return made


def lines_between(matrix: Matrix, start: int, stop: int, axis: Axis) -> Block:
    """Return some lines of a matrix in memory that is compressed along them; they share its arrays.

    Parameters
    ----------
    matrix
        Cells x genes.
    start, stop
        The first line, and the one after the last.
    axis
        What a line is: ``"cells"`` in CSR, ``"genes"`` in CSC form.

    Examples
    --------
    >>> from scipy.sparse import csc_matrix
    >>> lines_between(csc_matrix([[1.0, 0.0], [0.0, 2.0]]), 1, 2, "genes").toarray().tolist()
    [[0.0], [2.0]]
    """
    pointers = matrix.indptr[start : stop + 1]
    first, last = int(pointers[0]), int(pointers[-1])
    arrays = (matrix.data[first:last], matrix.indices[first:last], pointers - first)
    across = int(matrix.shape[1 if axis == "cells" else 0])
    shape = (stop - start, across) if axis == "cells" else (across, stop - start)
    return sparse_view(arrays, shape, axis)


def canonical(block: Block | BlockRun) -> Block:
    """Return a block with sorted indices and no duplicates: itself, or a copy if it has to.

    Looking takes long enough to be done by the thread that works on the block.
    """
    if isinstance(block, BlockRun):
        block = block.concat()
    if block.has_canonical_format:
        return block
    block = block.copy()
    block.sum_duplicates()
    return block


@overload
def _compressed(part: Matrix, axis: Literal["cells"]) -> csr_matrix: ...


@overload
def _compressed(part: Matrix, axis: Axis) -> Block: ...


def _compressed(part: Matrix, axis: Axis) -> Block:
    """Return rows or columns that belong to nobody else as a canonical sparse matrix."""
    from scipy.sparse import csc_matrix, csr_matrix

    if hasattr(part, "compute"):
        part = part.compute()
    if part.dtype == np.float16:
        # SciPy has no sparse matrix of these.
        part = part.astype(np.float32)
    block = csr_matrix(part) if axis == "cells" else csc_matrix(part)
    block.sum_duplicates()
    return block


class BlockSource(ExpressionSource):
    """Row blocks that arrived from elsewhere (R), kept as they came.

    Parameters
    ----------
    n_cells, genes
        The shape they must fill.
    """

    def __init__(self, n_cells: int, genes: Sequence[str]) -> None:
        self.genes = tuple(genes)
        self.shape: tuple[int, int] = (n_cells, len(self.genes))
        self._blocks: list[tuple[int, csr_matrix]] = []
        self.rows_received = 0
        """How many rows have arrived."""

    @property
    def in_memory(self) -> bool:
        """The blocks are kept."""
        return True

    @property
    def shares_memory(self) -> bool:
        """Where they are in memory."""
        return self.in_memory

    @property
    def nnz(self) -> int:
        """How many values have arrived; a Python integer, so it may pass 2^31."""
        return sum(int(block.nnz) for _, block in self._blocks)

    @property
    def stored_values(self) -> int | None:
        """How many values there are, once every row has arrived."""
        return self.nnz if self.rows_received == self.shape[0] else None

    def append(
        self,
        row_start: int,
        indptr: NDArray[np.int32],
        indices: NDArray[np.int32],
        data: NDArray[np.float64],
    ) -> None:
        """Take the next block; raises :class:`InvalidObjectError` if it does not fit.

        Parameters
        ----------
        row_start
            The first row of the block; it must follow the last block.
        indptr, indices, data
            Arrays of its CSR form.

        Raises
        ------
        InvalidObjectError
            The block does not fit.
        """
        block = block_from_arrays(
            (row_start, self.rows_received), indptr, indices, data, self.shape
        )
        self.rows_received += int(block.shape[0])
        self._keep(row_start, block)

    def _keep(self, row_start: int, block: csr_matrix) -> None:
        self._blocks.append((row_start, block))

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield the blocks in row order."""
        yield from self._blocks

    def sample_values(self, most: int) -> NDArray[np.number]:
        """Return values of blocks spread over the matrix."""
        if not self._blocks:
            # A subclass has them elsewhere.
            return super().sample_values(most)
        several = len(self._blocks) if self.nnz <= most else RUNS
        chosen = [self._blocks[i][1].data for i in spread(len(self._blocks), several)]
        share = most if self.nnz <= most else most // len(chosen)
        return np.concatenate([runs_of(values, share) for values in chosen])


def block_from_arrays(
    rows: tuple[int, int],
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    data: NDArray[np.number],
    shape: tuple[int, int],
) -> csr_matrix:
    """Return a block of a matrix from the arrays of its CSR form, which it shares.

    Parameters
    ----------
    rows
        The row that it begins at, and the one that comes next.
    indptr, indices, data
        The arrays.
    shape
        Of the whole matrix.

    Raises
    ------
    InvalidObjectError
        It does not fit.
    """
    row_start, following = rows
    n_rows = len(indptr) - 1
    fits = (
        row_start == following
        and n_rows >= 0
        and row_start + n_rows <= shape[0]
        and (n_rows < 0 or (indptr[0] == 0 and indptr[-1] == len(indices) == len(data)))
        and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < shape[1]))
        and bool(np.all(np.diff(indptr) >= 0))
    )
    if not fits:
        message = f"The block of {n_rows} rows at row {row_start} does not fit the matrix."
        raise InvalidObjectError(message, "The sparse matrix of the object is damaged.")
    block = sparse_view((data, indices, indptr), (n_rows, shape[1]))
    return block if block.has_sorted_indices else block.sorted_indices()
