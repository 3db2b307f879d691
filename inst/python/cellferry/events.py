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
from typing import Any, Literal, TypeVar

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


def run_in_worker(
    work: Callable[[Events], _Result], on_event: Callable[[Event], None] | None = None
) -> _Result:
    """Run ``work(events)`` in a worker thread and deliver its events here.

    Any exception that reaches the caller's thread (Ctrl-C, an error in ``on_event``)
    cancels the work and is raised again; the thread is not waited for, not even when the
    process ends, because a blocked socket in the work must not hold the user's prompt.
    """
    events = Events()
    future: Future[_Result] = Future()
    done = threading.Event()

    def guarded() -> None:
        try:
            future.set_result(work(events))
        except BaseException as error:
            future.set_exception(error)
        finally:
            done.set()

    threading.Thread(target=guarded, name="cellferry", daemon=True).start()
    try:
        while not done.wait(DRAIN_SECONDS):
            events.drain(on_event)
        events.drain(on_event)
        return future.result()
    finally:
        events.cancel()


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
