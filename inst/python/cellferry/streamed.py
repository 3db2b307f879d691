"""Row blocks that are read while they arrive from elsewhere (R), and not kept."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .events import DRAIN_SECONDS, CancelledWork
from .expression import BLOCK_VALUES, BlockSource, Rows

if TYPE_CHECKING:
    from numpy.typing import DTypeLike
    from scipy.sparse import csr_matrix

AHEAD = 2
"""Blocks that wait for the reader; then the sender waits."""


class StreamedSource(BlockSource):
    """Takes blocks as :class:`cellferry.expression.BlockSource` does, for one reader, once.

    One thread appends, another iterates; each waits for the other, so that memory holds a few
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
    >>> source = StreamedSource(1, ["CD3E"])
    >>> source.append(0, np.array([0, 1]), np.array([0]), np.array([0.5]))
    >>> [(start, rows.together().toarray().tolist()) for start, rows in source.blocks()]
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
        self._queue: queue.Queue[tuple[int, Rows]] = queue.Queue(AHEAD)
        self._stopped = threading.Event()
        self._held: list[csr_matrix] = []
        self._held_from = self._held_values = 0

    def _keep(self, row_start: int, block: csr_matrix) -> None:
        block.data = block.data.astype(self._dtype, copy=False)
        if self._held and (
            self._held_values + block.nnz > BLOCK_VALUES
            or row_start + block.shape[0] - self._held_from > self._most
        ):
            self._hand_over()
        self._held.append(block)
        self._held_values += int(block.nnz)
        if self.rows_received == self.shape[0]:
            self._hand_over()

    def _hand_over(self) -> None:
        item = (self._held_from, Rows(tuple(self._held)))
        self._held_from += sum(int(block.shape[0]) for block in self._held)
        self._held, self._held_values = [], 0
        while self._reading():
            try:
                self._queue.put(item, timeout=DRAIN_SECONDS)
            except queue.Full:
                continue
            return

    def stop(self) -> None:
        """Tell the reader that nothing more will arrive."""
        self._stopped.set()

    def blocks(self) -> Iterator[tuple[int, Rows]]:
        """Yield the blocks as they arrive; the reader puts them together.

        Raises
        ------
        CancelledWork
            The sender has stopped.
        """
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

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Yield the blocks, put together."""
        for start, rows in self.blocks():
            yield start, rows.together()
