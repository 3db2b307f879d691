"""A matrix that arrives compressed along one axis and leaves compressed along the other.

Each block is transposed on its own (it fits into the processor's cache better than the
whole, and blocks go to several threads); the pieces are joined group by group at the end.
Pieces beyond a limit of memory wait in one file.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..expression import cuts
from .machine import ordered_map, processors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

GROUP_VALUES = 2_000_000
"""Values that are joined at once."""


@dataclass(frozen=True)
class Pieces:
    """Where pieces wait: ``memory`` bytes in memory, the others in ``file``.

    The file is made when it is needed and left to the owner of its folder.
    """

    memory: int
    file: Path


@dataclass(frozen=True)
class _Piece:
    """Rows of the result, but only the columns of one block."""

    width: int
    indptr: NDArray[Any]
    indices: NDArray[np.int32] | int
    data: NDArray[Any] | int  # an int is the place in the file


class Transposed:
    """Collects transposed blocks and yields the whole in groups of rows.

    Parameters
    ----------
    length
        Rows of the result: genes when blocks of cells are added, and the reverse.
    dtype
        Of the values.
    pieces
        Where transposed blocks wait.
    """

    def __init__(self, length: int, dtype: Any, pieces: Pieces) -> None:
        self._length, self._dtype = length, np.dtype(dtype)
        self._memory, self._file = pieces.memory, pieces.file
        self._pieces: list[_Piece] = []
        self._written = 0
        self.indptr = np.zeros(length + 1, dtype=np.int64)

    def add(self, block: csr_matrix) -> None:
        """Take the next block: all rows of the result, the columns that follow the last."""
        self.indptr += block.indptr
        indices, data = block.indices.astype(np.int32, copy=False), block.data
        if data.nbytes + indices.nbytes <= self._memory:
            self._memory -= data.nbytes + indices.nbytes
            self._pieces.append(_Piece(block.shape[1], block.indptr, indices, data))
            return
        place = self._written
        with self._file.open("ab") as out:
            # Straight to the descriptor: a buffered write of this size is a copy.
            out.write(indices.data)
            out.write(data.data)
        self._written += indices.nbytes + data.nbytes
        piece = _Piece(block.shape[1], block.indptr, place, place + indices.nbytes)
        self._pieces.append(piece)

    def groups(
        self, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[int, NDArray[np.int32], NDArray[Any]]]:
        """Yield ``(row that follows, indices, data)``: runs of the whole, in order."""
        runs = cuts(self.indptr, GROUP_VALUES, self._length)
        return ordered_map(pool, self._joined, runs, processors() + 1)

    def _joined(self, run: tuple[int, int]) -> tuple[int, NDArray[np.int32], NDArray[Any]]:
        from scipy.sparse import csr_matrix, hstack

        start, stop = run
        parts = []
        for piece in self._pieces:
            pointers = piece.indptr[start : stop + 1]
            first, last = int(pointers[0]), int(pointers[-1])
            arrays = (
                self._values(piece.data, first, last, self._dtype),
                self._values(piece.indices, first, last, np.dtype(np.int32)),
                pointers - first,
            )
            parts.append(csr_matrix(arrays, shape=(stop - start, piece.width), copy=False))
        joined = parts[0] if len(parts) == 1 else hstack(parts, format="csr")
        return stop, joined.indices.astype(np.int32, copy=False), joined.data

    def _values(
        self, where: NDArray[Any] | int, first: int, last: int, dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        if not isinstance(where, int):
            return where[first:last]
        offset = where + first * dtype.itemsize
        return np.fromfile(self._file, dtype, last - first, offset=offset)
