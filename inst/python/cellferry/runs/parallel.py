"""Several things at once in a few threads, with a bound on what waits."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from functools import partial
from typing import TypeVar

from .worker import DRAIN_SECONDS, THREADS, Events

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def bounded_map(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    workers: int | Executor,
    events: Events | None = None,
    *,
    ordered: bool = True,
    ahead: int | None = None,
) -> Generator[_Result]:
    """Yield ``function(item)`` of every item, done by a few threads.

    The next item is only taken when fewer are under way, so that memory is bounded. After an
    error none is taken any more. Neither an error nor an interrupt waits for threads that are
    still at work. Close the generator where it may be left before its end.

    Parameters
    ----------
    function, items
        Called with each item, in any thread; items are taken in the caller's.
    workers
        How many threads; or a pool of the caller's, which the caller ends.
    events
        Where an interrupt is looked for, also while everything waits.
    ordered
        Results come in the order of the items, and errors too: the one that is raised is that
        of the earliest item. False: each comes as soon as it is there.
    ahead
        Items that are at work or wait for it at most. None is as many as there are threads;
        with a pool it is given.

    Raises
    ------
    CancelledWork
        The user has interrupted.

    Examples
    --------
    >>> list(bounded_map(abs, [-1, 2, -3], 2))
    [1, 2, 3]
    """
    pool = _Threads(max(1, workers)) if isinstance(workers, int) else workers
    most = ahead or (pool.most if isinstance(pool, _Threads) else 1)
    waiting: list[Future[_Result]] = []
    todo = iter(items)
    more = True
    try:
        while more or waiting:
            while more and len(waiting) < most and not any(map(_failed, waiting)):
                _check(events)
                try:
                    waiting.append(pool.submit(function, next(todo)))
                except StopIteration:
                    more = False
            if waiting:
                # Results may be large: no name here keeps one until the next.
                yield _take_finished(waiting, ordered, events).result()
    finally:
        for future in waiting:
            future.cancel()
        if isinstance(pool, _Threads):
            pool.end()


def begun(function: Callable[[], _Result], events: Events | None = None) -> Callable[[], _Result]:
    """Begin something in a thread of its own; return what waits for its result.

    Nobody waits for the thread where the result is not asked for.

    Parameters
    ----------
    function
        Called once.
    events
        Where an interrupt is looked for while the result is waited for.

    Raises
    ------
    CancelledWork
        The user has interrupted.

    Examples
    --------
    >>> found = begun(lambda: 6 * 7)
    >>> found()
    42
    """
    pool = _Threads(1)
    future = pool.submit(lambda _: function(), None)
    pool.end()
    return lambda: _take_finished([future], True, events).result()


def _take_finished(
    waiting: list[Future[_Result]], ordered: bool, events: Events | None
) -> Future[_Result]:
    while True:
        _check(events)
        done = wait(waiting[:1] if ordered else waiting, DRAIN_SECONDS, FIRST_COMPLETED).done
        if done:
            future = max(done, key=_failed)
            waiting.remove(future)
            return future


def _check(events: Events | None) -> None:
    if events is not None:
        events.check()


def _failed(future: Future[_Result]) -> bool:
    return future.done() and (future.cancelled() or future.exception() is not None)


class _Threads:
    """Threads that nobody waits for: a blocked socket must not delay the end of the process.

    A pool of the standard library waits for its threads when the process ends.
    """

    def __init__(self, most: int) -> None:
        self.most, self._n = most, 0
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(self, function: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
        future: Future[_Result] = Future()
        self._todo.put(partial(_answer, future, function, item))
        if self._n < self.most:
            self._n += 1
            name = f"{THREADS}-parallel"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return future

    def end(self) -> None:
        for _ in range(self._n):
            self._todo.put(None)

    def _work(self) -> None:
        while (task := self._todo.get()) is not None:
            task()
            # The item may be large; it must not live until the next one comes.
            del task


def _answer(future: Future[_Result], function: Callable[[_Item], _Result], item: _Item) -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(function(item))
        except BaseException as error:
            future.set_exception(error)
