"""A matrix that only its rows are asked of, wherever its values are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from .origin import Origin


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

    def origin(self, columns: Sequence[int] | None) -> Origin | None:  # noqa: ARG002
        """Return where it is in files; None of what cannot be opened by a path.

        Parameters
        ----------
        columns
            Which of its columns are wanted; None is all.
        """
        return None

    def values_by_row(self) -> NDArray[np.int64]:
        """Return how many values each cell has.

        Raises
        ------
        NotImplementedError
            Only reading shows it.
        """
        raise NotImplementedError

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
