"""A compressed one-dimensional HDF5 dataset that is written in pieces."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...errors import InternalError
from . import lz4
from .file import DirectIOFile, PagePool

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

AHEAD = 4
"""Batches that are compressed, or wait for it, at most. Whatever the number of threads, because the
order in which chunks are written is where they are in the file: it should be the same everywhere.
"""

GROWTH = 64
"""Chunks by which the dataset grows at a time."""


_Pieces: TypeAlias = "list[NDArray[np.number]]"
_Chunk: TypeAlias = "tuple[memoryview, NDArray[np.uint8]]"
"""A compressed chunk, and the memory that it is in."""


@dataclass(frozen=True)
class Part:
    """Values that follow each other, of which the whole chunks are compressed.

    Attributes
    ----------
    head, tail
        Values before the first chunk that is whole, and after the last.
    batch
        The compressed chunks, each with the memory that it is in.
    memory
        That of head and tail.
    """

    head: NDArray[np.number]
    batch: list[_Chunk]
    tail: NDArray[np.number]
    memory: tuple[NDArray[np.uint8], NDArray[np.uint8]]


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
    memory
        Where chunks are compressed; None makes it. Several arrays can share it.

    Pieces are kept as they are until their chunk is written: do not change them.
    """

    def __init__(
        self,
        group: h5py.Group,
        name: str,
        dtype: DTypeLike,
        pool: ThreadPoolExecutor,
        under: DirectIOFile | None = None,
        *,
        memory: PagePool | None = None,
    ) -> None:
        self._group, self._name, self._dtype = group, name, np.dtype(dtype)
        self._pool, self._under = pool, under
        self._dataset: h5py.Dataset | None = None
        self._pieces: list[NDArray[np.number]] = []
        self._held = 0
        self._batch: list[_Pieces | _Chunk] = []
        self._sent = 0
        self._waiting: deque[tuple[int, Future[list[_Chunk]]]] = deque()
        self._memory = memory or chunk_memory()
        self._borrowed: list[NDArray[np.uint8]] = []
        self._reading: list[Future[list[_Chunk]]] = []
        """What still reads values, which may be in borrowed memory."""

    def append(self, values: NDArray[np.number]) -> None:
        """Take the next values."""
        for _ in self.appending(values):
            pass

    def appending(self, values: NDArray[np.number], *, at_once: bool = False) -> Generator[None]:
        """Take the next values; yields when a batch of chunks is full.

        Of two arrays that are filled in turn so, the chunks in the file are always in one order.

        Parameters
        ----------
        values
            They are kept as they are until their chunk is compressed.
        at_once
            Whether a chunk is compressed here when it is full.
        """
        if values.dtype != self._dtype:
            values = values.astype(self._dtype)
        while len(values):
            taken = values[: CHUNK - self._held]
            self._pieces.append(taken)
            self._held += len(taken)
            values = values[len(taken) :]
            if self._held == CHUNK:
                self._complete()
                if at_once:
                    (chunk,) = _compressed(self._batch[-1:], CHUNK, self._space(1, CHUNK))
                    self._batch[-1] = chunk
                if len(self._batch) == BATCH:
                    self._send(CHUNK)
                    yield

    def part(self, place: int, values: NDArray[np.number]) -> Part:
        """Compress the chunks that values fill, for :meth:`put`; may run on any thread.

        Parameters
        ----------
        place
            How many values come before them.
        values
            They may be changed when this returns.
        """
        if values.dtype != self._dtype:
            values = values.astype(self._dtype)
        first = min(-place % CHUNK, len(values))
        last = max(first, len(values) - (place + len(values)) % CHUNK)
        if lz4.compressor() is None:
            first = last = len(values)
        chunks: list[_Pieces] = [[values[i : i + CHUNK]] for i in range(first, last, CHUNK)]
        batch = _compressed(chunks, CHUNK, self._space(len(chunks), CHUNK))
        (head, one), (tail, other) = self._kept(values[:first]), self._kept(values[last:])
        return Part(head, batch, tail, (one, other))

    def _kept(self, values: NDArray[np.number]) -> tuple[NDArray[np.number], NDArray[np.uint8]]:
        """Return a copy, and the memory that it is in."""
        memory = self._memory.take(values.nbytes)
        copy = memory[: values.nbytes].view(self._dtype)
        copy[:] = values
        return copy, memory

    def put(self, part: Part) -> None:
        """Take the values that follow, as :meth:`part` returned them."""
        for _ in self.putting(part):
            pass

    def putting(self, part: Part) -> Generator[None]:
        """Take the values that follow; yields as :meth:`appending` does."""
        self._borrowed.append(part.memory[0])
        # The chunk that was begun before is compressed here: no other thread has to be waited for.
        yield from self.appending(part.head, at_once=lz4.compressor() is not None)
        if part.batch and self._held:
            message = "The values of a part do not follow those before it."
            raise InternalError(message)
        self._reading = [future for future in self._reading if not future.done()]
        if not self._held and not self._reading and not _has_values(self._batch):
            self._give_back()
        for chunk in part.batch:
            self._batch.append(chunk)
            if len(self._batch) == BATCH:
                self._send(CHUNK)
                yield
        self._borrowed.append(part.memory[1])
        yield from self.appending(part.tail)

    def _give_back(self) -> None:
        while self._borrowed:
            self._memory.give(self._borrowed.pop())

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
        self._give_back()
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
        if lz4.compressor() is None:
            start, self._sent = self._sent * CHUNK, self._sent + len(batch)
            pieces = [piece for piece in batch if isinstance(piece, list)]
            joined = np.concatenate([v for piece in pieces for v in _padded(piece, chunk)])
            dataset.resize((start + len(joined),))
            dataset[start:] = joined
            return
        while len(self._waiting) >= AHEAD:
            self._write_oldest()
        start, self._sent = self._sent * CHUNK, self._sent + len(batch)
        space = self._space(sum(isinstance(each, list) for each in batch), chunk)
        future = self._pool.submit(_compressed, batch, chunk, space)
        self._waiting.append((start, future))
        if _has_values(batch):
            self._reading.append(future)

    def _space(self, n: int, chunk: int) -> list[NDArray[np.uint8]]:
        """Return memory for compressed chunks, used before if there is such; on any thread."""
        size = lz4.largest_size(chunk * self._dtype.itemsize)
        return [self._memory.take(size) for _ in range(n)]

    def _write_oldest(self) -> None:
        start, future = self._waiting.popleft()
        self._write(start, future.result())

    def _write(self, start: int, batch: list[_Chunk]) -> None:
        dataset = self._dataset
        assert dataset is not None
        step = dataset.chunks[0]
        if start + len(batch) * step > dataset.shape[0]:
            dataset.resize((start + max(GROWTH, len(batch)) * step,))
        for place, (chunk, buffer) in enumerate(batch):
            again = partial(self._memory.give, buffer)
            with nullcontext() if self._under is None else self._under.kept(buffer, again):
                dataset.id.write_direct_chunk((start + place * step,), chunk)
            if self._under is None:
                again()


def chunk_memory() -> PagePool:
    """Return memory for compressed chunks of four bytes a value."""
    return PagePool(lz4.largest_size(4 * CHUNK))


def _has_values(batch: Sequence[_Pieces | _Chunk]) -> bool:
    """Whether some of a batch is not compressed yet."""
    return any(isinstance(each, list) for each in batch)


def _padded(pieces: list[NDArray[np.number]], chunk: int) -> list[NDArray[np.number]]:
    """Return pieces that fill a chunk; the rest of the last is 0."""
    missing = chunk - sum(len(piece) for piece in pieces)
    return [*pieces, np.zeros(missing, dtype=pieces[0].dtype)] if missing else pieces


def _compressed(
    batch: Sequence[_Pieces | _Chunk], chunk: int, buffers: list[NDArray[np.uint8]]
) -> list[_Chunk]:
    """Compress those of a batch that are not yet, each into the next of the buffers."""
    found: list[_Chunk] = []
    free = iter(buffers)
    for each in batch:
        if isinstance(each, list):
            buffer = next(free)
            found.append((lz4.compress(_padded(each, chunk), buffer), buffer))
        else:
            found.append(each)
    return found
