"""The one event runner: work in a worker thread, events to the caller's thread.

The caller's thread drains the queue at least every half second, so that callbacks run
where R and Jupyter allow them, and so that Ctrl-C is seen at once. R must never be
called from another thread: on reticulate 1.28 that ends the session.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


def run_in_worker(
    work: Callable[[Events], _Result], on_event: Callable[[Event], None] | None = None
) -> _Result:
    """Run ``work(events)`` in a worker thread and deliver its events here.

    Any exception that reaches the caller's thread (Ctrl-C, an error in ``on_event``)
    cancels the work and is raised again; the pool is not waited for, because a blocked
    socket in the work must not hold the user's prompt.
    """
    events = Events()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cellferry")
    try:
        future = pool.submit(work, events)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(DRAIN_SECONDS):
            events.drain(on_event)
        events.drain(on_event)
        return future.result()
    finally:
        events.cancel()
        pool.shutdown(wait=False, cancel_futures=True)
