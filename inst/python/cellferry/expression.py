"""Expression: a matrix of cells x genes as a source of row blocks that can be read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .errors import InvalidObjectError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csc_matrix, csr_matrix

    from .study import Clusters, ExpressionSource

Axis = Literal["cells", "genes"]

BLOCK_ROWS = 20_000
"""Most cells of one block."""
BLOCK_VALUES = 4_000_000
"""Most values of one block, stored or dense: 32 MB of a sparse matrix."""


class MatrixSource:
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

    def __init__(self, matrix: Any, genes: Sequence[str], wanted: Sequence[str] | None = None):
        if matrix.shape[1] != len(genes):
            message = f"The matrix has {matrix.shape[1]} columns and {len(genes)} gene names."
            raise InvalidObjectError(message)
        self._matrix = matrix
        self._columns: NDArray[np.intp] | None = None
        self.genes = tuple(str(g) for g in genes)
        if wanted is not None:
            position = {gene: i for i, gene in reversed(list(enumerate(self.genes)))}
            kept = [g for g in wanted if g in position]
            self._columns = np.array([position[g] for g in kept], dtype=np.intp)
            self.genes = tuple(kept)
        self.shape: tuple[int, int] = (int(matrix.shape[0]), len(self.genes))

    def only(self, wanted: Sequence[str]) -> MatrixSource:
        """Return the same matrix with only some of its genes."""
        if self._columns is not None:
            message = "A source of some genes cannot be narrowed again."
            raise ValueError(message)
        return MatrixSource(self._matrix, self.genes, wanted)

    def renamed(self, genes: Sequence[str]) -> MatrixSource:
        """Return the same matrix under other names of its genes."""
        if self._columns is not None:
            message = "A source of some genes cannot be renamed."
            raise ValueError(message)
        return MatrixSource(self._matrix, genes)

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
    def most_values(self) -> int | None:
        """How many values are stored, at most; None where only reading tells."""
        return int(self._matrix.nnz) if hasattr(self._matrix, "nnz") else None

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield ``(row_start, CSR block)`` in row order."""
        for start, stop in self._cuts("cells", BLOCK_ROWS):
            block = _compressed(self._matrix[start:stop], "cells")
            if self._columns is not None:
                block = block[:, self._columns]
                block.sort_indices()
            yield start, block

    def blocks(self, most: int = BLOCK_ROWS) -> Iterator[tuple[int, csr_matrix | csc_matrix]]:
        """Yield ``(start, block)`` along :attr:`axis`, compressed along it, covering it once.

        The blocks of a sparse matrix in memory share its arrays: read them, never change
        them, and take :func:`canonical` of each. None has more than ``most`` cells (or
        genes) or :data:`BLOCK_VALUES` values, unless a single one has more.
        """
        matrix, axis = self._matrix, self.axis
        if self._columns is not None:
            yield from self
            return
        for start, stop in self._cuts(axis, most):
            if _in_memory(matrix, axis):
                yield start, _shared(matrix, start, stop, axis)
            else:
                part = matrix[start:stop] if axis == "cells" else matrix[:, start:stop]
                yield start, _compressed(part, axis)

    def values_of(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Return the stored values of some rows, given in ascending order."""
        return np.asarray(_compressed(self._matrix[rows], "cells").data)

    def _cuts(self, axis: Axis, most: int) -> Iterator[tuple[int, int]]:
        length = int(self._matrix.shape[0 if axis == "cells" else 1])
        indptr = _pointers(self._matrix, axis)
        if indptr is not None:
            yield from cuts(indptr, BLOCK_VALUES, most)
            return
        across = max(1, int(self._matrix.shape[1 if axis == "cells" else 0]))
        step = max(1, min(most, BLOCK_VALUES // across)) if _is_dense(self._matrix) else most
        for start in range(0, length, step):
            yield start, min(start + step, length)


def cuts(indptr: NDArray[Any], values: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield ``(start, stop)`` of runs of rows with at most ``values`` values and ``most`` rows.

    A row with more values is a run of its own.

    Examples
    --------
    >>> list(cuts(np.array([0, 2, 4, 9, 9, 10]), values=4, most=9))
    [(0, 2), (2, 3), (3, 5)]
    """
    length, start = len(indptr) - 1, 0
    while start < length:
        within = int(np.searchsorted(indptr, indptr[start] + values, side="right")) - 1
        stop = min(max(within, start + 1), start + most, length)
        yield start, stop
        start = stop


def _is_dense(matrix: Any) -> bool:
    return not hasattr(matrix, "format")


def _in_memory(matrix: Any, axis: Axis) -> bool:
    wanted = "csr" if axis == "cells" else "csc"
    return getattr(matrix, "format", "") == wanted and hasattr(matrix, "indptr")


def _pointers(matrix: Any, axis: Axis) -> NDArray[Any] | None:
    """Return the pointers of a matrix compressed along the axis, in memory or backed."""
    if _in_memory(matrix, axis):
        return np.asarray(matrix.indptr)
    wanted = "csr" if axis == "cells" else "csc"
    if getattr(matrix, "format", "") == wanted and hasattr(matrix, "group"):
        return np.asarray(matrix.group["indptr"][:])
    return None


def _shared(matrix: Any, start: int, stop: int, axis: Axis) -> csr_matrix | csc_matrix:
    pointers = matrix.indptr[start : stop + 1]
    first, last = int(pointers[0]), int(pointers[-1])
    arrays = (matrix.data[first:last], matrix.indices[first:last], pointers - first)
    across = int(matrix.shape[1 if axis == "cells" else 0])
    shape = (stop - start, across) if axis == "cells" else (across, stop - start)
    block: csr_matrix | csc_matrix = sharing(arrays, shape, axis)
    return block


def sharing(
    arrays: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    shape: tuple[int, int],
    axis: Axis = "cells",
) -> Any:
    """Return ``(data, indices, indptr)`` as a sparse matrix of these very arrays, unchecked.

    SciPy's constructor copies what is a view of arrays of twice the size, ``copy=False`` or not.

    Examples
    --------
    >>> whole = np.arange(9.0)
    >>> block = sharing((whole[2:4], np.array([0, 2]), np.array([0, 2])), (1, 3))
    >>> block.toarray().tolist(), np.shares_memory(block.data, whole)
    ([[2.0, 0.0, 3.0]], True)
    """
    from scipy.sparse import csc_matrix, csr_matrix

    made = (csr_matrix if axis == "cells" else csc_matrix)(shape, dtype=arrays[0].dtype)
    made.data, made.indices, made.indptr = arrays
    return made


@dataclass(frozen=True)
class Rows:
    """Blocks that follow each other and are not put together yet.

    Putting together takes long enough to be done by the thread that works on the block.
    """

    blocks: tuple[csr_matrix, ...]

    def together(self) -> csr_matrix:
        """Return one block."""
        from scipy.sparse import csr_matrix

        if len(self.blocks) == 1:
            return self.blocks[0]
        ends = np.cumsum([0, *(block.nnz for block in self.blocks)])
        pointers = [b.indptr[1:] + end for b, end in zip(self.blocks, ends[:-1], strict=True)]
        arrays = (
            np.concatenate([block.data for block in self.blocks]),
            np.concatenate([block.indices for block in self.blocks]),
            np.concatenate([[0], *pointers]).astype(np.int32),
        )
        n_rows = sum(int(block.shape[0]) for block in self.blocks)
        return csr_matrix(arrays, shape=(n_rows, self.blocks[0].shape[1]), copy=False)


def canonical(block: Any) -> Any:
    """Return a block with sorted indices and no duplicates: itself, or a copy if it has to.

    Looking takes long enough to be done by the thread that works on the block.
    """
    if isinstance(block, Rows):
        block = block.together()
    if block.has_canonical_format:
        return block
    block = block.copy()
    block.sum_duplicates()
    return block


def _compressed(part: Any, axis: Axis) -> Any:
    """Return rows or columns that belong to nobody else as a canonical sparse matrix."""
    from scipy.sparse import csc_matrix, csr_matrix

    if hasattr(part, "compute"):
        part = part.compute()
    block = csr_matrix(part) if axis == "cells" else csc_matrix(part)
    block.sum_duplicates()
    return block


class BlockSource:
    """Row blocks that arrived from elsewhere (R), kept as they came.

    Parameters
    ----------
    n_cells, genes
        The shape they must fill.
    """

    in_memory = True

    def __init__(self, n_cells: int, genes: Sequence[str]) -> None:
        self.genes = tuple(genes)
        self.shape: tuple[int, int] = (n_cells, len(self.genes))
        self._blocks: list[tuple[int, csr_matrix]] = []
        self.rows_received = 0
        """How many rows have arrived."""

    @property
    def nnz(self) -> int:
        """How many values have arrived; a Python integer, so it may pass 2^31."""
        return sum(int(block.nnz) for _, block in self._blocks)

    def append(
        self,
        row_start: int,
        indptr: NDArray[np.int32],
        indices: NDArray[np.int32],
        data: NDArray[np.float64],
    ) -> None:
        """Take the next block; raises :class:`InvalidObjectError` if it does not fit."""
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


def block_from_arrays(
    rows: tuple[int, int],
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    data: NDArray[Any],
    shape: tuple[int, int],
) -> csr_matrix:
    """Return a block of a matrix from the arrays of its CSR form, which it shares.

    Parameters
    ----------
    rows
        The row that it begins at, and the one that comes next.
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
    block: csr_matrix = sharing((data, indices, indptr), (n_rows, shape[1]))
    return block if block.has_sorted_indices else block.sorted_indices()


def fraction_expressed(source: ExpressionSource, clusters: Clusters) -> NDArray[np.float64] | None:
    """Return the fraction of cells of each cluster with a value above zero.

    Shape clusters x genes of the source, values 0..1; one read of the source. It is
    Seurat's ``pct.1`` and scanpy's ``pct_nz_group``. None for a source with negative
    values: those are scaled data, in which "above zero" says nothing.
    """
    from scipy.sparse import csr_matrix

    if clusters.codes is None:
        message = "Clusters without cells have no expression."
        raise ValueError(message)
    n_clusters = len(clusters.names)
    expressed = np.zeros((n_clusters, source.shape[1]))
    for start, block in source:
        if block.nnz and block.data.min() < 0:
            return None
        codes = clusters.codes[start : start + block.shape[0]]
        rows = np.flatnonzero(codes >= 0)
        member = csr_matrix(
            (np.ones(len(rows)), (codes[rows], rows)), shape=(n_clusters, block.shape[0])
        )
        above = sharing((block.data > 0, block.indices, block.indptr), block.shape)
        expressed += (member @ above.astype(np.float64)).toarray()
    sizes = np.bincount(clusters.codes[clusters.codes >= 0], minlength=n_clusters)
    return np.asarray(expressed / np.maximum(sizes, 1)[:, None])
