"""A matrix that arrives in pieces, kept by cells in files that nobody else sees."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...errors import InvalidObjectError, OutputError
from ...files import check_room
from .blocks import BLOCK_VALUES, row_ranges
from .rows import RowMatrix
from .source import runs_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from scipy.sparse import csr_matrix

    Pieces: TypeAlias = Callable[
        [], Iterator[tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.number]]]
    ]

IN_MEMORY = 32 << 20
"""Bytes up to which nothing goes to the disk."""
_ANY = 1 << 62


def put_on_disk(
    pieces: Pieces,
    shape: tuple[int, int],
    n_values: int | None,
    dtype: DTypeLike,
    stored: DTypeLike,
) -> DiskMatrix:
    """Return a matrix of which one piece at a time is in memory.

    Pieces in the order of cells are read once. Others are read twice: cells are counted first,
    and then each value goes to the range of cells that it is of, and each range is sorted.

    Parameters
    ----------
    pieces
        Called once or twice; yields cells, genes and values.
    shape
        Cells, genes.
    n_values
        Most values that come; None where nobody knows.
    dtype, stored
        Of the values as they are read, and as they are on the disk.

    Raises
    ------
    OutputError
        There is no room for them.
    """
    try:
        return _put(pieces, shape, n_values, np.dtype(dtype), np.dtype(stored))
    except OSError as error:
        place = tempfile.gettempdir()
        message = f'Values cannot be kept in "{place}" while they are read: {error.strerror}.'
        raise OutputError(message, "Set TMPDIR to a folder on a larger disk.") from error


def _put(
    pieces: Pieces,
    shape: tuple[int, int],
    n_values: int | None,
    dtype: np.dtype[Any],
    stored: np.dtype[Any],
) -> DiskMatrix:
    genes, values = _Numbers(np.int32, n_values), _Numbers(stored, n_values)
    counts = np.zeros(shape[0], np.int64)
    place, last, in_order = 0, -1, True
    for cells, columns, data in pieces():
        if not len(cells):
            continue
        low = int(cells.min())
        found = np.bincount(cells - low)
        counts[low : low + len(found)] += found
        in_order = in_order and int(cells[0]) >= last and bool(np.all(cells[1:] >= cells[:-1]))
        last = int(cells[-1])
        if in_order:
            genes.put(place, columns)
            values.put(place, data)
            place += len(cells)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    if not in_order:
        _sort(pieces, indptr, genes, values)
    return DiskMatrix(indptr, genes, values, shape, dtype)


def _sort(pieces: Pieces, indptr: NDArray[np.int64], genes: _Numbers, values: _Numbers) -> None:
    """Put values that come in any order where their cells are."""
    ranges = list(row_ranges(indptr, BLOCK_VALUES, len(indptr)))
    starts = np.array([start for start, _ in ranges])
    where = _Numbers(np.int32, int(indptr[-1]))
    places = indptr[starts].copy()
    for cells, columns, data in pieces():
        if not len(cells):
            continue
        of_range = np.searchsorted(starts, cells, "right") - 1
        order = np.argsort(of_range, kind="stable")
        here, begins = np.unique(of_range[order], return_index=True)
        for number, chosen in zip(here, np.split(order, begins[1:]), strict=True):
            place = int(places[number])
            where.put(place, cells[chosen])
            genes.put(place, columns[chosen])
            values.put(place, data[chosen])
            places[number] += len(chosen)
    for start, stop in ranges:
        begin, end = int(indptr[start]), int(indptr[stop])
        order = np.argsort(where[begin:end], kind="stable")
        for numbers in (genes, values):
            numbers.put(begin, numbers[begin:end][order])


class DiskMatrix(RowMatrix):
    """Cells x genes in files without a name, which are gone with it; see :func:`put_on_disk`."""

    def __init__(
        self,
        indptr: NDArray[np.int64],
        genes: _Numbers,
        values: _Numbers,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
    ) -> None:
        self._indptr, self._genes, self._values = indptr, genes, values
        self.shape, self.dtype = shape, dtype

    def __getitem__(self, cells: slice) -> csr_matrix:
        """Return some cells; a gene may come twice, as it came."""
        from scipy.sparse import csr_matrix

        start, stop, _ = cells.indices(self.shape[0])
        pointers = self._indptr[start : max(start, stop) + 1]
        here = slice(int(pointers[0]), int(pointers[-1]))
        arrays = (self._values[here].astype(self.dtype), self._genes[here], pointers - pointers[0])
        return csr_matrix(arrays, shape=(len(pointers) - 1, self.shape[1]))

    def ranges(self, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of at most :data:`BLOCK_VALUES` values, but of one cell that has more."""
        for start, stop in row_ranges(self._indptr[first : last + 1], BLOCK_VALUES, most):
            yield first + start, first + stop

    def sample(self, most: int) -> NDArray[np.number]:
        """Return runs of the values."""
        stored: Any = self._values.first(int(self._indptr[-1]))
        return runs_of(stored, most)


class LateMatrix(RowMatrix):
    """A matrix that is made when values of it are first asked for.

    Parameters
    ----------
    make
        Makes it.
    shape, dtype
        What it will have.
    sample
        Values to be looked at, where there are any without making it; called with how many.
    """

    def __init__(
        self,
        make: Callable[[], RowMatrix],
        shape: tuple[int, int],
        dtype: DTypeLike,
        sample: Callable[[int], NDArray[np.number]] | None = None,
    ) -> None:
        self._make, self._sample = make, sample
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._made: RowMatrix | None = None

    def _ready(self) -> RowMatrix:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, cells: slice) -> csr_matrix:
        """Return some cells."""
        return self._ready()[cells]

    def ranges(self, first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of cells."""
        yield from self._ready().ranges(first, last, most)

    def sample(self, most: int) -> NDArray[np.number]:
        """Return some values."""
        return self._ready().sample(most) if self._sample is None else self._sample(most)


class _Numbers:
    """Numbers of one type in memory, or in a temporary file where they are many."""

    def __init__(self, dtype: DTypeLike, length: int | None) -> None:
        self.dtype = np.dtype(dtype)
        self.shape = (_ANY if length is None else length,)
        n_bytes = 0 if length is None else length * self.dtype.itemsize
        self._lock = threading.Lock()
        self._file: IO[bytes] | io.BytesIO = io.BytesIO()
        if length is None or n_bytes > IN_MEMORY:
            check_room(Path(tempfile.gettempdir()) / "values", n_bytes)
            self._file = tempfile.TemporaryFile(prefix="cellferry-")  # noqa: SIM115 - as long as it

    def put(self, place: int, values: NDArray[np.number]) -> None:
        content = np.ascontiguousarray(values, self.dtype)
        with self._lock:
            self._file.seek(place * self.dtype.itemsize)
            self._file.write(content.view(np.uint8).data)

    def first(self, length: int) -> _Numbers:
        """Return the first of them, in the same file."""
        made = object.__new__(_Numbers)
        made.dtype, made.shape, made._file, made._lock = (
            self.dtype, (length,), self._file, self._lock,
        )  # fmt: skip
        return made

    def __getitem__(self, wanted: slice) -> NDArray[Any]:
        start, stop, _ = wanted.indices(self.shape[0])
        found = np.empty(max(0, stop - start), self.dtype)
        with self._lock:
            self._file.seek(start * self.dtype.itemsize)
            n_bytes = self._file.readinto(found.view(np.uint8).data)  # type: ignore[union-attr]
        if n_bytes != found.nbytes:
            message = "A temporary file is shorter than what was written to it."
            raise InvalidObjectError(message, "Is there room in the folder of TMPDIR?")
        return found
