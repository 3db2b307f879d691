"""The server's side of parsing: small bodies here, large ones in a helper process.

To parse a body of some megabytes holds Python's lock for a large part of a second, in which
nobody else is answered. So one helper does it, one body after the other.
"""

from __future__ import annotations

import pickle
import threading
from typing import IO, TYPE_CHECKING, Any

import orjson

from ..bodies import read
from ..failures import Code, Failure
from ..http.cells import ANSWERS
from ..jobs.llm_configs import Credentials, allowed
from ..jobs.payload import JobRequest, read_submission
from ..processes import Helper
from .child import exactly

if TYPE_CHECKING:
    from ..settings import Settings
    from .child import Parsed

SECONDS = 120.0
SMALL_BYTES = 128 * 1024
"""Bodies up to here are parsed in the server, which is done in milliseconds."""
LARGE_BYTES = 32 * 1024**2
"""After a larger body the helper is ended, because it keeps the memory."""
MODULE = "cellferry.server.parsing.child"


class Parser:
    """Parses bodies of requests, one at a time; called in threads.

    Parameters
    ----------
    settings
        Of the server: the most clusters, and the origins that may be called.
    seconds
        How long one body may take.
    """

    def __init__(self, settings: Settings, seconds: float = SECONDS) -> None:
        self._settings = settings
        self._seconds = seconds
        self._mutex = threading.Lock()
        self._helper: Helper | None = None

    def submission(self, body: bytes) -> JobRequest:
        """Return the job of a body, checked; raises :class:`Failure`."""
        if len(body) <= SMALL_BYTES:
            return read_submission(body, self._settings)
        found: Parsed = pickle.loads(self._ask("submission", body))
        job, sent, uploads, visibility = found
        configs = read(Credentials, {"llm_configs": sent}).llm_configs
        return JobRequest(job, allowed(configs, self._settings), uploads, visibility)

    def cells(self, body: bytes, what: str = "cells") -> bytes:
        """Return the answer about the cells of a body, as JSON; raises :class:`Failure`.

        ``what`` is one of :data:`~..http.cells.ANSWERS`.
        """
        return ANSWERS[what](body) if len(body) <= SMALL_BYTES else self._ask(what, body)

    def close(self) -> None:
        """End the helper."""
        helper = self._helper
        if helper is not None:
            helper.end()

    def _ask(self, operation: str, body: bytes) -> bytes:
        head = {
            "operation": operation,
            "size": len(body),
            "clusters": self._settings.clusters,
            "base_urls": self._settings.base_urls,
        }

        def talk(to: IO[bytes], back: IO[bytes]) -> tuple[dict[str, Any], bytes]:
            to.write(orjson.dumps(head) + b"\n")
            to.write(body)
            to.flush()
            answer = orjson.loads(back.readline())
            return answer, exactly(back, answer.get("size", 0))

        with self._mutex:
            helper = self._helper or Helper(MODULE)
            found = helper.exchange(talk, self._seconds)
            if found is None and helper.calls > 1 and not helper.timed_out:
                # It may have ended in between, of the machine's needs.
                helper.end()
                helper = Helper(MODULE)
                found = helper.exchange(talk, self._seconds)
            self._helper = helper
            if found is None or len(body) > LARGE_BYTES:
                helper.end()
                self._helper = None
        if found is None:
            message = "To read the body took too long or too much memory."
            raise Failure(Code.PAYLOAD_TOO_LARGE, message)
        answer, content = found
        if "error" in answer:
            raise Failure(Code(answer["code"]), answer["error"], answer["headers"])
        return content
