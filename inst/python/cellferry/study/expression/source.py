"""What every source of expression promises to whoever reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csc_matrix, csr_matrix

    from .origin import Origin

Axis = Literal["cells", "genes"]
Block: TypeAlias = "csr_matrix | csc_matrix"
"""Rows of cells, or columns of genes: cells x genes in either case."""
Matrix: TypeAlias = Any
"""A NumPy array, a SciPy matrix, a dataset of h5py or a matrix of anndata that is backed: the last
two have no types."""

RUNS = 128
"""Pieces of a matrix that values to be looked at are taken from."""
FIRST_BLOCKS = 2


def spread(length: int, n: int) -> NDArray[np.intp]:
    """Return at most ``n`` different positions, the first and the last among them.

    Parameters
    ----------
    length
        Positions are from 0 to ``length - 1``.
    n
        How many are wanted.

    Examples
    --------
    >>> spread(10, 4).tolist(), spread(3, 4).tolist()
    ([0, 3, 6, 9], [0, 1, 2])
    """
    return np.unique(np.linspace(0, length - 1, min(length, n)).astype(np.intp))


def runs_of(values: NDArray[np.number], most: int) -> NDArray[np.number]:
    """Return about ``most`` of the values, or all, in runs spread evenly over them.

    Parameters
    ----------
    values
        Anything of one dimension that can be sliced, such as a dataset of a file.
    most
        How many are wanted.

    Examples
    --------
    >>> len(runs_of(np.arange(1000), 128)), len(runs_of(np.arange(1000), 5000))
    (128, 1000)
    """
    # An array of zarr has no len().
    length = int(values.shape[0])
    if length <= most:
        return np.asarray(values[:])
    run = max(1, most // RUNS)
    starts = spread(length - run + 1, RUNS)
    return np.concatenate([values[start : start + run] for start in starts])


@dataclass(frozen=True)
class BlockRun:
    """Blocks that follow each other and are not put together yet.

    Putting together takes long enough to be done by the thread that works on the block.
    """

    blocks: tuple[csr_matrix, ...]

    def concat(self) -> csr_matrix:
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


class ExpressionSource(ABC):
    """A matrix of cells x genes as blocks of rows.

    Whoever reads one needs to know nothing else of it: no class of a source is asked for, and
    nothing private. What is promised here is what most sources do; one that does otherwise
    says so.

    Attributes
    ----------
    genes
        Names of the columns; they may be fewer genes than the object has.
    shape
        Cells, genes.
    """

    genes: tuple[str, ...]
    shape: tuple[int, int]

    @abstractmethod
    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield ``(row_start, block)``, in row order, covering every row once.

        Blocks are canonical CSR: sorted indices, no duplicates, no explicit zeros added.
        """

    @property
    def axis(self) -> Axis:
        """What :meth:`blocks` are made of: rows of cells, or columns of genes."""
        return "cells"

    def blocks(self, most: int) -> Iterator[tuple[int, Block | BlockRun]]:  # noqa: ARG002
        """Yield ``(start, block)`` along :attr:`axis`, each still to be made canonical.

        Never change them: they may share the memory of the user's matrix. Where the blocks
        can be cut anew none has more than ``most`` cells (or genes).
        """
        yield from self

    @property
    def rereadable(self) -> bool:
        """Whether it can be read more than once."""
        return True

    @property
    def in_memory(self) -> bool:
        """Whether the values are in the memory of this process."""
        return False

    @property
    def shares_memory(self) -> bool:
        """Whether :meth:`blocks` are parts of what is in memory: to have all costs nothing."""
        return False

    @property
    def stored_values(self) -> int | None:
        """How many values are stored, at most; None where only reading shows it."""
        return None

    @property
    def origin(self) -> Origin | None:
        """Where another process finds the same values; None where it cannot."""
        return None

    def values_by_line(self) -> NDArray[np.int64]:
        """Return how many values each cell (or gene) has, along :attr:`axis`.

        Raises
        ------
        NotImplementedError
            Only reading shows it.
        """
        raise NotImplementedError

    def sample_values(self, most: int) -> NDArray[np.number]:
        """Return about ``most`` of the stored values, or all, to be looked at.

        They are spread over the whole matrix; where that would take reading all of it, they
        are those of the first :data:`FIRST_BLOCKS` blocks that have any.
        """
        found: list[NDArray[np.number]] = []
        for _, block in self:
            if block.nnz:
                found.append(runs_of(block.data, most // FIRST_BLOCKS))
            if len(found) == FIRST_BLOCKS:
                break
        return np.concatenate(found) if found else np.empty(0)

    def renamed(self, genes: Sequence[str]) -> ExpressionSource:
        """Return the same expression under other names of its genes."""
        return RenamedSource(self, genes)

    def close(self) -> None:  # noqa: B027 - most keep nothing
        """Give back what is kept beside the values; nobody reads it any more."""


class RenamedSource(ExpressionSource):
    """An expression source under other names of its genes; all else is as it was."""

    def __init__(self, source: ExpressionSource, genes: Sequence[str]) -> None:
        self._source = source
        self.genes = tuple(genes)
        self.shape = source.shape

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield the blocks of the source."""
        yield from self._source

    @property
    def axis(self) -> Axis:
        """As of the source."""
        return self._source.axis

    def blocks(self, most: int) -> Iterator[tuple[int, Block | BlockRun]]:
        """Yield what the source yields."""
        return self._source.blocks(most)

    @property
    def rereadable(self) -> bool:
        """As of the source."""
        return self._source.rereadable

    @property
    def in_memory(self) -> bool:
        """As of the source."""
        return self._source.in_memory

    @property
    def shares_memory(self) -> bool:
        """As of the source."""
        return self._source.shares_memory

    @property
    def stored_values(self) -> int | None:
        """As of the source."""
        return self._source.stored_values

    @property
    def origin(self) -> Origin | None:
        """As of the source."""
        return self._source.origin

    def values_by_line(self) -> NDArray[np.int64]:
        """Return those of the source."""
        return self._source.values_by_line()

    def sample_values(self, most: int) -> NDArray[np.number]:
        """Return values of the source."""
        return self._source.sample_values(most)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
