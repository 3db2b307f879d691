"""Units of work on a cluster of dask that the user has: sent, remembered, never done twice.

A unit is a function by its name, a job that all units of a call share, and a few numbers that say
which part it is. What determines its result is its key: a run that is resumed sends only those
whose result is not there. Results come in any order and are returned in that of the units, so that
the number of workers changes nothing. The scheduler is dask's, and this module alone knows it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import io
import json
import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from .._version import __version__
from ..errors import (
    CellferryError,
    DependencyError,
    InvalidOptionError,
    OutputError,
    SchedulerError,
    counted,
)
from ..files import Json, file_hash, write_whole
from .worker import DRAIN_SECONDS

if TYPE_CHECKING:
    from distributed import Client, Future
    from numpy.typing import NDArray

    from .run import Run
    from .worker import Events

logger = logging.getLogger("cellferry")

FOLDER = "units"
LOCAL = "local"
"""What starts a cluster on this machine, for as long as the call lasts."""
CONNECT_SECONDS = 15
BEGIN_SECONDS = 120
"""So long the first worker of a cluster on this machine is waited for."""
AHEAD = 2
"""Units for each thread of the cluster that are sent before any comes back."""
_INSTALL = 'Run: pip install "cellferry[distributed]"'


@dataclass(frozen=True)
class Unit:
    """A part of the work.

    Attributes
    ----------
    name
        What it is, for people: ``"cells 1 to 16,384"``.
    arguments
        What the function gets after the job; plain data.
    size
        What it adds to the progress.
    """

    name: str
    arguments: tuple[Json, ...]
    size: int = 1


@dataclass(frozen=True)
class Job:
    """What all units of a call share.

    Attributes
    ----------
    function
        ``module:name``; called by workers with ``content`` and the arguments of a unit. It returns
        a mapping of names to arrays.
    content
        Plain data. All of it determines the results, but paths: those are in ``where``.
    where
        Plain data that says where things are, and may differ when the run is resumed.
    check
        ``module:name`` of what raises where a worker cannot do it; called with ``where`` before
        anything is sent, on each worker there is.
    """

    function: str
    content: Mapping[str, Json]
    where: Mapping[str, Json] = field(default_factory=dict)
    check: str | None = None

    def key(self, unit: Unit) -> str:
        """Return the hash of all that determines the result of a unit."""
        text = json.dumps([versions(), self.function, self.content, unit.arguments], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return what must be the same on every worker, or numbers may differ."""
    import scipy

    return {
        "cellferry": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


@contextmanager
def opened_cluster(scheduler: object) -> Iterator[Cluster]:
    """Yield the cluster of a scheduler; what was begun for the call is ended after it.

    Parameters
    ----------
    scheduler
        The address of a scheduler (``"tcp://host:8786"``), a client of ``distributed``, or
        ``"local"``: a worker for each processor of this machine.

    Raises
    ------
    DependencyError
        ``distributed`` is not installed.
    InvalidOptionError
        It is none of these.
    SchedulerError
        Nobody answers at the address.
    """
    try:
        import distributed
    except ImportError as error:
        message = "The package distributed, which speaks to clusters of dask, is not installed."
        raise DependencyError(message, _INSTALL) from error
    if isinstance(scheduler, distributed.Client):
        if scheduler.asynchronous:
            message = "`scheduler` is an asynchronous client."
            raise InvalidOptionError(message, "Make one by Client(address), or give the address.")
        yield Cluster(scheduler)
        return
    if not isinstance(scheduler, str) or (scheduler != LOCAL and "://" not in scheduler):
        message = f"`scheduler` is {scheduler!r}."
        hint = 'Valid: the address of a scheduler ("tcp://host:8786"), a client, or "local".'
        raise InvalidOptionError(message, hint, option="scheduler")
    if scheduler == LOCAL:
        with _begun() as started, distributed.Client(started, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=BEGIN_SECONDS)
            yield Cluster(client)
        return
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        message = f'No scheduler answers at "{scheduler}".'
        hint = "Begin one by `dask scheduler`, or give the address that your cluster names."
        raise SchedulerError(message, hint, problem="unreachable") from error
    with client:
        yield Cluster(client)


def _begun() -> Any:
    """Begin a cluster on this machine: processes, one for each processor.

    They are none of multiprocessing, which runs the script of the user again.
    """
    from distributed.deploy.subprocess import SubprocessCluster

    try:
        with _environment_of_children():
            return SubprocessCluster(threads_per_worker=1, dashboard_address=None)
    except RuntimeError as error:
        message = f"The cluster of this machine did not begin: {error}."
        hint = "Begin one by `dask scheduler` and `dask worker`, and give its address."
        raise SchedulerError(message, hint, problem="local") from error


@contextmanager
def _environment_of_children() -> Iterator[None]:
    """Let processes find this very package while they begin, and none of R's libraries.

    R has a copy of the package of its own, and Python would load R's libraries in place of its own.
    """
    names = ("LD_LIBRARY_PATH", "PYTHONPATH")
    kept = {name: os.environ.get(name) for name in names}
    if "R_HOME" in os.environ:
        os.environ.pop("LD_LIBRARY_PATH", None)
    places = [str(Path(__file__).resolve().parents[2]), kept["PYTHONPATH"]]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Cluster:
    """A cluster that answers; see :func:`opened_cluster`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def results(
        self,
        job: Job,
        units: Sequence[Unit],
        run: Run,
        events: Events,
        what: str,
        *,
        is_whole: Callable[[Unit, Remembered], bool] | None = None,
    ) -> list[Remembered]:
        """Return the results of all units in their order; those that the run has are not done.

        Parameters
        ----------
        job
            What they share.
        units
            The parts.
        run
            Remembers each result that came.
        events
            Receives progress; stops the work when the user interrupts.
        what
            Of what the sizes of units are, in words: ``"cells"``.
        is_whole
            Whether what a unit left elsewhere is still there; where it is not, it is done again.

        Raises
        ------
        SchedulerError
            Workers differ from this process, one died again and again, or the scheduler is gone.
        CellferryError
            What a worker raised.
        """
        memory = _Memory(run)
        found: dict[int, Remembered] = {}
        todo: list[tuple[int, str]] = []
        for place, unit in enumerate(units):
            key = job.key(unit)
            kept = memory.find(key)
            if kept is None or (is_whole is not None and not is_whole(unit, kept)):
                todo.append((place, key))
            else:
                found[place] = kept
        total = sum(unit.size for unit in units)
        done = sum(units[place].size for place in found)
        events.emit("started", done, total, what, f"On {self._client.scheduler.address}")
        if todo:
            self._look(job)
            with self._lost(run):
                for place, key, result in self._gathered(job, units, todo, events):
                    found[place] = memory.keep(units[place].name, key, result)
                    done += units[place].size
                    events.emit("progress", done, total, what, units[place].name)
        return [found[place] for place in range(len(units))]

    def _look(self, job: Job) -> None:
        """Ask every worker that is there whether it can do the work."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        logger.info(
            "Work goes to %s; see %s.",
            counted(len(workers), "worker"),
            self._client.dashboard_link or self._client.scheduler.address,
        )
        try:
            answers = self._client.run(
                _looked_at, job.check, json.dumps(job.where), versions(), on_error="return"
            )
        except OSError as error:
            raise _gone() from error
        for address, answer in answers.items():
            if isinstance(answer, CellferryError):
                raise _on_worker(answer, address) from None
            if isinstance(answer, BaseException):
                message = f"The worker {address} cannot begin: {type(answer).__name__}: {answer}."
                hint = f"Install what is here on each worker: pip install cellferry=={__version__}"
                raise SchedulerError(message, hint, problem="worker", worker=address) from answer

    def _gathered(
        self, job: Job, units: Sequence[Unit], todo: list[tuple[int, str]], events: Events
    ) -> Iterator[tuple[int, str, bytes]]:
        """Yield the place, the key and the result of each unit, as they come."""
        from distributed import wait

        content = json.dumps([job.function, job.content, job.where, job.check])
        waiting: dict[Future[bytes], tuple[int, str]] = {}
        following = iter(todo)
        more = True
        try:
            while more or waiting:
                events.check()
                self._check_alive()
                most = AHEAD * max(1, sum(self._client.nthreads().values()))
                while more and len(waiting) < most:
                    one = next(following, None)
                    more = one is not None
                    if one is not None:
                        arguments = json.dumps(units[one[0]].arguments)
                        future = self._client.submit(
                            _done, content, arguments, versions(), key=f"cellferry-{one[1]}",
                        )  # fmt: skip
                        waiting[future] = one
                if not waiting:
                    return
                with suppress(TimeoutError), self._client.as_current():
                    wait(list(waiting), timeout=DRAIN_SECONDS, return_when="FIRST_COMPLETED")
                for future in [future for future in waiting if future.done()]:
                    result = future.result()
                    future.release()
                    place, key = waiting.pop(future)
                    yield place, key, result
        finally:
            # The scheduler may be what was lost.
            with suppress(Exception):
                self._client.cancel(list(waiting))

    def _check_alive(self) -> None:
        if self._client.status != "running":
            raise _gone()

    @contextmanager
    def _lost(self, run: Run) -> Iterator[None]:
        """Make what dask raises where workers or the scheduler are lost an error of ours."""
        from concurrent.futures import CancelledError

        from distributed.scheduler import KilledWorker

        try:
            yield
        except KilledWorker as error:
            message = (
                f"{counted(error.allowed_failures + 1, 'worker')} died over the same unit of work."
            )
            hint = "Most often memory is short: give each worker more."
            raise _resumable(SchedulerError(message, hint, problem="killed"), run) from error
        except CellferryError as error:
            raise _resumable(error, run) from None
        except (CancelledError, OSError) as error:
            raise _resumable(_gone(), run) from error
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            message = "The scheduler or a worker has another cellferry than this process, or none."
            hint = f"Install it there: pip install cellferry=={__version__}"
            other = SchedulerError(message, hint, problem="versions")
            raise _resumable(other, run) from error


def _gone() -> SchedulerError:
    message = "The scheduler is gone, and the work that it had with it."
    return SchedulerError(message, "Begin another.", problem="lost")


def _resumable(error: CellferryError, run: Run) -> CellferryError:
    n = len(run.finished())
    kept = f"{counted(n, 'unit')} {'is' if n == 1 else 'are'} kept and not done again."
    error.hint = f"{error.hint} {kept}".strip()
    error.data.setdefault("run", run.id)
    return error


def _on_worker(error: CellferryError, address: str) -> CellferryError:
    error.message = f"The worker {address} cannot do it. {error.message}"
    error.data["worker"] = address
    return error


# --- on the workers ---------------------------------------------------------------------


_P = ParamSpec("_P")
_R = TypeVar("_R")


def _that_travels(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Raise errors of ours without what they came from, which may be nothing that can be sent."""

    @functools.wraps(function)
    def called(*arguments: _P.args, **options: _P.kwargs) -> _R:
        try:
            return function(*arguments, **options)
        except CellferryError as error:
            found = error
        found.__cause__ = found.__context__ = None
        raise found

    return called


@_that_travels
def _looked_at(check: str | None, where: str, expected: Mapping[str, str]) -> None:
    """Raise what keeps this worker from working."""
    check_versions(expected)
    if check is not None:
        _named(check)(json.loads(where))


def check_versions(expected: Mapping[str, str]) -> None:
    """Raise :class:`SchedulerError` where this process has other versions than are expected."""
    here = versions()
    other = [f"{name} {here[name]} and not {v}" for name, v in expected.items() if here[name] != v]
    if other:
        message = f"This worker has {', '.join(other)}."
        wanted = " ".join(f'"{n}=={v}"' for n, v in expected.items() if n != "python")
        hint = f"Results would not be the same. On the worker: pip install {wanted}"
        raise SchedulerError(message, hint, problem="versions")


@_that_travels
def _done(content: str, arguments: str, expected: Mapping[str, str]) -> bytes:
    """Do one unit; a worker may have come after all others were looked at."""
    check_versions(expected)
    function, shared, where, check = _read_job(content)
    if check is not None:
        _named(check)(where)
    return packed(_named(function)(shared, where, *json.loads(arguments)))


@functools.lru_cache(maxsize=2)
def _read_job(content: str) -> tuple[str, dict[str, Any], dict[str, Any], str | None]:
    function, shared, where, check = json.loads(content)
    return function, shared, where, check


def _named(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


# --- what is remembered -----------------------------------------------------------------


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as bytes, the same for the same arrays."""
    made = io.BytesIO()
    np.savez(made, allow_pickle=False, **dict(arrays))
    return made.getvalue()


def unpacked(content: bytes) -> dict[str, NDArray[Any]]:
    """Return what :func:`packed` was given.

    Examples
    --------
    >>> unpacked(packed({"a": np.arange(3)}))["a"].tolist()
    [0, 1, 2]
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as read:
        return {name: read[name] for name in read.files}


@dataclass(frozen=True)
class Remembered:
    """A result on the disk."""

    file: Path

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Read it."""
        return unpacked(self.file.read_bytes())


class _Memory:
    """The results in the folder of a run; the journal has their checksums."""

    def __init__(self, run: Run) -> None:
        self._run, self._finished = run, run.finished()

    def find(self, key: str) -> Remembered | None:
        kept = self._finished.get(key)
        if kept is None:
            return None
        path = self._run.folder / str(kept["file"])
        whole = path.is_file() and file_hash(path) == kept["sha256"]
        return Remembered(path) if whole else None

    def keep(self, name: str, key: str, result: bytes) -> Remembered:
        folder = self._run.folder / FOLDER
        path = folder / f"{key[:32]}.npz"
        try:
            folder.mkdir(exist_ok=True)
            write_whole(path, result)
        except OSError as error:
            message = f'The result of a unit cannot be written to "{path}": {error.strerror}.'
            raise OutputError(message, "Make room and resume the run.") from error
        digest = hashlib.sha256(result).hexdigest()
        self._run.record(name, key, {"file": f"{FOLDER}/{path.name}", "sha256": digest})
        return Remembered(path)
