"""A compressed one-dimensional HDF5 dataset that is written in pieces."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..machine import processors
from . import lz4
from .file import DirectIOFile, pages

if TYPE_CHECKING:
    import h5py

CHUNK = 1 << 18
"""Values of one chunk (1 MiB).

Reading one gene decompresses at least one chunk of each dataset. The published writer's
chunks of up to ten million values cost 40 MB of decompression for any gene.
"""

BATCH = 4
"""Chunks that a thread compresses before it hands over. A thread that waits for another is slow
to wake on a busy machine, so there should be few hand-overs."""

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
    under
        The file that HDF5 writes to; None where it is any other.

    Pieces are kept as they are until their chunk is written: do not change them.
    """

    def __init__(
        self,
        group: h5py.Group,
        name: str,
        dtype: DTypeLike,
        pool: ThreadPoolExecutor,
        under: DirectIOFile | None = None,
    ) -> None:
        self._group, self._name, self._dtype = group, name, np.dtype(dtype)
        self._pool, self._under = pool, under
        self._dataset: h5py.Dataset | None = None
        self._pieces: list[NDArray[np.number]] = []
        self._held = 0
        self._batch: list[list[NDArray[np.number]]] = []
        self._sent = 0
        self._waiting: deque[tuple[int, Future[_Batch]]] = deque()
        self._ahead = processors() + 1
        # Buffers are used again: fresh memory costs more than compressing into it.
        self._buffers: list[NDArray[np.uint8]] = []

    def append(self, values: NDArray[np.number]) -> None:
        """Take the next values."""
        if values.dtype != self._dtype:
            values = values.astype(self._dtype)
        while len(values):
            taken = values[: CHUNK - self._held]
            self._pieces.append(taken)
            self._held += len(taken)
            values = values[len(taken) :]
            if self._held == CHUNK:
                self._complete()
                if len(self._batch) == BATCH:
                    self._send(CHUNK)

    def close(self) -> int:
        """Write what is left and return the number of values."""
        length = (self._sent + len(self._batch)) * CHUNK + self._held
        chunk = CHUNK if length >= CHUNK else max(1, length)
        if self._held:
            self._complete()
        if self._batch:
            self._send(chunk)
        elif self._dataset is None:
            self._create(chunk)
        while self._waiting:
            self._write_oldest()
        self._buffers.clear()
        assert self._dataset is not None
        self._dataset.resize((length,))
        return length

    def _complete(self) -> None:
        self._batch.append(self._pieces)
        self._pieces, self._held = [], 0

    def _create(self, chunk: int) -> h5py.Dataset:
        import hdf5plugin

        self._dataset = self._group.create_dataset(
            self._name, (0,), self._dtype, maxshape=(None,), chunks=(chunk,), **hdf5plugin.LZ4()
        )
        return self._dataset

    def _send(self, chunk: int) -> None:
        dataset = self._dataset or self._create(chunk)
        batch, self._batch = self._batch, []
        start, self._sent = self._sent * CHUNK, self._sent + len(batch)
        if lz4.compressor() is None:
            joined = np.concatenate([v for pieces in batch for v in _padded(pieces, chunk)])
            dataset.resize((start + len(joined),))
            dataset[start:] = joined
            return
        while len(self._waiting) >= self._ahead:
            self._write_oldest()
        size = lz4.largest_size(chunk * self._dtype.itemsize)
        buffers = [self._buffers.pop() if self._buffers else pages(size) for _ in batch]
        self._waiting.append((start, self._pool.submit(_compressed, batch, chunk, buffers)))

    def _write_oldest(self) -> None:
        start, future = self._waiting.popleft()
        dataset, batch = self._dataset, future.result()
        assert dataset is not None
        step = dataset.chunks[0]
        if start + len(batch) * step > dataset.shape[0]:
            dataset.resize((start + max(GROWTH, len(batch)) * step,))
        for place, (chunk, buffer) in enumerate(batch):
            again = partial(self._buffers.append, buffer)
            with nullcontext() if self._under is None else self._under.kept(buffer, again):
                dataset.id.write_direct_chunk((start + place * step,), chunk)
            if self._under is None:
                again()


_Batch = list[tuple[memoryview, NDArray[np.uint8]]]


def _padded(pieces: list[NDArray[np.number]], chunk: int) -> list[NDArray[np.number]]:
    """Return pieces that fill a chunk; the rest of the last is 0."""
    missing = chunk - sum(len(piece) for piece in pieces)
    return [*pieces, np.zeros(missing, dtype=pieces[0].dtype)] if missing else pieces


def _compressed(
    batch: list[list[NDArray[np.number]]], chunk: int, buffers: list[NDArray[np.uint8]]
) -> _Batch:
    return [
        (lz4.compress(_padded(pieces, chunk), buffer), buffer)
        for pieces, buffer in zip(batch, buffers, strict=True)
    ]
