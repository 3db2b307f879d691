"""A compressed one-dimensional HDF5 dataset that is written in pieces."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from . import lz4
from .machine import processors

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

CHUNK = 1 << 18
"""Values of one chunk (1 MiB).

Reading one gene decompresses at least one chunk of each dataset. The published writer's
chunks of up to ten million values cost 40 MB of decompression for any gene.
"""

GROWTH = 64
"""Chunks by which the dataset grows at a time."""


class ChunkedArray:
    """Takes values in pieces of any length and writes them as LZ4 chunks of equal length.

    Parameters
    ----------
    group, name, dtype
        Where the dataset is made, and of what.
    pool
        Compresses; only the caller's thread touches HDF5.

    Pieces are kept as they are until their chunk is written: do not change them.
    """

    def __init__(self, group: h5py.Group, name: str, dtype: Any, pool: ThreadPoolExecutor) -> None:
        self._group, self._name, self._dtype = group, name, np.dtype(dtype)
        self._pool = pool
        self._dataset: h5py.Dataset | None = None
        self._pieces: list[NDArray[Any]] = []
        self._held = 0
        self._chunks = 0
        self._waiting: deque[tuple[int, Future[Any]]] = deque()
        self._ahead = 2 * processors() + 2
        # Buffers are used again: fresh memory costs more than compressing into it.
        self._buffers: list[NDArray[np.uint8]] = []

    def append(self, values: NDArray[Any]) -> None:
        """Take the next values."""
        if values.dtype != self._dtype:
            values = values.astype(self._dtype)
        while len(values):
            taken = values[: CHUNK - self._held]
            self._pieces.append(taken)
            self._held += len(taken)
            values = values[len(taken) :]
            if self._held == CHUNK:
                self._send(CHUNK)

    def close(self) -> int:
        """Write what is left and return the number of values."""
        length = self._chunks * CHUNK + self._held
        if self._held:
            self._send(CHUNK if self._chunks else self._held)
        elif not self._chunks:
            self._create(1)
        while self._waiting:
            self._write_oldest()
        assert self._dataset is not None
        self._dataset.resize((length,))
        return length

    def _create(self, chunk: int) -> h5py.Dataset:
        import hdf5plugin

        self._dataset = self._group.create_dataset(
            self._name, (0,), self._dtype, maxshape=(None,), chunks=(chunk,), **hdf5plugin.LZ4()
        )
        return self._dataset

    def _send(self, chunk: int) -> None:
        dataset = self._dataset or self._create(chunk)
        pieces, self._pieces, self._held = self._pieces, [], 0
        start, self._chunks = self._chunks * CHUNK, self._chunks + 1
        if lz4.compressor() is None:
            joined = _joined(pieces, chunk)
            dataset.resize((start + chunk,))
            dataset[start:] = joined
            return
        while len(self._waiting) >= self._ahead:
            self._write_oldest()
        size = lz4.room_for(chunk * self._dtype.itemsize)
        buffer = self._buffers.pop() if self._buffers else np.empty(size, dtype=np.uint8)
        self._waiting.append((start, self._pool.submit(_compressed, pieces, chunk, buffer)))

    def _write_oldest(self) -> None:
        start, future = self._waiting.popleft()
        dataset = self._dataset
        assert dataset is not None
        if start >= dataset.shape[0]:
            dataset.resize((start + GROWTH * dataset.chunks[0],))
        chunk, buffer = future.result()
        dataset.id.write_direct_chunk((start,), chunk)
        self._buffers.append(buffer)


def _joined(pieces: list[NDArray[Any]], chunk: int) -> NDArray[Any]:
    """Return the pieces as one array of the length of a chunk; the rest of the last is 0."""
    missing = chunk - sum(len(piece) for piece in pieces)
    if missing:
        pieces = [*pieces, np.zeros(missing, dtype=pieces[0].dtype)]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _compressed(
    pieces: list[NDArray[Any]], chunk: int, buffer: NDArray[np.uint8]
) -> tuple[memoryview, NDArray[np.uint8]]:
    return lz4.compress(_joined(pieces, chunk), buffer), buffer
