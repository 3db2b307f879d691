"""Expression of R as a source: sent once, kept in a file, or asked for on demand."""

from __future__ import annotations

import queue
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidObjectError
from ..runs.worker import DRAIN_SECONDS, Caller, CancelledWork
from ..study.expression.blocks import BLOCK_VALUES, BlockSource, block_from_arrays
from ..study.expression.source import RUNS, BlockRun, ExpressionSource, runs_of, spread

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from scipy.sparse import csr_matrix

    from .wire import Message

QUEUED_BLOCKS = 2
"""Blocks that wait for the reader; then the sender waits."""


class QueueSource(BlockSource):
    """Takes blocks as :class:`BlockSource` does, for one reader, once.

    One thread appends, another iterates; each waits for the other, so that memory has a few
    blocks whatever the size of the matrix.

    Parameters
    ----------
    n_cells, genes
        The shape they must fill.
    reading
        Whether there is still a reader; when there is none, what arrives is dropped. May raise
        the reader's error in the thread that appends.
    most
        Most cells of a block that is read.
    dtype
        Of the values. float32 is that of vars.h5; counts need float64, so that none is rounded
        before it is checked.

    Examples
    --------
    >>> source = QueueSource(1, ["CD3E"])
    >>> source.append(0, np.array([0, 1]), np.array([0]), np.array([0.5]))
    >>> [(start, rows.concat().toarray().tolist()) for start, rows in source.blocks()]
    [(0, [[0.5]])]
    """

    def __init__(
        self,
        n_cells: int,
        genes: Sequence[str],
        reading: Callable[[], bool] = lambda: True,
        *,
        most: int = 2000,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(n_cells, genes)
        self._reading, self._most, self._dtype = reading, most, np.dtype(dtype)
        self._queue: queue.Queue[tuple[int, BlockRun]] = queue.Queue(QUEUED_BLOCKS)
        self._stopped = threading.Event()
        self._waiting: list[csr_matrix] = []
        self._waiting_from = self._waiting_values = 0

    def _keep(self, row_start: int, block: csr_matrix) -> None:
        block.data = block.data.astype(self._dtype, copy=False)
        if self._waiting and (
            self._waiting_values + block.nnz > BLOCK_VALUES
            or row_start + block.shape[0] - self._waiting_from > self._most
        ):
            self._hand_over()
        self._waiting.append(block)
        self._waiting_values += int(block.nnz)
        if self.rows_received == self.shape[0]:
            self._hand_over()

    def _hand_over(self) -> None:
        item = (self._waiting_from, BlockRun(tuple(self._waiting)))
        self._waiting_from += sum(int(block.shape[0]) for block in self._waiting)
        self._waiting, self._waiting_values = [], 0
        while self._reading():
            try:
                self._queue.put(item, timeout=DRAIN_SECONDS)
            except queue.Full:
                continue
            return

    @property
    def rereadable(self) -> bool:
        """No: nothing is kept."""
        return False

    @property
    def in_memory(self) -> bool:
        """No: nothing is kept."""
        return False

    @property
    def stored_values(self) -> int | None:
        """Not known: nothing is kept."""
        return None

    def close(self) -> None:
        """Let the reader know that nothing more will arrive."""
        self._stopped.set()

    def blocks(self, most: int = 0) -> Iterator[tuple[int, BlockRun]]:
        """Yield the blocks as they arrive; the reader puts them together.

        How many cells they have was said when the source was made.

        Raises
        ------
        CancelledWork
            The sender has stopped.
        """
        del most
        read = 0
        while read < self.shape[0]:
            try:
                start, rows = self._queue.get(timeout=DRAIN_SECONDS)
            except queue.Empty:
                if self._stopped.is_set():
                    raise CancelledWork from None
                continue
            read = start + sum(int(block.shape[0]) for block in rows.blocks)
            yield start, rows

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield the blocks, put together."""
        for start, rows in self.blocks():
            yield start, rows.concat()


LOOKED_AT_BLOCKS = 4
"""Blocks that are looked at for the kind of values that a matrix has."""
BLOCKS_AHEAD = 1
"""Blocks that are fetched while another thread works on the one before."""


class OnDemandSource(ExpressionSource):
    """A matrix elsewhere, of which the next block is asked for when it is needed.

    It can be read again and again, and a reader may stop anywhere. A few blocks are in memory,
    whatever the size of the matrix. Blocks are asked for in the thread that made the source;
    another thread can read while that one waits for it, see :class:`cellferry.runs.worker.Caller`.

    Parameters
    ----------
    n_cells, genes
        The shape that the blocks must fill.
    read
        Returns block 1, 2, ... as ``n_blocks``, ``row_start`` (from 0) and the CSR arrays
        ``indptr``, ``indices`` and ``data``, of any dtype. The first rows come first.
    nnz
        Values that are stored, where that is known without reading.

    Examples
    --------
    >>> import numpy as np
    >>> arrays = {"indptr": np.array([0, 1]), "indices": np.array([0]), "data": np.array([0.5])}
    >>> source = OnDemandSource(1, ["CD3E"], lambda k: {"n_blocks": 1, "row_start": 0, **arrays})
    >>> [(start, block.toarray().tolist()) for start, block in source]
    [(0, [[0.5]])]
    """

    def __init__(
        self,
        n_cells: int,
        genes: Sequence[str],
        read: Callable[[int], Message],
        *,
        nnz: int | None = None,
    ) -> None:
        self.genes = tuple(genes)
        self.shape: tuple[int, int] = (n_cells, len(self.genes))
        self._stored_values = nnz
        self._read = read
        self._caller = Caller.here()

    @property
    def stored_values(self) -> int | None:
        """What was said when the source was made."""
        return self._stored_values

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield ``(row_start, block)`` in row order.

        Raises
        ------
        InvalidObjectError
            A block does not fit, or there are fewer rows than cells.
        CancelledWork
            In another thread: nobody asks for blocks any more.
        """
        rows = requested = 0
        n_blocks = 1  # until the first one has said
        ahead = 0 if self._caller.is_here else BLOCKS_AHEAD
        waiting: deque[Future[Message]] = deque()
        try:
            while rows < self.shape[0]:
                if requested == n_blocks and not waiting:
                    message = f"Only {rows} of {self.shape[0]} rows of the matrix arrived."
                    raise InvalidObjectError(message, "The sparse matrix of the object is damaged.")
                if not waiting:
                    requested += 1
                    waiting.append(self._caller.ask(partial(self._read, requested)))
                found = _answered(waiting.popleft())
                n_blocks = int(found["n_blocks"])
                start, block = rows, self._block(found, rows)
                rows += int(block.shape[0])
                while requested < n_blocks and len(waiting) < ahead:
                    requested += 1
                    waiting.append(self._caller.ask(partial(self._read, requested)))
                yield start, block
        finally:
            for future in waiting:
                future.cancel()

    def sample_values(self, most: int) -> NDArray[np.number]:
        """Return values of some blocks spread over the matrix; each is asked for."""
        n_blocks = int(_answered(self._caller.ask(partial(self._read, 1)))["n_blocks"])
        places = spread(n_blocks, LOOKED_AT_BLOCKS)
        found = []
        for place in places:
            block = _answered(self._caller.ask(partial(self._read, int(place) + 1)))
            found.append(runs_of(np.asarray(block["data"]), most // len(places)))
        return np.concatenate(found) if found else np.empty(0)

    def _block(self, found: Message, following: int) -> csr_matrix:
        arrays = (found["indptr"], found["indices"], found["data"])
        return block_from_arrays((int(found["row_start"]), following), *arrays, self.shape)


def _answered(future: Future[Message]) -> Message:
    try:
        return future.result()
    except CancelledError:
        raise CancelledWork from None


class DiskBackedSource(BlockSource):
    """Takes blocks as :class:`BlockSource` does and keeps them in a file.

    The file has no name, so it goes when the source does, or the process, however it ends.

    Parameters
    ----------
    n_cells, genes
        The shape they must fill.
    folder
        Where the file is; None is the system's place for temporary files, which is often
        small: the folder of the artifacts is the better place.
    dtype
        Of the values in the file. float32 is that of vars.h5; counts need float64, so that
        none is rounded before it is checked.

    Examples
    --------
    >>> source = DiskBackedSource(1, ["CD3E"])
    >>> source.append(0, np.array([0, 1]), np.array([0]), np.array([0.5]))
    >>> [(start, block.toarray().tolist()) for start, block in source]
    [(0, [[0.5]])]
    """

    def __init__(
        self,
        n_cells: int,
        genes: Sequence[str],
        folder: Path | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(n_cells, genes)
        self._dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this
        self._places: list[tuple[int, int, int]] = []

    @property
    def in_memory(self) -> bool:
        """No: the blocks are in a file."""
        return False

    @property
    def nnz(self) -> int:
        """How many values have arrived."""
        return sum(n_values for _, _, n_values in self._places)

    def _keep(self, row_start: int, block: csr_matrix) -> None:
        n_rows, n_values = int(block.shape[0]), int(block.nnz)
        self._places.append((row_start, n_rows, n_values))
        self._file.seek(0, 2)
        self._file.write(block.indptr.astype(np.int64).tobytes())
        self._file.write(block.indices.astype(np.int32).tobytes())
        self._file.write(block.data.astype(self._dtype).tobytes())

    def sample_values(self, most: int) -> NDArray[np.number]:
        """Return values of blocks spread over the file."""
        found, place, chosen = [], 0, set(spread(len(self._places), RUNS).tolist())
        for i, (_, n_rows, n_values) in enumerate(self._places):
            values_at = place + 8 * (n_rows + 1) + 4 * n_values
            place = values_at + self._dtype.itemsize * n_values
            if i in chosen:
                self._file.seek(values_at)
                content = self._file.read(self._dtype.itemsize * n_values)
                found.append(runs_of(np.frombuffer(content, self._dtype), most // len(chosen)))
        return np.concatenate(found) if found else np.empty(0)

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield the blocks in row order."""
        from scipy.sparse import csr_matrix

        place = 0
        for row_start, n_rows, n_values in self._places:
            self._file.seek(place)
            values_at = 8 * (n_rows + 1) + 4 * n_values
            length = values_at + self._dtype.itemsize * n_values
            content = self._file.read(length)
            place += length
            indptr = np.frombuffer(content, np.int64, n_rows + 1)
            indices = np.frombuffer(content, np.int32, n_values, 8 * (n_rows + 1))
            data = np.frombuffer(content, self._dtype, n_values, values_at)
            shape = (n_rows, self.shape[1])
            yield row_start, csr_matrix((data, indices, indptr), shape=shape, copy=False)

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()
