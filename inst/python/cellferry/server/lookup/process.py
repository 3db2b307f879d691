"""The server's side of reading uploaded files: in other processes, with a time limit.

Files come from clients and are read by large C libraries. A crash, a bomb or an endless
loop in there ends a helper process, not the server.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from ..failures import Code, Failure

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


class _Process:
    def __init__(self) -> None:
        package = Path(__file__).resolve().parents[3]
        environment = {
            name: os.environ[name]
            for name in ("PATH", "SYSTEMROOT", "TMPDIR")
            if name in os.environ
        }
        environment |= {
            "PYTHONPATH": str(package),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.calls = 0
        self.timed_out = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cellferry.server.lookup.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/" if os.name == "posix" else None,
        )

    def ask(self, request: Mapping[str, object], seconds: float) -> Answer | None:
        """Return the answer, or None if the process ended or was ended."""
        self.calls += 1
        watch = threading.Timer(seconds, self._kill)
        watch.daemon = True
        watch.start()
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(orjson.dumps(request) + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            answer: Answer | None = orjson.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            answer = None
        finally:
            watch.cancel()
        return answer

    def _kill(self) -> None:
        self.timed_out = True
        self._process.kill()

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
