"""Expression: a matrix of cells x genes as a source of row blocks that can be read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InvalidObjectError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from .study import Clusters, ExpressionSource

BLOCK_ROWS = 20_000


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

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield ``(row_start, CSR block)`` in row order."""
        from scipy.sparse import csr_matrix

        for start in range(0, self.shape[0], BLOCK_ROWS):
            rows = self._matrix[start : start + BLOCK_ROWS]
            block = csr_matrix(rows)
            if self._columns is not None:
                block = csr_matrix(block[:, self._columns])
            block.sum_duplicates()
            yield start, block


class BlockSource:
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

    @property
    def rows_received(self) -> int:
        """How many rows have arrived."""
        return sum(block.shape[0] for _, block in self._blocks)

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
        from scipy.sparse import csr_matrix

        n_rows = len(indptr) - 1
        fits = (
            row_start == self.rows_received
            and n_rows >= 0
            and row_start + n_rows <= self.shape[0]
            and (n_rows < 0 or (indptr[0] == 0 and indptr[-1] == len(indices) == len(data)))
            and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < self.shape[1]))
            and bool(np.all(np.diff(indptr) >= 0))
        )
        if not fits:
            message = f"The block of {n_rows} rows at row {row_start} does not fit the matrix."
            raise InvalidObjectError(message, "The sparse matrix of the object is damaged.")
        block = csr_matrix((data, indices, indptr), shape=(n_rows, self.shape[1]), copy=False)
        if not block.has_sorted_indices:
            block = block.sorted_indices()
        self._blocks.append((row_start, block))

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield the blocks in row order."""
        yield from self._blocks


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
        above = csr_matrix((block.data > 0, block.indices, block.indptr), shape=block.shape)
        expressed += (member @ above.astype(np.float64)).toarray()
    sizes = np.bincount(clusters.codes[clusters.codes >= 0], minlength=n_clusters)
    return np.asarray(expressed / np.maximum(sizes, 1)[:, None])
