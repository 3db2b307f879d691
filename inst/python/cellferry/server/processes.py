"""Helper processes of a server: started alone, limited, and ended in time.

They get nothing of the environment that could be a secret, and end when the server does,
because their standard input ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

MEMORY_BYTES = 3 * 1024**3
KINDER = 5
"""By how much helpers are kinder than the server, which has to answer in the meantime."""

_Answer = TypeVar("_Answer")


class Helper:
    """One helper process, which is asked one thing at a time.

    Parameters
    ----------
    module
        What it runs.
    """

    def __init__(self, module: str) -> None:
        package = Path(__file__).resolve().parents[2]
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
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/" if os.name == "posix" else None,
        )

    def exchange(
        self, talk: Callable[[IO[bytes], IO[bytes]], _Answer], seconds: float
    ) -> _Answer | None:
        """Return what it answers, or None if it ended or was ended.

        Parameters
        ----------
        talk
            Gets its standard input and output; may raise OSError, ValueError or EOFError.
        seconds
            How long it may take.
        """
        self.calls += 1
        watch = threading.Timer(seconds, self._kill)
        watch.daemon = True
        watch.start()
        try:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            return talk(self._process.stdin, self._process.stdout)
        except (OSError, ValueError, EOFError):
            return None
        finally:
            watch.cancel()

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


def limit_memory() -> None:
    """Limit the memory of this process, and let others go first, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limit_to(resource.RLIMIT_AS, MEMORY_BYTES)
    limit_to(resource.RLIMIT_CORE, 0)
    os.nice(KINDER)


def limit_to(what: int, value: int) -> None:
    """Set a limit of this process, or a lower one that it has."""
    import resource

    hard = resource.getrlimit(what)[1]
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (limit, limit))
