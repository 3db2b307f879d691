"""The process that serves the page of a review: started by its name, asked whether it is there."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..._version import pip_install
from ...errors import DependencyError, InternalError, OutputError, in_language
from ...files import PRIVATE, locked, write_json
from ...runs.reviews import ReviewFolder

MODULE = "cellferry.server.review"
NEEDED = ("duckdb", "hdf5plugin", "pydantic", "starlette", "uvicorn")
START_SECONDS = 60.0
ASK_SECONDS = 3.0
LOG = "log.txt"
KEPT_VARIABLES = (
    "APPDATA", "CELLFERRY_HOME", "CELLFERRY_REVIEWER", "HOME", "LANG", "LC_ALL", "LC_CTYPE",
    "LOCALAPPDATA", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "USERPROFILE", "XDG_DATA_HOME",
)  # fmt: skip
"""Of the environment the page's process gets these: neither keys nor R's library path."""
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Served:
    """Where a page is served.

    Attributes
    ----------
    address
        With the token, without which nothing is answered.
    pid
        Its process.
    started
        When that began, by the system: a number may be given again.
    """

    address: str
    pid: int
    started: float

    @property
    def is_own(self) -> bool:
        """Whether this process has started it."""
        return any(child.pid == self.pid for child in _children)

    def state(self) -> dict[str, object] | None:
        """Return what the process says of itself; None where it does not answer."""
        if not self.is_running():
            return None
        parts = urlsplit(self.address)
        # A proxy of the environment is not asked about this machine.
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=ASK_SECONDS
        )
        try:
            connection.request("GET", f"{parts.path}health")
            answer = connection.getresponse()
            found: dict[str, object] = json.loads(answer.read(10_000))
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return found if answer.status == 200 else None

    def is_running(self) -> bool:
        """Whether its process is there."""
        return runs(self.pid, self.started)

    def stop(self, seconds: float = 5.0) -> None:
        """End the process, and wait until it has ended."""
        if not self.is_running():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, signal.SIGTERM)
        until = time.monotonic() + seconds
        while self.is_running() and time.monotonic() < until:
            time.sleep(0.02)
        if self.is_running():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def runs(pid: int, started: float) -> bool:
    """Whether the process of a number that began at a time still runs.

    Parameters
    ----------
    pid, started
        As psutil says them.

    Examples
    --------
    >>> import os, psutil
    >>> runs(os.getpid(), psutil.Process().create_time())
    True
    """
    import psutil

    for child in list(_children):
        # One that has ended stays in the system's list until its parent looks.
        if child.poll() is not None:
            _children.remove(child)
    try:
        process = psutil.Process(pid)
        # The time is computed from ticks since the machine began, whose start may be corrected.
        is_same = abs(process.create_time() - started) < 2
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def check_installed() -> None:
    """Raise where the packages are missing that serve the page, before anything is built.

    Raises
    ------
    DependencyError
        Says the line that installs them, and the one that writes the page as a file instead.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return
    names = " and ".join(", ".join(missing).rsplit(", ", 1))
    be = "is" if len(missing) == 1 else "are"
    message = f"The live page needs {names}, which {be} not installed."
    line = f"{sys.executable} -m {pip_install('server')}"
    # Of a Python that the user manages only he can say what is in it.
    own = f"in a terminal: {python_of_this()} -m pip install {' '.join(NEEDED)}"
    managed = os.environ.get("RETICULATE_PYTHON")
    install = in_language(python=line, r=own if managed else "InstallBackend()", cli=line)
    instead = in_language(
        python='cellferry.annotation_report(adata, "report.html")',
        r='AnnotationReport(object, "report.html")',
        cli="cellferry report INPUT report.html",
    )
    raise DependencyError(message, f"Install: {install}\nOr write the page as a file: {instead}")


def served(folder: ReviewFolder) -> Served | None:
    """Return where the page of a review is served; None where it is not."""
    try:
        stored = json.loads(folder.address.read_text(encoding="utf-8"))
        found = Served(str(stored["address"]), int(stored["pid"]), float(stored["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.state() is not None else None


def start(folder: ReviewFolder, *, outlives: bool = False) -> Served:
    """Return where the page of a review is served, started where it is not.

    Parameters
    ----------
    folder
        Complete.
    outlives
        Whether the process stays when this one has ended.

    Raises
    ------
    DependencyError, OutputError, InternalError
        The page cannot be served; the message says where its log is.
    """
    check_installed()
    lock = locked(folder.file(".address.lock"), seconds=START_SECONDS)
    if lock is None:
        message = f'Another process has been starting the page of "{folder.path}" for a minute.'
        raise OutputError(message, "Try again.")
    try:
        return served(folder) or _started(folder, outlives=outlives)
    finally:
        lock.release()


def _started(folder: ReviewFolder, *, outlives: bool) -> Served:
    import psutil

    arguments = [python_of_this(), "-m", MODULE, str(folder.path.resolve())]
    if not outlives:
        began = psutil.Process().create_time()
        arguments += ["--parent", str(os.getpid()), "--parent-started", repr(began)]
    log = folder.file(LOG)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
    with os.fdopen(descriptor, "wb") as errors:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment_of_child(os.environ),
            cwd=folder.path,
            # Ctrl-C of the terminal is not meant for it.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows
        )
    _children.append(child)
    assert child.stdout is not None
    with child.stdout:
        line = child.stdout.readline()
    try:
        stored = json.loads(line)
        return Served(str(stored["address"]), int(stored["pid"]), float(stored["started"]))
    except (ValueError, KeyError, TypeError) as error:
        child.kill()
        child.wait()
        printed = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        message = f"The live page could not be started: {' '.join(printed) or 'it said nothing'}."
        raise InternalError(message, f'Its log is "{log}".') from error


def python_of_this() -> str:
    """Return the path of the Python that runs this, also where R has embedded it."""
    own = Path(sys.executable or "")
    if own.name.lower().startswith("python"):
        return str(own)
    given = os.environ.get("RETICULATE_PYTHON", "")
    names = ("bin/python3", "bin/python", "Scripts/python.exe", "python.exe")
    there = [path for path in (Path(sys.prefix) / name for name in names) if path.is_file()]
    return given if given and Path(given).is_file() else str(there[0] if there else own)


def environment_of_child(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the page's process: no secrets, and no library path of R.

    Parameters
    ----------
    environment
        Of this process.

    Examples
    --------
    >>> sorted(environment_of_child({"R_HOME": "/R", "LD_LIBRARY_PATH": "/R/lib", "API_KEY": "s"}))
    ['MALLOC_ARENA_MAX', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'PYTHONPATH']
    """
    # A Python of its own may need the library path; R has put its own libraries there.
    path = () if "R_HOME" in environment else ("LD_LIBRARY_PATH",)
    wanted = (*KEPT_VARIABLES, *path)
    kept = {name: environment[name] for name in wanted if name in environment}
    package = str(Path(__file__).resolve().parents[3])
    beside = [package, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **kept,
        # Blocks of a million cells come and go: of glibc's arenas each thread would keep some.
        "MALLOC_ARENA_MAX": "2",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(beside)),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def wait_for_done(folder: ReviewFolder, page: Served, *, every: float = 0.2) -> bool:
    """Wait until somebody says *Done* on the page; return False where its process has ended.

    Parameters
    ----------
    folder
        Of the review.
    page
        Where it is served.
    every
        Seconds between two looks.
    """
    while not folder.done.exists():
        if not page.is_running():
            return folder.done.exists()
        time.sleep(every)
    return True


@contextlib.contextmanager
def waiting(folder: ReviewFolder) -> Iterator[None]:
    """Let the page show *Done* while the block runs, and forget an earlier one."""
    folder.done.unlink(missing_ok=True)
    write_json(folder.waiting, {"pid": os.getpid()}, mode=PRIVATE)
    try:
        yield
    finally:
        folder.waiting.unlink(missing_ok=True)
