"""The one event runner: work in a worker thread, events to the caller's thread.

The caller's thread drains the queue at least every half second, so that callbacks run
where R and Jupyter allow them, and so that Ctrl-C is seen at once. R must never be
called from another thread: on reticulate 1.28 that ends the session.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeVar

DRAIN_SECONDS = 0.25

EventKind = Literal["started", "progress", "finished", "message"]


@dataclass(frozen=True)
class Event:
    """One thing that happened: ``done`` of ``total`` units, and what it was."""

    kind: EventKind
    done: int = 0
    total: int = 0
    unit: str = ""
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain data."""
        return asdict(self)


class CancelledWork(Exception):  # noqa: N818
    """Raised inside the work after the user interrupted it; never reaches the user."""


class Events:
    """The work's end of the queue."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._cancelled = threading.Event()

    def emit(
        self, kind: EventKind, done: int = 0, total: int = 0, unit: str = "", text: str = ""
    ) -> None:
        """Tell the caller's thread that something happened."""
        self._queue.put(Event(kind, done, total, unit, text))

    @property
    def cancelled(self) -> bool:
        """Whether the user has interrupted."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise :class:`CancelledWork` if the user has interrupted. Call it between units."""
        if self._cancelled.is_set():
            raise CancelledWork

    def wait(self, seconds: float) -> None:
        """Sleep, but wake and raise :class:`CancelledWork` at once on an interrupt."""
        self._cancelled.wait(seconds)
        self.check()

    def cancel(self) -> None:
        """Ask the work to stop at its next :meth:`check`."""
        self._cancelled.set()

    def drain(self, on_event: Callable[[Event], None] | None) -> None:
        """Deliver what is in the queue. Runs in the caller's thread."""
        while True:
            try:
                event = self._queue.get_nowait()
            except queue.Empty:
                return
            if on_event is not None:
                on_event(event)


_Result = TypeVar("_Result")
_Item = TypeVar("_Item")


class Worker(Generic[_Result]):
    """``work(events)`` in a thread of its own, begun at once.

    The thread is never waited for when the process ends: a blocked socket in the work must not
    hold the user's prompt.
    """

    def __init__(self, work: Callable[[Events], _Result]) -> None:
        self._events = Events()
        self._future: Future[_Result] = Future()
        self._done = threading.Event()
        self._work = work
        threading.Thread(target=self._guarded, name="cellferry", daemon=True).start()

    def _guarded(self) -> None:
        try:
            self._future.set_result(self._work(self._events))
        except BaseException as error:
            self._future.set_exception(error)
        finally:
            self._done.set()

    @property
    def ended(self) -> bool:
        """Whether the work has ended, well or not."""
        return self._done.is_set()

    def drain(self, on_event: Callable[[Event], None] | None) -> None:
        """Deliver the events so far. Runs in the caller's thread."""
        self._events.drain(on_event)

    def cancel(self, seconds: float = 0) -> None:
        """Ask the work to stop, and give it so long to clear away."""
        self._events.cancel()
        self._done.wait(seconds)

    def result(self, on_event: Callable[[Event], None] | None = None) -> _Result:
        """Wait, delivering events here, and return the result or raise the work's error.

        Any exception that reaches the caller's thread (Ctrl-C, an error in ``on_event``)
        cancels the work and is raised again.
        """
        try:
            while not self._done.wait(DRAIN_SECONDS):
                self.drain(on_event)
            self.drain(on_event)
            return self._future.result()
        finally:
            self._events.cancel()


def run_in_worker(
    work: Callable[[Events], _Result], on_event: Callable[[Event], None] | None = None
) -> _Result:
    """Run ``work(events)`` in a worker thread and deliver its events here."""
    return Worker(work).result(on_event)


def run_parallel(
    function: Callable[[_Item], _Result], items: Iterable[_Item], n_workers: int, events: Events
) -> list[_Result]:
    """Return ``function(item)`` of every item in order, done by a few threads.

    The first error stops the others at their next item and is raised. An interrupt is seen
    at once; the threads are not waited for, as in :func:`run_in_worker`.
    """
    todo: queue.SimpleQueue[tuple[int, _Item]] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[int, Future[_Result]]] = queue.SimpleQueue()
    stop = threading.Event()
    total = 0
    for total, item in enumerate(items, 1):
        todo.put((total - 1, item))

    def worker() -> None:
        while not stop.is_set():
            try:
                position, item = todo.get_nowait()
            except queue.Empty:
                return
            future: Future[_Result] = Future()
            try:
                future.set_result(function(item))
            except BaseException as error:
                # Here, not where it is raised: until then this thread would begin the next item.
                stop.set()
                future.set_exception(error)
            finished.put((position, future))

    for _ in range(min(max(n_workers, 1), total)):
        threading.Thread(target=worker, name="cellferry-parallel", daemon=True).start()
    results: dict[int, _Result] = {}
    try:
        while len(results) < total:
            events.check()
            try:
                position, future = finished.get(timeout=DRAIN_SECONDS)
            except queue.Empty:
                continue
            results[position] = future.result()
    finally:
        stop.set()
    return [results[i] for i in range(total)]
