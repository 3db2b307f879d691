"""A matrix of cells x genes in memory or in a file, as a source that can be read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidObjectError
from .blocks import BLOCK_ROWS, BLOCK_VALUES, _compressed, lines_between, row_ranges
from .lazy import is_lazy, rows_of_lazy
from .origin import Origin, origin_of
from .rows import RowMatrix
from .source import RUNS, Axis, Block, ExpressionSource, Matrix, runs_of, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix


CHUNKS_OF_A_FILE = 32
"""Chunks of a dense matrix in a file that are looked at; they are about 1 MB each."""


class MatrixSource(ExpressionSource):
    """A matrix in memory or on disk: NumPy, SciPy sparse, or a backed AnnData matrix.

    Parameters
    ----------
    matrix
        n cells x n genes; anything that can be sliced by rows.
    genes
        Names of all its columns.
    wanted
        Only these columns, in this order; names that do not exist are left out.
    """

    def __init__(self, matrix: Matrix, genes: Sequence[str], wanted: Sequence[str] | None = None):
        if matrix.shape[1] != len(genes):
            message = f"The matrix has {matrix.shape[1]} columns and {len(genes)} gene names."
            raise InvalidObjectError(message)
        self._matrix: Matrix = rows_of_lazy(matrix) if is_lazy(matrix) else matrix
        self._columns: NDArray[np.intp] | None = None
        self.genes = tuple(map(str, genes))
        if wanted is not None:
            position = {gene: i for i, gene in reversed(list(enumerate(self.genes)))}
            kept = [g for g in wanted if g in position]
            self._columns = np.array([position[g] for g in kept], dtype=np.intp)
            self.genes = tuple(kept)
        self.shape: tuple[int, int] = (int(matrix.shape[0]), len(self.genes))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its blocks, none of which has half precision: SciPy has no such matrix."""
        found: np.dtype[Any] = np.dtype(self._matrix.dtype)
        return np.dtype(np.float32) if found == np.float16 else found

    @classmethod
    def of_columns(
        cls, matrix: Matrix, genes: Sequence[str], columns: Sequence[int]
    ) -> MatrixSource:
        """Return some columns of a matrix under the names that are given for them."""
        made = cls(matrix, [""] * int(matrix.shape[1]))
        made._columns = np.asarray(columns, dtype=np.intp)
        made.genes = tuple(genes)
        made.shape = (made.shape[0], len(made.genes))
        return made

    def only(self, wanted: Sequence[str]) -> MatrixSource:
        """Return the same matrix with only some of its genes.

        Parameters
        ----------
        wanted
            Names of genes, in the order they are to have; unknown ones are left out.

        Raises
        ------
        ValueError
            It has only some of the genes already.
        """
        if self._columns is not None:
            message = "A source of some genes cannot be narrowed again."
            raise ValueError(message)
        return MatrixSource(self._matrix, self.genes, wanted)

    @property
    def axis(self) -> Axis:
        """What :meth:`blocks` are made of: a matrix kept by genes is best read by genes."""
        by_genes = getattr(self._matrix, "format", "") == "csc" and self._columns is None
        return "genes" if by_genes else "cells"

    @property
    def in_memory(self) -> bool:
        """Whether the matrix is in memory, not in a file."""
        return isinstance(self._matrix, np.ndarray) or hasattr(self._matrix, "nnz")

    @property
    def shares_memory(self) -> bool:
        """Whether the blocks share the arrays of the matrix."""
        return self._columns is None and _in_memory(self._matrix, self.axis)

    @property
    def stored_values(self) -> int | None:
        """How many values are stored, at most; None where only reading shows it."""
        return int(self._matrix.nnz) if hasattr(self._matrix, "nnz") else None

    @property
    def origin(self) -> Origin | None:
        """Where a matrix is in a file; None in memory."""
        columns = None if self._columns is None else self._columns.tolist()
        return None if self.in_memory else origin_of(self._matrix, columns)

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield ``(row_start, CSR block)`` in row order."""
        for start, stop in self._ranges("cells", BLOCK_ROWS):
            yield start, self.rows(start, stop)

    def rows(self, start: int, stop: int) -> csr_matrix:
        """Return some cells as a canonical block."""
        block = _compressed(self._matrix[start:stop], "cells")
        if self._columns is not None:
            block = block[:, self._columns]
            block.sort_indices()
        return block

    def rows_between(self, first: int, last: int) -> Iterator[tuple[int, csr_matrix]]:
        """Yield ``(row_start, block)`` of a range of cells, in row order, as all of them are."""
        for start, stop in self.ranges(first, last, BLOCK_ROWS):
            yield start, self.rows(start, stop)

    def ranges(self, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield ``(start, stop)`` of the cells of each block from ``first`` to ``last``."""
        yield from self._ranges("cells", most, first, last)

    def columns_between(self, first: int, last: int) -> Block:
        """Return some genes of all cells, compressed by genes."""
        return _compressed(self._matrix[:, first:last], "genes")

    def values_by_line(self) -> NDArray[np.int64]:
        """Return how many values each gene (or cell) has, of what is kept along :attr:`axis`."""
        if isinstance(self._matrix, RowMatrix) and self._columns is None:
            return self._matrix.values_by_row()
        indptr = _pointers(self._matrix, self.axis)
        # What is stored of genes that are not wanted is counted there.
        if indptr is None or self._columns is not None:
            raise NotImplementedError
        return np.diff(indptr).astype(np.int64)

    def blocks(self, most: int = BLOCK_ROWS) -> Iterator[tuple[int, Block]]:
        """Yield ``(start, block)`` along :attr:`axis`, compressed along it, covering it once.

        The blocks of a sparse matrix in memory share its arrays: read them, never change
        them, and take :func:`canonical` of each. None has more than ``most`` cells (or
        genes) or :data:`BLOCK_VALUES` values, unless a single one has more.
        """
        matrix, axis = self._matrix, self.axis
        if self._columns is not None:
            yield from self
            return
        for start, stop in self._ranges(axis, most):
            if _in_memory(matrix, axis):
                yield start, lines_between(matrix, start, stop, axis)
            else:
                part = matrix[start:stop] if axis == "cells" else matrix[:, start:stop]
                yield start, _compressed(part, axis)

    def sample_values(self, most: int) -> NDArray[np.number]:
        """Return values spread over the whole matrix, whichever of its genes are wanted.

        Of a sparse matrix runs of the values that are stored, of a dense one some genes of some
        cells, or whole chunks of the file that it is in.
        """
        matrix = self._matrix
        if isinstance(matrix, RowMatrix):
            return matrix.sample(most)
        if getattr(matrix, "format", "") in {"csr", "csc"}:
            # In memory, or a backed matrix of anndata.
            stored = matrix.group["data"] if hasattr(matrix, "group") else matrix.data
            return runs_of(stored, most)
        n_cells, n_genes = map(int, matrix.shape)
        chunks = getattr(matrix, "chunks", None)
        if chunks is not None and all(isinstance(n, int) for n in chunks):
            return _some_chunks(matrix, chunks, most)
        if isinstance(matrix, np.ndarray):
            side = max(1, int(most**0.5))
            genes = spread(n_genes, max(side, most // max(1, n_cells)))
            cells = spread(n_cells, most // max(1, len(genes)))
            return np.asarray(matrix[np.ix_(cells, genes)]).ravel()
        cells = spread(n_cells, max(1, most // max(1, n_genes)))
        if len(cells) == n_cells:
            return np.asarray(_compressed(matrix[:], "cells").data)
        some = cells[spread(len(cells), RUNS)]
        parts = [_compressed(matrix[cell : cell + 1], "cells").data for cell in some]
        return np.concatenate(parts) if parts else np.empty(0)

    def _ranges(
        self, axis: Axis, most: int, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[int, int]]:
        length = int(self._matrix.shape[0 if axis == "cells" else 1]) if last is None else last
        if isinstance(self._matrix, RowMatrix):
            yield from self._matrix.ranges(first, length, most)
            return
        indptr = _pointers(self._matrix, axis, first, length)
        if indptr is not None:
            for start, stop in row_ranges(indptr, BLOCK_VALUES, most):
                yield first + start, first + stop
            return
        across = max(1, int(self._matrix.shape[1 if axis == "cells" else 0]))
        step = max(1, min(most, BLOCK_VALUES // across)) if _is_dense(self._matrix) else most
        for start in range(first, length, step):
            yield start, min(start + step, length)


def _some_chunks(matrix: Matrix, chunks: tuple[int, ...], most: int) -> NDArray[np.number]:
    """Return values of chunks spread over a dense matrix in a file; whole ones are read."""
    counts = [-(-int(n) // size) for n, size in zip(matrix.shape, chunks, strict=True)]
    n_chunks, is_small = counts[0] * counts[1], matrix.shape[0] * matrix.shape[1] <= most
    places = spread(n_chunks, n_chunks if is_small else CHUNKS_OF_A_FILE)
    found = []
    for row, column in zip(*np.unravel_index(places, counts), strict=True):
        rows = slice(int(row) * chunks[0], (int(row) + 1) * chunks[0])
        columns = slice(int(column) * chunks[1], (int(column) + 1) * chunks[1])
        values = matrix[rows, columns].ravel()
        found.append(values if is_small else runs_of(values, most // len(places)))
    return np.concatenate(found) if found else np.empty(0)


def _is_dense(matrix: Matrix) -> bool:
    return not hasattr(matrix, "format")


def _in_memory(matrix: Matrix, axis: Axis) -> bool:
    wanted = "csr" if axis == "cells" else "csc"
    return getattr(matrix, "format", "") == wanted and hasattr(matrix, "indptr")


def _pointers(
    matrix: Matrix, axis: Axis, first: int = 0, last: int | None = None
) -> NDArray[np.integer] | None:
    """Return pointers of a matrix compressed along the axis, in memory or backed."""
    here = slice(first, None if last is None else last + 1)
    if _in_memory(matrix, axis):
        return np.asarray(matrix.indptr[here])
    wanted = "csr" if axis == "cells" else "csc"
    if getattr(matrix, "format", "") == wanted and hasattr(matrix, "group"):
        return np.asarray(matrix.group["indptr"][here])
    return None
