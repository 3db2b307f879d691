"""A cluster that answers: several kinds of work are in it at once, each given in its order."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from ..._version import __version__
from ...errors import CellferryError, SchedulerError, counted
from ..worker import DRAIN_SECONDS
from .remembered import Memory, Remembered
from .remote import done, looked_at, versions

if TYPE_CHECKING:
    from distributed import Client, Future

    from ..run import Run
    from ..worker import Events
    from .unit import Job, Unit

logger = logging.getLogger("cellferry")

AHEAD = 3
"""Units for each thread of the cluster that are sent before any comes back."""
LOOK_SECONDS = 1.0
"""So often it is asked how many threads the cluster has; workers come and go."""


class Cluster:
    """What sends units to the workers of a client; used in a ``with`` block, by one thread.

    Parameters
    ----------
    client
        Connected. What it had to do for others is left to it.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._queue: deque[tuple[Work, int]] = deque()
        self._waiting: dict[Future[bytes], tuple[Work, int]] = {}
        self._threads, self._looked = 1, float("-inf")
        self.shown: Work | None = None
        """Whose progress is told."""

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.clear()
        # The scheduler may be what was lost.
        with suppress(Exception):
            self._client.cancel(list(self._waiting))
        self._waiting.clear()

    def begin(
        self,
        job: Job,
        units: Sequence[Unit],
        run: Run,
        events: Events,
        what: str,
        *,
        is_whole: Callable[[Unit, Remembered], bool] | None = None,
    ) -> Work:
        """Send the units that the run has no result of, behind those that were sent before.

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
        work = Work(self, job, units, run, events, what=what, is_whole=is_whole)
        if work.todo:
            with work.lost():
                self._look(job)
                self._queue.extend((work, place) for place in work.todo)
                self._fill()
        return work

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return str(self._client.scheduler.address)

    def step(self) -> None:
        """Send what there is place for, and take what has come; wait for it, but not for long."""
        from distributed import wait

        if self._client.status != "running":
            raise _gone()
        self._fill()
        if not self._waiting:
            return
        with suppress(TimeoutError), self._client.as_current():
            wait(list(self._waiting), timeout=DRAIN_SECONDS, return_when="FIRST_COMPLETED")
        for future in [future for future in self._waiting if future.done()]:
            if future not in self._waiting:
                # Its work was dropped just now.
                continue
            work, place = self._waiting.pop(future)
            try:
                result = future.result()
            except Exception as error:
                work.failed(error)
                continue
            finally:
                future.release()
            # Workers go on while the result is kept.
            self._fill()
            work.take(place, result)

    def _fill(self) -> None:
        if self._queue and time.monotonic() > self._looked + LOOK_SECONDS:
            self._threads = sum(self._client.nthreads().values())
            self._looked = time.monotonic()
        while self._queue and len(self._waiting) < AHEAD * max(1, self._threads):
            work, place = self._queue.popleft()
            arguments = json.dumps(work.units[place].arguments)
            future = self._client.submit(
                done, work.content, arguments, versions(), key=f"cellferry-{work.keys[place]}"
            )
            self._waiting[future] = work, place

    def drop(self, work: Work) -> None:
        """Do no more of some work."""
        self._queue = deque((other, place) for other, place in self._queue if other is not work)
        mine = [future for future, (other, _) in self._waiting.items() if other is work]
        for future in mine:
            del self._waiting[future]
        with suppress(Exception):
            self._client.cancel(mine)

    def _look(self, job: Job) -> None:
        """Ask every worker that is there whether it can do the work."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        logger.info(
            "Work goes to %s; see %s.",
            counted(len(workers), "worker"),
            self._client.dashboard_link or self.address,
        )
        try:
            answers = self._client.run(
                looked_at, job.check, json.dumps(job.where), versions(), on_error="return"
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


class Work:
    """Units that were sent: iterated, it gives their results in order, each as soon as it may.

    Whoever iterates one of several has the others done meanwhile; made by :meth:`Cluster.begin`,
    where the parameters are described.
    """

    def __init__(
        self,
        cluster: Cluster,
        job: Job,
        units: Sequence[Unit],
        run: Run,
        events: Events,
        *,
        what: str,
        is_whole: Callable[[Unit, Remembered], bool] | None,
    ) -> None:
        self._cluster, self._run, self._events, self._what = cluster, run, events, what
        self._memory = Memory(run)
        self._found: dict[int, Remembered] = {}
        self._error: Exception | None = None
        self.units = units
        self.keys = [job.key(unit) for unit in units]
        self.content = json.dumps([job.function, job.content, job.where, job.check])
        self.todo: list[int] = []
        """Places of the units that are sent."""
        for place, (unit, key) in enumerate(zip(units, self.keys, strict=True)):
            kept = self._memory.find(key)
            if kept is None or (is_whole is not None and not is_whole(unit, kept)):
                self.todo.append(place)
            else:
                self._found[place] = kept

    def __iter__(self) -> Iterator[Remembered]:
        self._tell("started", f"On {self._cluster.address}")
        for place in range(len(self.units)):
            while place not in self._found:
                self._events.check()
                self._cluster.shown = self
                with self.lost():
                    if self._error is not None:
                        raise self._error
                    self._cluster.step()
            yield self._found[place]

    @property
    def is_done(self) -> bool:
        """Whether all results are there, or one will never be."""
        return self._error is not None or len(self._found) == len(self.units)

    def drop(self) -> None:
        """Do no more of it."""
        self._cluster.drop(self)

    def take(self, place: int, result: bytes) -> None:
        """Keep the result of a unit."""
        unit = self.units[place]
        self._found[place] = self._memory.keep(unit.name, self.keys[place], result)
        if self._cluster.shown is self:
            self._tell("progress", unit.name)

    def failed(self, error: Exception) -> None:
        """Note that a unit has no result: whoever wants those of this work gets the error."""
        self._error = self._error or error
        self.drop()

    def _tell(self, kind: Literal["started", "progress"], text: str) -> None:
        sizes = (unit.size for unit in self.units)
        ready = sum(self.units[place].size for place in self._found)
        self._events.emit(kind, ready, sum(sizes), self._what, text)

    @contextmanager
    def lost(self) -> Iterator[None]:
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
            raise self._resumable(SchedulerError(message, hint, problem="killed")) from error
        except CellferryError as error:
            raise self._resumable(error) from None
        except (CancelledError, OSError) as error:
            raise self._resumable(_gone()) from error
        except RuntimeError as error:
            if "deserialization" not in str(error):
                raise
            message = "The scheduler or a worker has another cellferry than this process, or none."
            hint = f"Install it there: pip install cellferry=={__version__}"
            other = SchedulerError(message, hint, problem="versions")
            raise self._resumable(other) from error

    def _resumable(self, error: CellferryError) -> CellferryError:
        n = len(self._run.finished())
        are = "is" if n == 1 else "are"
        error.add_to_hint(f"{counted(n, 'unit')} {are} kept and not done again.")
        error.data.setdefault("run", self._run.id)
        return error


def _gone() -> SchedulerError:
    message = "The scheduler is gone, and the work that it had with it."
    return SchedulerError(message, "Begin another.", problem="lost")


def _on_worker(error: CellferryError, address: str) -> CellferryError:
    error.message = f"The worker {address} cannot do it. {error.message}"
    error.data["worker"] = address
    return error
