"""The one event runner: work in a worker thread, events to the caller's thread.

The caller's thread drains the queue at least every half second, so that callbacks run
where R and Jupyter allow them, and so that Ctrl-C is seen at once. R must never be
called from another thread: on reticulate 1.28 that ends the session. Work that needs it
asks the caller's thread, by :class:`Caller`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

DRAIN_SECONDS = 0.25
THREADS = "cellferry"
"""How the name of every thread begins that this package starts."""
EventKind = Literal["started", "progress", "finished", "message"]


@dataclass(frozen=True)
class Event:
    """One thing that happened: ``done`` of ``total`` units, and what it was."""

    kind: EventKind
    done: int = 0
    total: int = 0
    unit: str = ""
    text: str = ""

    def to_dict(self) -> dict[str, str | int]:
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
        """Notify the caller's thread that something happened.

        Parameters
        ----------
        kind, done, total, unit, text
            See :class:`Event`.
        """
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
_local = threading.local()


@dataclass(frozen=True, eq=False)
class _Request:
    """What a thread is to do, and how whoever waits for it is sent away."""

    answer: Callable[[], None]
    end: Callable[[], None]


class Caller:
    """A thread that others can ask to do what only it may do, such as to call R.

    What is asked is done while the thread waits in :meth:`Worker.result`, at once. When its
    last worker has ended or was left, by an error or an interrupt too, whoever still waits for
    an answer gets :class:`CancelledWork`: neither end can be left hanging.

    Examples
    --------
    >>> here = Caller.here()
    >>> work = lambda _events: here.ask(threading.get_ident).result()
    >>> run_in_worker(work) == threading.get_ident()
    True
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._workers = 0
        # Asked and not answered, oldest first. One is only taken out when it is answered, so
        # that an interrupt at any moment loses none.
        self._open: list[_Request] = []
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.watch: Callable[[], None] | None = None
        """Called in the thread now and then while it waits; may raise what ends the wait."""
        self._watched = 0.0

    @staticmethod
    def here() -> Caller:
        """Return the one of the thread that asks for it."""
        found: Caller | None = getattr(_local, "caller", None)
        if found is None:
            found = _local.caller = Caller()
        return found

    @property
    def is_here(self) -> bool:
        """Whether this is the thread itself."""
        return threading.get_ident() == self._thread

    def ask(self, function: Callable[[], _Result]) -> Future[_Result]:
        """Have something done in the thread; asked by the thread itself it is done now.

        An error of ``function`` is the answer of whoever asked. An interrupt is the caller's.

        Raises
        ------
        CancelledWork
            There is no worker that the thread waits for, or will wait for.
        """
        future: Future[_Result] = Future()
        if self.is_here:
            _answer(future, function)
            return future
        with self._lock:
            if not self._workers:
                raise CancelledWork
            self._open.append(_Request(partial(_answer, future, function), partial(_end, future)))
        self._bell.put(None)
        return future

    def serve(self, seconds: float) -> None:
        """Wait until something is asked or a worker has ended, and do what is asked first.

        Runs in the thread itself.
        """
        with suppress(queue.Empty):
            self._bell.get(timeout=seconds)
        with self._lock:
            request = self._open[0] if self._open else None
        if request is None:
            return
        try:
            request.answer()
        except BaseException:
            request.end()
            raise
        finally:
            with self._lock, suppress(ValueError):
                self._open.remove(request)

    def look(self) -> None:
        """Call :attr:`watch`, if it is time. Runs in the thread itself."""
        if self.watch is not None and time.monotonic() >= self._watched + DRAIN_SECONDS:
            self.watch()
            self._watched = time.monotonic()

    def enter(self) -> None:
        """Count a worker that was begun."""
        with self._lock:
            self._workers += 1

    def leave(self) -> None:
        """Count a worker out; after the last one nobody is left waiting."""
        with self._lock:
            self._workers -= 1
            left = []
            if not self._workers:
                left, self._open = self._open, []
        for request in left:
            request.end()
        self._bell.put(None)


def _answer(future: Future[_Result], function: Callable[[], _Result]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        found = function()
    except Exception as error:
        # Whoever asked may have been sent away meanwhile.
        with suppress(InvalidStateError):
            future.set_exception(error)
        return
    with suppress(InvalidStateError):
        future.set_result(found)


def _end(future: Future[_Result]) -> None:
    with suppress(InvalidStateError):
        future.set_exception(CancelledWork())


class Worker(Generic[_Result]):
    """``work(events)`` in a thread of its own, begun at once.

    The thread is never waited for when the process ends: a blocked socket in the work must not
    block the user's prompt.
    """

    def __init__(self, work: Callable[[Events], _Result]) -> None:
        self._events = Events()
        self._future: Future[_Result] = Future()
        self._done = threading.Event()
        self._work = work
        self._caller = Caller.here()
        self._caller.enter()
        self._counted = threading.Lock()
        threading.Thread(target=self._guarded, name="cellferry", daemon=True).start()

    def _guarded(self) -> None:
        try:
            self._future.set_result(self._work(self._events))
        except BaseException as error:
            self._future.set_exception(error)
        finally:
            self._done.set()
            self._leave()

    def _leave(self) -> None:
        """Count this worker out, once."""
        if self._counted.acquire(blocking=False):
            self._caller.leave()

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
        self._leave()
        self._done.wait(seconds)

    def result(self, on_event: Callable[[Event], None] | None = None) -> _Result:
        """Wait, delivering events here, and return the result or raise the work's error.

        What the work asks of this thread is done meanwhile; see :class:`Caller`. It must be
        the thread that began the worker. Any exception that reaches it (Ctrl-C, an error in
        ``on_event``) cancels the work and is raised again.
        """
        try:
            while not self._done.is_set():
                self._caller.serve(DRAIN_SECONDS)
                self.drain(on_event)
                self._caller.look()
            self.drain(on_event)
            return self._future.result()
        finally:
            self._events.cancel()
            self._leave()


def at_work() -> bool:
    """Whether a thread of ours is still running in this process, an abandoned one too.

    All of them are named after the package.
    """
    return any(thread.name.startswith(THREADS) for thread in threading.enumerate())


def run_in_worker(
    work: Callable[[Events], _Result], on_event: Callable[[Event], None] | None = None
) -> _Result:
    """Run ``work(events)`` in a worker thread and deliver its events here.

    Parameters
    ----------
    work
        Called in the thread with :class:`Events`, by which it reports and sees an interrupt.
    on_event
        Called with each event in the caller's thread; None drops them.
    """
    return Worker(work).result(on_event)
