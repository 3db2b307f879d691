"""Several things at once in a few threads, with a bound on what waits."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .worker import DRAIN_SECONDS, Events

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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


def ordered_map(
    pool: ThreadPoolExecutor,
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    ahead: int,
) -> Iterator[_Result]:
    """Yield ``function(item)`` in the order of items, with at most ``ahead`` of them waiting.

    Unlike ``pool.map`` it does not take all items at once, so memory stays bounded. An
    error cancels what has not begun.
    """
    waiting: deque[Future[_Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def in_flight(
    function: Callable[[_Item], _Result], items: Iterable[_Item], most: int, events: Events
) -> Generator[_Result]:
    """Yield ``function(item)`` of all items as they are finished, ``most`` at once.

    The next item is only made when there is room for it, so that the memory is bounded. The
    first error ends everything; an interrupt is seen at once, and blocked threads are not
    waited for.
    """
    todo: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
    finished: queue.SimpleQueue[Future[_Result]] = queue.SimpleQueue()

    def worker() -> None:
        while (item := todo.get()) is not None:
            future: Future[_Result] = Future()
            try:
                future.set_result(function(item))
            except BaseException as error:
                future.set_exception(error)
            # The item may be large; it must not live until the next one comes.
            del item
            finished.put(future)

    for _ in range(most):
        threading.Thread(target=worker, name="cellferry-flight", daemon=True).start()
    waiting = iter(items)
    under_way, more = 0, True
    try:
        while more or under_way:
            while more and under_way < most:
                events.check()
                try:
                    todo.put(next(waiting))
                except StopIteration:
                    more = False
                else:
                    under_way += 1
            while under_way and (under_way == most or not more):
                events.check()
                try:
                    future = finished.get(timeout=DRAIN_SECONDS)
                except queue.Empty:
                    continue
                under_way -= 1
                yield future.result()
    finally:
        for _ in range(most):
            todo.put(None)
