"""A matrix that arrives compressed along one axis and leaves compressed along the other.

Each block is transposed on its own (it fits into the processor's cache better than the
whole, and blocks go to several threads); the pieces are joined group by group at the end.
Where the number of values is known all pieces are made in one array, and are joined from
where they are. Otherwise pieces beyond a limit of memory wait in one file.
"""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ...errors import InternalError
from ...runs.parallel import bounded_map
from ...study.expression.blocks import row_ranges
from ..machine import processors

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from scipy.sparse import csr_matrix

_Kind = TypeVar("_Kind", bound=np.generic)

PIECE_VALUES = 700_000
"""Values that are transposed at once, so that they stay in the processor's cache: half the time
of four times as many."""
MOST_PIECES = 128
"""Looked at for each group of rows; a larger matrix has larger pieces."""
GROUP_VALUES = 250_000
"""Values that are joined at once, for the same reason; more if there are many pieces."""
LARGE_GROUP_VALUES = 2_000_000
BATCH = 4
"""Groups that a thread joins before it hands over; see ``BATCH`` of :mod:`.chunks`."""
MOST_VALUES = np.iinfo(np.int32).max
"""Of one array that is joined from, because SciPy counts its places by int32."""


@dataclass(frozen=True)
class Pieces:
    """Where pieces wait: ``memory`` bytes in memory, the others in ``file``.

    The file is made when it is needed and left to the owner of its folder. ``values`` is how
    many there are at most, where that is known.
    """

    memory: int
    file: Path
    values: int | None = None


@dataclass(frozen=True)
class Piece:
    """Rows of the result, but only the columns of one block."""

    width: int
    indptr: NDArray[np.integer]
    indices: NDArray[np.int32] | int
    data: NDArray[np.number] | int  # an int is the place in the file
    place: int = -1
    """In the one array, if there is one."""


class _OneArray:
    """One array for all pieces; each takes its place on the thread that makes it.

    Parameters
    ----------
    values, dtype
        How many fit, and of what type.
    """

    def __init__(self, values: int, dtype: np.dtype) -> None:
        self._values, self._dtype = values, dtype
        self._used, self._lock = 0, threading.Lock()

    @functools.cached_property
    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.number]]:
        """Indices and values; the system gives the memory when it is first written to."""
        return np.empty(self._values, np.int32), np.empty(self._values, self._dtype)

    def take(self, values: int) -> tuple[int, tuple[NDArray[np.int32], NDArray[np.number]]]:
        """Return where so many values may be put, and the arrays."""
        with self._lock:
            place, self._used = self._used, self._used + values
            if self._used > self._values:
                # SciPy's functions do not look where they write.
                message = f"The matrix has more than the {self._values} values it was said to have."
                raise InternalError(message)
            return place, self.arrays


class Transposed:
    """Collects transposed blocks and yields the whole in groups of rows.

    Parameters
    ----------
    shape
        Of the result: genes x cells when blocks of cells are added, and the reverse.
    dtype
        Of the values.
    pieces
        Where transposed blocks wait.
    """

    def __init__(self, shape: tuple[int, int], dtype: DTypeLike, pieces: Pieces) -> None:
        self._length, self._across = shape
        self._dtype = np.dtype(dtype)
        self._memory, self._file = pieces.memory, pieces.file
        size = (pieces.values or 0) * (self._dtype.itemsize + 4)
        fits = pieces.values is not None and pieces.values <= MOST_VALUES and size <= self._memory
        self._shared = _OneArray(pieces.values or 0, self._dtype) if fits else None
        self._pieces: list[Piece] = []
        self._written = 0
        self.indptr = np.zeros(self._length + 1, dtype=np.int64)

    def turned(self, block: csr_matrix) -> list[Piece]:
        """Return a block of columns of the result, given by its rows; may run on any thread."""
        n_rows = block.shape[0]
        # The whole is taken to be as dense as the block.
        most = max(PIECE_VALUES, int(block.nnz / max(1, n_rows) * self._across / MOST_PIECES))
        if self._shared is None:
            # Memory for the whole block: large arrays come in large pages, far faster.
            place, (indices, data) = 0, (np.empty(block.nnz, t) for t in (np.int32, self._dtype))
        else:
            place, (indices, data) = self._shared.take(block.nnz)
        made = []
        for start, stop in row_ranges(block.indptr, most, max(1, n_rows)):
            given = slice(int(block.indptr[start]), int(block.indptr[stop]))
            here = slice(place + given.start, place + given.stop)
            pointers = block.indptr[start : stop + 1] - given.start
            arrays = (pointers, block.indices[given], block.data[given])
            indptr = transpose_into((stop - start, self._length), arrays, indices[here], data[here])
            made.append(Piece(stop - start, indptr, indices[here], data[here], here.start))
        return made

    def add(self, pieces: list[Piece]) -> None:
        """Take what :meth:`turned` made of the block that follows the last."""
        for piece in pieces:
            self.indptr += piece.indptr
            self._pieces.append(self._kept(piece))

    def _kept(self, piece: Piece) -> Piece:
        indices, data = piece.indices, piece.data
        assert not isinstance(indices, int)
        assert not isinstance(data, int)
        # A small piece that would still fit is a view that keeps all of its block in memory.
        fits = not self._written and data.nbytes + indices.nbytes <= self._memory
        if self._shared is not None or fits:
            self._memory -= data.nbytes + indices.nbytes
            return piece
        place = self._written
        indices = indices.astype(_kind_in_file(piece.width), copy=False)
        with self._file.open("ab") as out:
            # Straight to the descriptor: a buffered write of this size is a copy.
            out.write(indices.data)
            out.write(data.data)
        self._written += indices.nbytes + data.nbytes
        return Piece(piece.width, piece.indptr, place, place + indices.nbytes)

    def groups(
        self, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.number]]]:
        """Yield ``(row that follows, indices, data)``: runs of the whole, in order."""
        few = len(self._pieces) <= MOST_PIECES
        runs = row_ranges(self.indptr, GROUP_VALUES if few else LARGE_GROUP_VALUES, self._length)
        batches = iter(lambda: list(islice(runs, BATCH if few else 1)), [])
        for batch in bounded_map(self._joined_batch, batches, pool, ahead=processors() + 1):
            yield from batch

    def _joined_batch(
        self, batch: list[tuple[int, int]]
    ) -> list[tuple[int, NDArray[np.int32], NDArray[np.number]]]:
        return [self._joined(run) for run in batch]

    def _joined(self, run: tuple[int, int]) -> tuple[int, NDArray[np.int32], NDArray[np.number]]:
        start, stop = run
        pointers = [piece.indptr[start : stop + 1] for piece in self._pieces]
        if self._shared is not None:
            places = np.array([piece.place for piece in self._pieces])
            arrays = self._shared.arrays
        else:
            arrays = self._side_by_side(pointers)
            pointers = [row - row[0] for row in pointers]
            places = np.cumsum([0, *(row[-1] for row in pointers[:-1])])
        widths = np.array([piece.width for piece in self._pieces], dtype=np.int32)
        return stop, *_interleaved(widths, places, np.stack(pointers), arrays)

    def _side_by_side(
        self, pointers: list[NDArray[np.integer]]
    ) -> tuple[NDArray[np.int32], NDArray[np.number]]:
        """Return the rows of the first piece, then those of the second, and so on."""
        length = sum(int(row[-1] - row[0]) for row in pointers)
        indices, data = np.empty(length, np.int32), np.empty(length, self._dtype)
        place = 0
        with self._file.open("rb", buffering=0) if self._written else nullcontext() as file:
            for piece, row in zip(self._pieces, pointers, strict=True):
                first, last = int(row[0]), int(row[-1])
                here = slice(place, place + last - first)
                place = here.stop
                if not isinstance(piece.indices, int) and not isinstance(piece.data, int):
                    indices[here], data[here] = piece.indices[first:last], piece.data[first:last]
                    continue
                assert file is not None
                kept = np.empty(last - first, _kind_in_file(piece.width))
                indices[here] = _read(file, int(piece.indices), first, kept)
                _read(file, int(piece.data), first, data[here])
        return indices, data


def _kind_in_file(width: int) -> np.dtype[np.integer]:
    """Return the type of the indices of a piece in the file: half the bytes, where that is enough.

    A value then takes 6 bytes in place of 8, for 1 ns, and its 2 bytes less are 2.5 ns of writing
    and reading at 1.6 GB/s. LZ4 as well would take 5 bytes, for 6 ns more, and each piece would
    have to be read in parts that were compressed by themselves.
    """
    return np.dtype(np.uint16 if width <= 1 << 16 else np.int32)


def _read(file: io.FileIO, place: int, first: int, into: NDArray[_Kind]) -> NDArray[_Kind]:
    """Fill an array from the file, and return it."""
    file.seek(place + first * into.dtype.itemsize)
    view, done = into.view(np.uint8).data, 0
    while done < len(view):
        # What is not read would be what the memory held before.
        read = file.readinto(view[done:])
        if not read:
            raise EOFError(str(file.name))
        done += read
    return into


def transpose_into(
    shape: tuple[int, int],
    arrays: tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]],
    indices: NDArray[np.int32],
    data: NDArray[np.number],
) -> NDArray[np.integer]:
    """Transpose a CSR matrix into two arrays and return its pointers.

    Parameters
    ----------
    shape
        Rows and columns of the matrix.
    arrays
        Its pointers, indices and values; no more than an int32 counts.
    indices, data
        Of as many values, into which the transposed ones are written.
    """
    try:
        # What tocsc() calls, which would make arrays of its own.
        from scipy.sparse._sparsetools import csr_tocsc
    except ImportError:
        return _converted(shape, arrays, indices, data)
    indptr = np.empty(shape[1] + 1, np.int32)
    pointers, columns = (values.astype(np.int32, copy=False) for values in arrays[:2])
    csr_tocsc(*shape, pointers, columns, arrays[2], indptr, indices, data)
    return indptr


def _converted(
    shape: tuple[int, int],
    arrays: tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]],
    indices: NDArray[np.int32],
    data: NDArray[np.number],
) -> NDArray[np.integer]:
    from scipy.sparse import csr_matrix

    turned = csr_matrix((arrays[2], *arrays[1::-1]), shape=shape).tocsc()
    indices[:], data[:] = turned.indices, turned.data
    return np.asarray(turned.indptr)


def _interleaved(
    widths: NDArray[np.int32],
    places: NDArray[np.integer],
    pointers: NDArray[np.integer],
    arrays: tuple[NDArray[np.int32], NDArray[np.number]],
) -> tuple[NDArray[np.int32], NDArray[np.number]]:
    """Return the rows of matrices that stand side by side as the rows of one matrix.

    Parameters
    ----------
    widths, places, pointers
        Of each matrix: its columns, where it is in the arrays, and its pointers from there.
    """
    n_rows = pointers.shape[1] - 1
    try:
        # What hstack() calls. hstack() itself takes five times as long for what it does around.
        from scipy.sparse._sparsetools import csr_hstack
    except ImportError:
        return _stacked(widths, places, pointers, arrays)
    length = int((pointers[:, -1] - pointers[:, 0]).sum())
    made = np.empty(n_rows + 1, np.int32), *(np.empty(length, array.dtype) for array in arrays)
    # It looks for each matrix where the last pointer of the one before ends. So before each goes
    # one of no values that ends where the matrix is: nothing has to be put side by side first.
    every = np.empty((2 * len(widths), n_rows + 1), np.int32)
    every[1::2] = pointers
    every[0::2] = np.diff(places, prepend=0)[:, None]
    every[2::2] -= pointers[:-1, -1:].astype(np.int32)
    wide = np.stack([np.zeros_like(widths), widths], axis=1).ravel()
    csr_hstack(len(wide), n_rows, wide, every.ravel(), *arrays, *made)
    return made[1], made[2]


def _stacked(
    widths: NDArray[np.int32],
    places: NDArray[np.integer],
    pointers: NDArray[np.integer],
    arrays: tuple[NDArray[np.int32], NDArray[np.number]],
) -> tuple[NDArray[np.int32], NDArray[np.number]]:
    from scipy.sparse import csr_matrix, hstack

    parts = []
    for width, place, row in zip(widths, places, pointers, strict=True):
        indices, data = (array[place + row[0] : place + row[-1]] for array in arrays)
        parts.append(csr_matrix((data, indices, row - row[0]), shape=(len(row) - 1, int(width))))
    joined = hstack(parts, format="csr")
    return joined.indices.astype(np.int32, copy=False), joined.data
