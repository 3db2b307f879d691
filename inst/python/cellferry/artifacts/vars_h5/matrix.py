"""One sparse matrix of vars.h5: written along its axis from blocks along either."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from ...errors import InvalidObjectError
from ...study.expression.blocks import sparse_view
from ...study.expression.source import Axis, Block
from .chunks import ChunkedArray
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


Prepared: TypeAlias = Rows | list[Piece]
"""A block in the form that :meth:`MatrixWriter.add` takes."""


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
        Makes the values of a block the type of the file; may raise.
    pieces
        Where transposed pieces wait.
    pool
        Compresses and joins; only the caller's thread touches HDF5.
    """

    def __init__(
        self,
        group: h5py.Group,
        shape: tuple[int, int],
        axis: Axis,
        blocks: Axis,
        convert: Callable[[NDArray[np.number]], NDArray[np.number]],
        *,
        pieces: Pieces,
        pool: ThreadPoolExecutor,
    ) -> None:
        if max(shape) > MOST:
            message = f"The matrix is {shape[0]} x {shape[1]}, and vars.h5 counts to {MOST}."
            raise InvalidObjectError(message)
        group.attrs["n_obs"], group.attrs["n_vars"] = (np.int64(n) for n in shape)
        self._group, self._blocks, self._convert, self._pool = group, blocks, convert, pool
        across = shape if axis == "cells" else shape[::-1]
        self.length = across[0]
        dtype = convert(np.empty(0, dtype=np.float32)).dtype
        self._indices = ChunkedArray(group, "indices", np.int32, pool)
        self._data = ChunkedArray(group, "data", dtype, pool)
        self._ends: list[NDArray[np.integer]] = [np.zeros(1, dtype=np.int64)]
        self._transposed = None if blocks == axis else Transposed(across, dtype, pieces)

    def prepare(self, block: Block) -> Prepared:
        """Return a block in the form :meth:`add` takes; may run on any thread."""
        data = self._convert(block.data)
        if self._transposed is None:
            return Rows(block.indptr, block.indices, data)
        # A CSC block of genes is the CSR of the same arrays, genes x cells.
        shape = block.shape if self._blocks == "cells" else block.shape[::-1]
        rows = sparse_view((data, block.indices, block.indptr), shape)
        return self._transposed.turned(rows)

    def add(self, prepared: Prepared) -> None:
        """Take the next block."""
        if isinstance(prepared, Rows):
            self._ends.append(prepared.indptr[1:] + self._ends[-1][-1])
            self._indices.append(prepared.indices)
            self._data.append(prepared.data)
        elif self._transposed is not None:
            self._transposed.add(prepared)

    def finish(self, on_row: Callable[[int], None]) -> None:
        """Join what was transposed, and write the rest of the file's arrays."""
        indptr = np.concatenate(self._ends)
        if self._transposed is not None:
            indptr = self._transposed.indptr
            for stop, indices, data in self._transposed.groups(self._pool):
                self._indices.append(indices)
                self._data.append(data)
                on_row(stop)
        self._indices.close()
        self._data.close()
        self._group.create_dataset("indptr", data=indptr.astype(np.int64))
