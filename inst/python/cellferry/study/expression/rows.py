"""A matrix that only its rows are asked of, wherever its values are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix


class RowMatrix(ABC):
    """A matrix of cells x genes, wherever its values are, that is read by cells.

    :class:`~cellferry.study.expression.matrix.MatrixSource` takes it as any other matrix.

    Attributes
    ----------
    shape
        Cells, genes.
    dtype
        Of the values.
    """

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @abstractmethod
    def __getitem__(self, cells: slice) -> csr_matrix:
        """Return some cells that follow each other, of :attr:`dtype`."""

    @abstractmethod
    def ranges(self, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield ``(start, stop)`` of cells to be read at once, from ``first`` to ``last``.

        Parameters
        ----------
        first, last
            The first cell, and the one after the last.
        most
            Most cells of a range.
        """

    @abstractmethod
    def sample(self, most: int) -> NDArray[np.number]:
        """Return about ``most`` of the stored values, or all, spread over the matrix."""
