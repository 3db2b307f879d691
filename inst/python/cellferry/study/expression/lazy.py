"""Matrices of dask, such as ``anndata.experimental.read_lazy()`` makes them, read by cells."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .blocks import BLOCK_VALUES
from .on_disk import LateMatrix, put_on_disk
from .rows import RowMatrix
from .source import runs_of, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

LOOKED_AT = 8
"""Blocks of dask of which values are looked at."""


def is_lazy(matrix: object) -> bool:
    """Whether this is an array of dask, without importing dask."""
    return hasattr(matrix, "compute") and hasattr(matrix, "dask") and hasattr(matrix, "chunks")


def rows_of_lazy(array: Any) -> RowMatrix:
    """Return an array of dask as a matrix that is read by cells.

    One whose blocks are of genes is put on the disk in the order of cells when it is first read:
    every run of cells would compute all of it.

    Parameters
    ----------
    array
        Cells x genes; its blocks are of NumPy or SciPy.
    """
    if array.dtype == np.float16:
        # SciPy has no sparse matrix of these.
        array = array.astype(np.float32)
    by_cells = LazyMatrix(array)
    if getattr(array._meta, "format", "") != "csc":
        return by_cells
    ends = np.cumsum([0, *array.chunks[1]])

    def pieces() -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        for start, stop in pairwise(ends):
            block = array[:, start:stop].compute().tocoo()
            yield block.row, block.col + start, block.data

    def turned() -> RowMatrix:
        return put_on_disk(pieces, by_cells.shape, None, by_cells.dtype, by_cells.dtype)

    def sample(most: int) -> NDArray[np.number]:
        chosen = spread(len(ends) - 1, LOOKED_AT)
        blocks = (array[:, ends[i] : ends[i + 1]].compute().data for i in chosen)
        return np.concatenate([runs_of(values, most // len(chosen)) for values in blocks])

    return LateMatrix(turned, by_cells.shape, by_cells.dtype, sample)


class LazyMatrix(RowMatrix):
    """An array of dask that is kept by cells.

    Parameters
    ----------
    array
        Cells x genes; its blocks are of NumPy or SciPy.
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape = (int(array.shape[0]), int(array.shape[1]))
        self.dtype = np.dtype(array.dtype)
        self._ends = np.cumsum([0, *array.chunks[0]])

    def __getitem__(self, cells: slice) -> csr_matrix:
        """Return some cells, computed by dask."""
        from scipy.sparse import csr_matrix

        start, stop, _ = cells.indices(self.shape[0])
        if start >= stop:
            return csr_matrix((0, self.shape[1]), dtype=self.dtype)
        return csr_matrix(self._array[start:stop].compute())

    def ranges(self, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield ranges that end where a block of dask ends, so that none is computed twice.

        They have as many values, zeros included, as a block of another matrix may have, or are
        one block of dask that has more.
        """
        cells = max(1, BLOCK_VALUES // max(1, self.shape[1]))
        start = first
        while start < last:
            block_end = int(self._ends[np.searchsorted(self._ends, start, "right")])
            within = int(self._ends[np.searchsorted(self._ends, start + cells, "right") - 1])
            stop = min(max(block_end, within), start + most, last)
            yield start, stop
            start = stop

    def sample(self, most: int) -> NDArray[np.number]:
        """Return values of blocks of dask that are spread over the cells."""
        ranges = list(self.ranges(0, self.shape[0], max(1, self.shape[0])))
        is_small = self.shape[0] * self.shape[1] <= most
        found: list[NDArray[np.number]] = []
        if not ranges:
            return np.empty(0)
        chosen = spread(len(ranges), len(ranges) if is_small else LOOKED_AT)
        for place in chosen:
            values = self[slice(*ranges[place])].data
            found.append(values if is_small else runs_of(values, most // len(chosen)))
        return np.concatenate(found)
