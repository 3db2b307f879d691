"""How Python asks and tells R, while R waits for it: blocks of a matrix, events, interrupts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import error_from_r
from . import wire

if TYPE_CHECKING:
    pass

Message = dict[str, Any]
Ask = Callable[[Message], Message]
"""Asks R and returns its answer, decoded."""


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
