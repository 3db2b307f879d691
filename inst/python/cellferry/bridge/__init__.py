"""The bridge to R: one function that takes and returns text and raw bytes.

R calls ``call(name, message, buffers)``; both ends speak :mod:`cellferry.bridge.wire`. Errors,
warnings and messages come back as data, because classes do not survive the way through
reticulate. What can be asked is in :mod:`cellferry.bridge.calls`.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from functools import partial

from ..errors import (
    ISSUE_URL,
    CellferryError,
    CellferryWarning,
    InternalError,
    InterruptedRunError,
    language,
    spelled,
)
from ..runs.worker import Caller
from ..study.inputs.readers import give_readers_of
from . import wire
from .callbacks import INTERRUPTED, Callback, notify, session
from .calls import CALLS
from .r_code import in_r
from .wire import Message


def call(
    name: bytes | bytearray,
    message: bytes | bytearray,
    buffers: Sequence[bytes | bytearray] = (),
    callback: Callback | None = None,
) -> list[bytearray]:
    """Do what R asks and return the answer as JSON bytes, followed by its buffers.

    Parameters
    ----------
    name
        Name of one of :data:`cellferry.bridge.calls.CALLS`, UTF-8.
    message
        A JSON object, UTF-8; vectors are references into ``buffers``.
    callback
        Called in this thread with the JSON of each event of a run, and with questions that it
        answers as R calls this (JSON, buffers): for a block of the object, and now and then
        whether R was interrupted. R sees interrupts only where it says so, because one that
        jumps out of reticulate breaks this process.

    Never raises: the answer is ``{"ok": true, "value"}`` or ``{"ok": false, "error"}``, with
    the warnings and messages that arose.
    """
    give_readers_of(f"{__name__}.rds.readers")
    out = wire.Outgoing()
    messages: list[str] = []
    handler = _Collect(messages)
    logger = logging.getLogger("cellferry")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    answer: Message
    caller = Caller.here()
    spoken = language.set("r")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        caller.watch = None if callback is None else partial(notify, callback, INTERRUPTED)
        try:
            request = wire.decode(json.loads(bytes(message).decode()), buffers)
            function = CALLS[bytes(name).decode()]
            with session.called(callback):
                answer = {"ok": True, "value": function(request, out, callback)}
        except KeyboardInterrupt as interrupt:
            answer = {"ok": False, "error": _for_r(_interrupted(interrupt))}
        except CellferryError as error:
            answer = {"ok": False, "error": _for_r(error)}
        except Exception as error:
            text = f"cellferry failed unexpectedly: {type(error).__name__}: {error}"
            internal = InternalError(text, f"Please report it at {ISSUE_URL}.")
            answer = {"ok": False, "error": _for_r(internal)}
        finally:
            caller.watch = None
            logger.removeHandler(handler)
            logger.setLevel(level)
            language.reset(spoken)
    answer["warnings"] = [
        _for_r(w.message) for w in caught if isinstance(w.message, CellferryWarning)
    ]
    answer["messages"] = messages
    if not answer["ok"]:
        out.buffers.clear()
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False, default=str)
    return [bytearray(text.encode()), *out.buffers]


class _Collect(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.INFO)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(spelled(record.getMessage(), in_r))


def _for_r(condition: CellferryError | CellferryWarning) -> dict[str, object]:
    """Return an error or warning as plain data that names arguments as R does."""
    message, hint = (spelled(text, in_r) for text in (condition.message, condition.hint))
    return {**condition.to_dict(), "message": message, "hint": hint}


def _interrupted(interrupt: KeyboardInterrupt) -> InterruptedRunError:
    run = getattr(interrupt, "run", None)
    if run is None:
        return InterruptedRunError("The annotation was interrupted before it began.")
    hint = f'Nothing is lost: go on with ResumeAnnotation(object, run = "{run}").'
    return InterruptedRunError("The annotation was interrupted.", hint, run=run)
