"""Row blocks that are asked for where they are (in R) whenever they are read, and not kept.

Here too is how Python asks and tells R, while R waits for it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import TYPE_CHECKING, Any

from . import wire
from .errors import InvalidObjectError, error_from_r
from .events import Caller, CancelledWork
from .expression import block_from_arrays

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

AHEAD = 1
"""Blocks that are fetched while another thread works on the one before."""

Message = dict[str, Any]
Ask = Callable[[Message], Message]
"""Asks R and returns its answer, decoded."""


class PulledSource:
    """A matrix elsewhere, of which the next block is asked for when it is needed.

    It can be read again and again, and a reader may stop anywhere. A few blocks are in memory,
    whatever the size of the matrix. Blocks are asked for in the thread that made the source;
    another thread can read while that one waits for it, see :class:`cellferry.events.Caller`.

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
    >>> source = PulledSource(1, ["CD3E"], lambda k: {"n_blocks": 1, "row_start": 0, **arrays})
    >>> [(start, block.toarray().tolist()) for start, block in source]
    [(0, [[0.5]])]
    """

    in_memory = False

    def __init__(
        self,
        n_cells: int,
        genes: Sequence[str],
        read: Callable[[int], Mapping[str, Any]],
        *,
        nnz: int | None = None,
    ) -> None:
        self.genes = tuple(genes)
        self.shape: tuple[int, int] = (n_cells, len(self.genes))
        self.nnz = nnz
        self._read = read
        self._caller = Caller.here()

    def __iter__(self) -> Iterator[tuple[int, csr_matrix]]:
        """Yield ``(row_start, block)`` in row order.

        Raises
        ------
        InvalidObjectError
            A block does not fit, or there are fewer rows than cells.
        CancelledWork
            In another thread: nobody asks for blocks any more.
        """
        rows = asked = 0
        n_blocks = 1  # until the first one has told
        ahead = 0 if self._caller.is_here else AHEAD
        waiting: deque[Future[Mapping[str, Any]]] = deque()
        try:
            while rows < self.shape[0]:
                if asked == n_blocks and not waiting:
                    message = f"Only {rows} of {self.shape[0]} rows of the matrix arrived."
                    raise InvalidObjectError(message, "The sparse matrix of the object is damaged.")
                if not waiting:
                    asked += 1
                    waiting.append(self._caller.ask(partial(self._read, asked)))
                found = _answered(waiting.popleft())
                n_blocks = int(found["n_blocks"])
                start, block = rows, self._block(found, rows)
                rows += int(block.shape[0])
                while asked < n_blocks and len(waiting) < ahead:
                    asked += 1
                    waiting.append(self._caller.ask(partial(self._read, asked)))
                yield start, block
        finally:
            for future in waiting:
                future.cancel()

    def _block(self, found: Mapping[str, Any], following: int) -> csr_matrix:
        arrays = (found["indptr"], found["indices"], found["data"])
        return block_from_arrays((int(found["row_start"]), following), *arrays, self.shape)


def _answered(future: Future[Mapping[str, Any]]) -> Mapping[str, Any]:
    try:
        return future.result()
    except CancelledError:
        raise CancelledWork from None


def ask_by(function: Callable[[bytearray], Any]) -> Ask:
    """Return what asks R through a function of R that Python was given with a call.

    R never signals from within that function, because a condition that jumps out of it would
    leave Python in the middle of its work. It says what happened, and it is raised here.
    """

    def ask(question: Message) -> Message:
        head, *buffers = function(bytearray(json.dumps(question).encode()))
        answer: Message = wire.decode(json.loads(bytes(head).decode()), buffers)
        return checked_answer(answer, "reading the object")

    return ask


def tell(function: Callable[[bytearray], Any], message: Message) -> None:
    """Tell R something through a function of it; raise what it says happened meanwhile."""
    answer = function(bytearray(json.dumps(message, ensure_ascii=False).encode()))
    if answer:
        checked_answer(json.loads(bytes(answer[0]).decode()), "a callback")


INTERRUPTED: Message = {"kind": "interrupted"}
"""The question whether R was interrupted."""


def checked_answer(answer: Message, where: str) -> Message:
    """Return an answer of R, or raise what it says went wrong.

    Raises
    ------
    CellferryError
        As :func:`cellferry.errors.error_from_r` makes it of the condition.
    KeyboardInterrupt
        R was interrupted.
    """
    failed = answer.get("failed")
    if failed is None:
        return answer
    if failed["class"] == "interrupt":
        raise KeyboardInterrupt
    raise error_from_r(failed["class"], failed["text"], where)


def block_question(part: str, number: int) -> Message:
    """Return the question for one block of ``"normalized"`` or ``"counts"``."""
    return {"kind": "block", "part": part, "block": number}
