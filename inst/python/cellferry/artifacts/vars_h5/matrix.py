"""One sparse matrix of vars.h5: written along its axis from blocks along either."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...errors import InvalidObjectError
from ...runs.parallel import bounded_map
from ...study.expression.blocks import sparse_view
from ...study.expression.source import Axis, Block
from ..machine import processors
from .chunks import ChunkedArray, Part, chunk_memory
from .file import DirectIOFile, PagePool
from .transpose import Piece, Pieces, Transposed

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

MOST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Rows:
    """A block along the axis of its matrix, ready to be written."""

    indptr: NDArray[np.integer]
    indices: NDArray[np.integer]
    data: NDArray[np.number]


@dataclass(frozen=True)
class CompressedRows:
    """A block along the axis of its matrix, of which the whole chunks are compressed."""

    indptr: NDArray[np.integer]
    indices: Part
    data: Part


Convert: TypeAlias = "Callable[[NDArray[np.number], NDArray[np.number] | None], NDArray[np.number]]"
Prepared: TypeAlias = Rows | CompressedRows | list[Piece]
"""A block in the form that :meth:`MatrixWriter.add` takes."""


class _Converted(threading.local):
    """Memory for the values of a block in the type of the file, one for each thread."""

    def __init__(self, dtype: np.dtype) -> None:
        self._values: NDArray[np.number] = np.empty(0, dtype)

    def of(self, n: int) -> NDArray[np.number]:
        """Return room for so many values; what was in it is lost."""
        if len(self._values) < n:
            self._values = np.empty(n + n // 4, self._values.dtype)
        return self._values[:n]


class MatrixWriter:
    """Writes one matrix along its axis from blocks along either axis.

    Parameters
    ----------
    group
        An empty HDF5 group.
    shape
        Cells x genes.
    axis
        Along what it is compressed: "genes" for ``vars``, "cells" for ``raw``.
    blocks
        Along what the blocks are compressed.
    convert
        Makes the values of a block the type of the file, in memory that it may be given; may raise.
    pieces
        Where transposed pieces wait.
    pool
        Compresses and joins; only the caller's thread touches HDF5.
    on_genes
        Of a matrix that is written by gene and read by cell: called, in threads of the pool, with
        the first gene of each run of genes and their values as they were read, cells x genes.
    under
        The file that HDF5 writes to, if it can write later.
    memory
        Where chunks are compressed; None makes it.
    """

    def __init__(
        self,
        group: h5py.Group,
        shape: tuple[int, int],
        axis: Axis,
        blocks: Axis,
        convert: Convert,
        *,
        pieces: Pieces,
        pool: ThreadPoolExecutor,
        on_genes: Callable[[int, Block], None] | None = None,
        under: DirectIOFile | None = None,
        memory: PagePool | None = None,
    ) -> None:
        if max(shape) > MOST:
            message = f"The matrix is {shape[0]} x {shape[1]}, and vars.h5 counts to {MOST}."
            raise InvalidObjectError(message)
        group.attrs["n_obs"], group.attrs["n_vars"] = (np.int64(n) for n in shape)
        self._group, self._blocks, self._convert, self._pool = group, blocks, convert, pool
        across = shape if axis == "cells" else shape[::-1]
        self.length = across[0]
        dtype = convert(np.empty(0, dtype=np.float32), None).dtype
        memory = memory or chunk_memory()
        self._indices = ChunkedArray(group, "indices", np.int32, pool, under, memory=memory)
        self._data = ChunkedArray(group, "data", dtype, pool, under, memory=memory)
        self._converted = _Converted(dtype)
        self._ends: list[NDArray[np.integer]] = [np.zeros(1, dtype=np.int64)]
        self._across, self._pieces, self._on_genes = across, pieces, on_genes
        self._dtype = None if on_genes else dtype
        self._transposed: Transposed | None = None
        self._making = threading.Lock()
        self._is_turned = blocks != axis

    def prepare(self, block: Block, place: int | None = None) -> Prepared:
        """Return a block in the form :meth:`add` takes; may run on any thread.

        Parameters
        ----------
        block
            Along either axis.
        place
            How many values are before a block along the axis of the matrix. Where that is known
            its chunks are compressed here, and its memory may be used again.
        """
        if not self._is_turned and place is not None:
            data = self._convert(block.data, self._converted.of(block.nnz))
            indices = self._indices.part(place, block.indices)
            return CompressedRows(block.indptr.copy(), indices, self._data.part(place, data))
        data = self._convert(block.data, None)
        if not self._is_turned:
            return Rows(block.indptr, block.indices, data)
        if self._on_genes:
            data = block.data
        # A CSC block of genes is the CSR of the same arrays, genes x cells.
        shape = block.shape if self._blocks == "cells" else block.shape[::-1]
        rows = sparse_view((data, block.indices, block.indptr), shape)
        with self._making:
            if self._transposed is None:
                self._transposed = Transposed(self._across, self._dtype or data.dtype, self._pieces)
        return self._transposed.turned(rows)

    def add(self, prepared: Prepared) -> None:
        """Take the next block."""
        if isinstance(prepared, Rows):
            self._ends.append(prepared.indptr[1:] + self._ends[-1][-1])
            self._append(prepared.indices, prepared.data)
        elif isinstance(prepared, CompressedRows):
            self._ends.append(prepared.indptr[1:] + self._ends[-1][-1])
            _in_turn(self._indices.putting(prepared.indices), self._data.putting(prepared.data))
        elif self._transposed is not None:
            self._transposed.add(prepared)

    def _append(self, indices: NDArray[np.integer], data: NDArray[np.number]) -> None:
        _in_turn(self._indices.appending(indices), self._data.appending(data))

    def finish(self, on_row: Callable[[int], None]) -> None:
        """Join what was transposed, and write the rest of the file's arrays."""
        indptr = np.concatenate(self._ends)
        if self._transposed is not None:
            indptr = self._transposed.indptr
            for stop, indices, data in self._joined(self._transposed):
                self._append(indices, data)
                on_row(stop)
        elif self._is_turned:
            indptr = np.zeros(self.length + 1, dtype=np.int64)
        self._indices.close()
        self._data.close()
        self._group.create_dataset("indptr", data=indptr.astype(np.int64))

    def _joined(
        self, transposed: Transposed
    ) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.number]]]:
        """Yield the runs of the whole, each after ``on_genes`` has had it."""
        on_genes, groups = self._on_genes, transposed.groups(self._pool)
        if on_genes is None:
            return groups
        pointers, n_cells = transposed.indptr, self._across[1]

        def work(
            run: tuple[int, int, NDArray[np.int32], NDArray[np.number]],
        ) -> tuple[int, NDArray[np.int32], NDArray[np.number]]:
            first, stop, indices, data = run
            own = pointers[first : stop + 1] - pointers[first]
            on_genes(first, sparse_view((data, indices, own), (n_cells, stop - first), "genes"))
            return stop, indices, self._convert(data, None)

        def runs() -> Iterator[tuple[int, int, NDArray[np.int32], NDArray[np.number]]]:
            first = 0
            for stop, indices, data in groups:
                yield first, stop, indices, data
                first = stop

        return bounded_map(work, runs(), self._pool, ahead=processors() + 1)


def _in_turn(first: Generator[None], second: Generator[None]) -> None:
    """Let two go on in turn to the end of both.

    So the chunks of both arrays are in one order in the file, whatever the size of the pieces.
    """
    for _ in zip_longest(first, second):
        pass
