"""The server's side of reading uploaded files: in other processes, with a time limit.

Files come from clients and are read by large C libraries. A crash, a bomb or an endless
loop in there ends a helper process, not the server.
"""

from __future__ import annotations

import threading
from typing import IO, TYPE_CHECKING, Any

import orjson

from ..failures import Code, Failure
from ..processes import Helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .child import Answer

SECONDS = 60.0
CALLS_PER_PROCESS = 500


class Readers:
    """A few helper processes, started when they are needed.

    Parameters
    ----------
    processes
        The most at once.
    seconds
        How long one call may take.
    """

    def __init__(self, processes: int = 2, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(processes)
        self._mutex = threading.Lock()
        self._idle: list[_Process] = []
        self._closed = False

    def call(self, operation: str, **arguments: object) -> Any:
        """Have a helper do one operation of :mod:`.child` and return its result.

        Raises
        ------
        Failure
            The file is refused, or the helper ended or took too long: INVALID_ARTIFACT.
            What was requested is not in it: the code of the helper.
        """
        request = {"operation": operation, **arguments}
        with self._free:
            with self._mutex:
                process = self._idle.pop() if self._idle else _Process()
            answer = process.ask(request, self._seconds)
            if answer is None and process.calls > 1 and not process.timed_out:
                # It may have died of an earlier call, or of the machine's needs.
                process.end()
                process = _Process()
                answer = process.ask(request, self._seconds)
            with self._mutex:
                keep = answer is not None and process.calls < CALLS_PER_PROCESS
                if keep and not self._closed:
                    self._idle.append(process)
                else:
                    process.end()
        if answer is None:
            message = "The uploaded file cannot be read: reading it broke off or took too long."
            raise Failure(Code.INVALID_ARTIFACT, message)
        if "error" in answer:
            raise Failure(Code(answer["code"]), answer["error"])
        return answer["result"]

    def close(self) -> None:
        """End all helpers."""
        with self._mutex:
            self._closed = True
            for process in self._idle:
                process.end()
            self._idle.clear()


class _Process(Helper):
    def __init__(self) -> None:
        super().__init__("cellferry.server.lookup.child")

    def ask(self, request: Mapping[str, object], seconds: float) -> Answer | None:
        """Return the answer, or None if the process ended or was ended."""

        def talk(to: IO[bytes], back: IO[bytes]) -> Answer | None:
            to.write(orjson.dumps(request) + b"\n")
            to.flush()
            line = back.readline()
            answer: Answer | None = orjson.loads(line) if line.endswith(b"\n") else None
            return answer

        return self.exchange(talk, seconds)
