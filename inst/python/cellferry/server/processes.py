"""Helper processes of a server: started alone, limited, and ended in time.

Those that read what clients sent get nothing of the environment that could be a secret. All end
when the server does, because their standard input ends.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
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
    environment
        Its environment, for one that does what the server itself would do; None: what can be no
        secret.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        package = str(Path(__file__).resolve().parents[2])
        if environment is None:
            known = ("PATH", "SYSTEMROOT", "TMPDIR")
            environment = {name: os.environ[name] for name in known if name in os.environ}
        paths = filter(None, (package, environment.get("PYTHONPATH")))
        environment = {
            **environment,
            "PYTHONPATH": os.pathsep.join(paths),
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
        self, talk: Callable[[IO[bytes], IO[bytes]], _Answer], seconds: float | None
    ) -> _Answer | None:
        """Return what it answers, or None if it ended or was ended.

        Parameters
        ----------
        talk
            Gets its standard input and output; may raise OSError, ValueError or EOFError.
        seconds
            How long it may take; None: for ever.
        """
        self.calls += 1
        watch = threading.Timer(threading.TIMEOUT_MAX if seconds is None else seconds, self._late)
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

    def _late(self) -> None:
        self.timed_out = True
        self.kill()

    def kill(self) -> None:
        """End the process while another thread exchanges something with it."""
        self._process.kill()

    def exit_code(self) -> int | None:
        """Return with what it ended by itself, negative for a signal; None if it did not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout=5)
        return None

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
    try:
        resource.setrlimit(what, (limit, limit))
    except (OSError, ValueError):
        # macOS refuses a limit of memory below what every process of it maps.
        if what != resource.RLIMIT_AS:
            raise
