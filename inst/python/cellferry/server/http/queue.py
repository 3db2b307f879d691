"""A queue of requests that may take long: of a known length, and the others do not wait in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

from ..failures import Code, Failure

WAIT_SECONDS = 30.0
RETRY_SECONDS = "5"

_Result = TypeVar("_Result")


class Queue:
    """Does a few things at once, each in a thread, and refuses what would wait too long.

    Parameters
    ----------
    at_once
        How many are done at the same time.
    waiting
        How many may wait.
    """

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = anyio.CapacityLimiter(at_once)
        self._threads = anyio.CapacityLimiter(at_once)
        self._most = waiting

    async def run(self, function: Callable[..., _Result], *arguments: object) -> _Result:
        """Return what a function returns.

        Raises
        ------
        Failure
            Too many wait, or it waited for :data:`WAIT_SECONDS`.
        """
        if self._free.statistics().tasks_waiting >= self._most:
            raise self._busy()
        mine = object()
        try:
            with anyio.fail_after(WAIT_SECONDS):
                await self._free.acquire_on_behalf_of(mine)
        except TimeoutError as error:
            raise self._busy() from error
        try:
            return await run_sync(function, *arguments, limiter=self._threads)
        finally:
            self._free.release_on_behalf_of(mine)

    def _busy(self) -> Failure:
        message = f"{self._most} requests of this kind are waiting; try again later."
        return Failure(Code.SERVER_BUSY, message, {"Retry-After": RETRY_SECONDS})
