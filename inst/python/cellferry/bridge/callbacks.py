"""How Python calls R while R waits for it: for a block of a matrix, an event, an interrupt."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import InternalError, error_from_r
from ..runs.worker import Caller
from . import wire
from .wire import Message

Callback = Callable[[bytearray], Sequence[bytes | bytearray] | None]
"""A function of R that Python was given with a call. It takes JSON bytes, and returns None or an
answer as a call has it: JSON bytes, then buffers."""
Ask = Callable[[Message], Message]
"""Asks R and returns its answer, decoded."""


def ask_by(callback: Callback) -> Ask:
    """Return what asks R through a function of it.

    R never signals from within that function, because a condition that jumps out of it would
    leave Python in the middle of its work. It says what happened, and it is raised here.
    """

    def ask(question: Message) -> Message:
        found = callback(bytearray(json.dumps(question).encode()))
        if not found:
            message = "R gave no answer to a question."
            raise InternalError(message)
        head, *buffers = found
        answer: Message = wire.decode(json.loads(bytes(head).decode()), buffers)
        return checked_answer(answer, "reading the object")

    return ask


def notify(callback: Callback, message: Message) -> None:
    """Send R a message that needs no answer; raise what R says happened meanwhile."""
    answer = callback(bytearray(json.dumps(message, ensure_ascii=False).encode()))
    if answer:
        checked_answer(json.loads(bytes(answer[0]).decode()), "a callback")


class Session:
    """The session of R that calls just now, for what asks it in another thread.

    Attributes
    ----------
    caller
        The thread that R called, in which alone it may be asked.
    """

    def __init__(self) -> None:
        self.caller = Caller.here()
        self._open = 0
        self._callback: Callback | None = None

    @property
    def is_open(self) -> bool:
        """Whether R has called, and waits."""
        return self._open > 0

    @contextmanager
    def called(self, callback: Callback | None) -> Iterator[None]:
        """Be open while R waits for a call.

        Parameters
        ----------
        callback
            By which R can be asked meanwhile, if at all.
        """
        before = self.caller, self._callback
        self.caller, self._callback = Caller.here(), callback
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self.caller, self._callback = before

    def ask(self, question: Message) -> Message:
        """Ask R, in the thread that it called."""
        if self._callback is None:
            message = "R was asked during a call in which it gives no answers."
            raise InternalError(message)
        return ask_by(self._callback)(question)


session = Session()
"""The one of this process."""

INTERRUPTED: Message = {"kind": "interrupted"}
"""The question whether R was interrupted."""


def checked_answer(answer: Message, where: str) -> Message:
    """Return an answer of R, or raise what it says went wrong.

    Parameters
    ----------
    answer
        Decoded; ``failed`` has the class and text of a condition.
    where
        What was done, for the message.

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
