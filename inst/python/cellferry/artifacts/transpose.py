"""A matrix that arrives compressed along one axis and leaves compressed along the other.

Each block is transposed on its own (it fits into the processor's cache better than the
whole, and blocks go to several threads); the pieces are joined group by group at the end.
Pieces beyond a limit of memory wait in one file.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..expression import cuts, sharing
from .machine import ordered_map, processors

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

PIECE_VALUES = 700_000
"""Values that are transposed at once, so that they stay in the processor's cache: half the time
of four times as many."""
MOST_PIECES = 128
"""Looked at for each group of rows; a larger matrix has larger pieces."""
GROUP_VALUES = 500_000
"""Values that are joined at once, for the same reason; more if there are many pieces."""
LARGE_GROUP_VALUES = 2_000_000
BATCH = 4
"""Groups that a thread joins before it hands over; see :data:`cellferry.artifacts.chunks.BATCH`."""


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
        # A small piece that would still fit is a view that keeps all of its block in memory.
        if not self._written and data.nbytes + indices.nbytes <= self._memory:
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
        few = len(self._pieces) <= MOST_PIECES
        runs = cuts(self.indptr, GROUP_VALUES if few else LARGE_GROUP_VALUES, self._length)
        batches = iter(lambda: list(islice(runs, BATCH if few else 1)), [])
        for batch in ordered_map(pool, self._joined_batch, batches, processors() + 1):
            yield from batch

    def _joined_batch(
        self, batch: list[tuple[int, int]]
    ) -> list[tuple[int, NDArray[np.int32], NDArray[Any]]]:
        return [self._joined(run) for run in batch]

    def _joined(self, run: tuple[int, int]) -> tuple[int, NDArray[np.int32], NDArray[Any]]:
        start, stop = run
        pointers = [piece.indptr[start : stop + 1] for piece in self._pieces]
        indices, data = self._side_by_side(pointers)
        if len(pointers) == 1:
            return stop, indices, data
        widths = np.array([piece.width for piece in self._pieces], dtype=np.int32)
        relative = [(row - row[0]).astype(np.int32, copy=False) for row in pointers]
        return stop, *_interleaved(widths, relative, indices, data)

    def _side_by_side(self, pointers: list[NDArray[Any]]) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Return the rows of the first piece, then those of the second, and so on."""
        length = sum(int(row[-1] - row[0]) for row in pointers)
        indices, data = np.empty(length, np.int32), np.empty(length, self._dtype)
        place = 0
        with self._file.open("rb") if self._written else nullcontext() as file:
            for piece, row in zip(self._pieces, pointers, strict=True):
                first, last = int(row[0]), int(row[-1])
                here = slice(place, place + last - first)
                place = here.stop
                for where, into in ((piece.indices, indices[here]), (piece.data, data[here])):
                    if isinstance(where, int):
                        assert file is not None
                        file.seek(where + first * into.dtype.itemsize)
                        # A short read would leave what the memory held before.
                        if file.readinto(into.view(np.uint8).data) != into.nbytes:
                            raise EOFError(self._file)
                    else:
                        into[:] = where[first:last]
        return indices, data


def transposed_pieces(block: csr_matrix, total_rows: int) -> list[csr_matrix]:
    """Return a block of rows cut into pieces, each transposed: all columns x a few rows.

    Parameters
    ----------
    total_rows
        Of the whole matrix, which is taken to be as dense as the block.
    """
    n_rows, n_columns = block.shape
    most = max(PIECE_VALUES, int(block.nnz / max(1, n_rows) * total_rows / MOST_PIECES))
    # Memory for the whole block: the system hands out large arrays in large pages, far faster.
    indices, data = np.empty(block.nnz, np.int32), np.empty(block.nnz, block.data.dtype)
    made = []
    for start, stop in cuts(block.indptr, most, max(1, n_rows)):
        here = slice(int(block.indptr[start]), int(block.indptr[stop]))
        pointers = block.indptr[start : stop + 1] - here.start
        arrays = (pointers, block.indices[here], block.data[here])
        indptr = _transpose(stop - start, n_columns, arrays, indices[here], data[here])
        shape = (n_columns, stop - start)
        made.append(sharing((data[here], indices[here], indptr), shape))
    return made


def _transpose(
    n_rows: int,
    n_columns: int,
    arrays: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    indices: NDArray[np.int32],
    data: NDArray[Any],
) -> NDArray[Any]:
    """Transpose a CSR matrix into two arrays and return its pointers."""
    try:
        # What tocsc() calls, which would make arrays of its own.
        from scipy.sparse._sparsetools import csr_tocsc
    except ImportError:
        return _converted(n_rows, n_columns, arrays, indices, data)
    indptr = np.empty(n_columns + 1, np.int32)
    pointers, columns = (values.astype(np.int32, copy=False) for values in arrays[:2])
    csr_tocsc(n_rows, n_columns, pointers, columns, arrays[2], indptr, indices, data)
    return indptr


def _converted(
    n_rows: int,
    n_columns: int,
    arrays: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    indices: NDArray[np.int32],
    data: NDArray[Any],
) -> NDArray[Any]:
    from scipy.sparse import csr_matrix

    turned = csr_matrix((arrays[2], *arrays[1::-1]), shape=(n_rows, n_columns)).tocsc()
    indices[:], data[:] = turned.indices, turned.data
    return np.asarray(turned.indptr)


def _interleaved(
    widths: NDArray[np.int32],
    pointers: list[NDArray[np.int32]],
    indices: NDArray[np.int32],
    data: NDArray[Any],
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Return the rows of matrices that stand side by side as the rows of one matrix."""
    n_rows = len(pointers[0]) - 1
    try:
        # What hstack() calls. hstack() itself takes five times as long for what it does around.
        from scipy.sparse._sparsetools import csr_hstack
    except ImportError:
        return _stacked(widths, pointers, indices, data)
    made = np.empty(n_rows + 1, np.int32), np.empty_like(indices), np.empty_like(data)
    csr_hstack(len(widths), n_rows, widths, np.concatenate(pointers), indices, data, *made)
    return made[1], made[2]


def _stacked(
    widths: NDArray[np.int32],
    pointers: list[NDArray[np.int32]],
    indices: NDArray[np.int32],
    data: NDArray[Any],
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    from scipy.sparse import csr_matrix, hstack

    parts, place = [], 0
    for width, row in zip(widths, pointers, strict=True):
        here = slice(place, place + int(row[-1]))
        place = here.stop
        shape = (len(row) - 1, int(width))
        parts.append(csr_matrix((data[here], indices[here], row), shape=shape, copy=False))
    joined = hstack(parts, format="csr")
    return joined.indices.astype(np.int32, copy=False), joined.data
