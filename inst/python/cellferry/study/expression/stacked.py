"""Matrices of several files, the cells of one after those of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .origin import STACKED, Origin
from .rows import RowMatrix

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from .matrix import MatrixSource


class StackedMatrix(RowMatrix):
    """Matrices of the same genes, the cells of one after those of the other.

    Parameters
    ----------
    parts
        At least one; all have the same genes in the same order, none is kept by genes.
    """

    def __init__(self, parts: Sequence[MatrixSource]) -> None:
        self._parts = tuple(parts)
        self._ends = np.cumsum([0, *(part.shape[0] for part in parts)])
        self.shape = (int(self._ends[-1]), parts[0].shape[1])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def __getitem__(self, cells: slice) -> csr_matrix:
        """Return some cells, which may be of several parts."""
        from scipy.sparse import csr_matrix, vstack

        start, stop, _ = cells.indices(self.shape[0])
        found = []
        for part, begin, end in zip(self._parts, self._ends, self._ends[1:], strict=False):
            low, high = max(start, int(begin)), min(stop, int(end))
            if low < high:
                block = part.rows(low - int(begin), high - int(begin))
                found.append(block.astype(self.dtype, copy=False))
        if not found:
            return csr_matrix((max(0, stop - start), self.shape[1]), dtype=self.dtype)
        whole: csr_matrix = found[0] if len(found) == 1 else vstack(found, format="csr")
        return whole

    def origin(self, columns: Sequence[int] | None) -> Origin | None:
        """Return where the parts are; None where one is in no file."""
        parts = [part.origin for part in self._parts]
        found = tuple(part for part in parts if part is not None)
        if len(found) < len(parts):
            return None
        return Origin("", "", "", None if columns is None else tuple(columns), STACKED, found)

    def values_by_row(self) -> NDArray[np.int64]:
        """Return how many values each cell has; raises NotImplementedError if a part can't say."""
        counts = [part.values_by_line() for part in self._parts]
        return np.concatenate(counts)

    def ranges(self, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges of each part: none is of two."""
        for part, begin, end in zip(self._parts, self._ends, self._ends[1:], strict=False):
            low, high = max(first, int(begin)), min(last, int(end))
            if low < high:
                for start, stop in part.ranges(low - int(begin), high - int(begin), most):
                    yield start + int(begin), stop + int(begin)

    def sample(self, most: int) -> NDArray[np.number]:
        """Return values of all parts, of each as many as its share of the cells."""
        n_cells = max(1, self.shape[0])
        found = [
            part.sample_values(max(1, most * part.shape[0] // n_cells))
            for part in self._parts
            if part.shape[0]
        ]
        return np.concatenate(found) if found else np.empty(0)
