"""A few things at once, of which no more are made than are under way."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

from ...events import DRAIN_SECONDS, Events

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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
