"""Bodies that are kept in memory: how many bytes they may have together.

Everybody may send at once, and who sends slowly keeps nobody waiting: only when the bytes that
*arrived* reach the limit, one body after the other is read to its end, and those that hardly
move are given up.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from ..failures import Code, Failure
from .requests import BODY_SECONDS, QUIET_SECONDS, check_length, pieces, too_large

if TYPE_CHECKING:
    from starlette.requests import Request

LOOK_SECONDS = 0.1
QUIET = 0.5
"""Seconds after which the next body may go on, because nothing comes of this one."""
SLOW_SECONDS = 5.0
SLOW_RATE = 10_000.0
"""Bytes per second, below which a body is given up while others wait."""


class _Body:
    def __init__(self) -> None:
        self.content: bytearray | bytes = bytearray()
        self.scope = anyio.CancelScope()
        self.is_paused = self.is_whole = self.is_refused = False
        self.look()

    def look(self) -> None:
        """Begin to measure how fast it comes."""
        self._seen, self._size = time.monotonic(), len(self.content)
        self._last = self._seen

    @property
    def is_quiet(self) -> bool:
        """Whether nothing came lately although it may."""
        return not self.is_paused and time.monotonic() - self._last > QUIET

    @property
    def is_slow(self) -> bool:
        seconds = time.monotonic() - self._seen
        if self.is_paused or self.is_whole or seconds < SLOW_SECONDS:
            return False
        return len(self.content) - self._size < SLOW_RATE * seconds

    def take(self, piece: bytes) -> None:
        self.content += piece
        self._last = time.monotonic()
        if time.monotonic() - self._seen >= SLOW_SECONDS and not self.is_slow:
            self.look()


class BodyMemory:
    """The bodies that are being read or worked on.

    Parameters
    ----------
    most
        Bytes that they may have together. One more body may go beyond.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._bodies: list[_Body] = []

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return sum(len(body.content) for body in self._bodies)

    @asynccontextmanager
    async def reading(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Give a whole body, whose bytes count until the block ends.

        Parameters
        ----------
        request
            Its body was not read before.
        most
            Bytes that it may have.

        Raises
        ------
        Failure
            It is larger, it takes longer than :data:`~.requests.BODY_SECONDS`, the client goes
            away, or it hardly moves while others wait.
        """
        check_length(request, most)
        body = _Body()
        self._bodies.append(body)
        try:
            await self._whole(request, body, most)
            body.content = bytes(body.content)  # not two copies while it waits for its turn
            yield body.content
        finally:
            self._bodies.remove(body)

    async def _whole(self, request: Request, body: _Body, most: int) -> None:
        try:
            with body.scope, anyio.fail_after(BODY_SECONDS):
                await self._read(request, body, most)
        except TimeoutError as error:
            message = f"The body took longer than {BODY_SECONDS:g} seconds."
            raise Failure(Code.REQUEST_TIMEOUT, message) from error
        if body.is_refused:
            message = "The body came too slowly while others waited; send it again."
            headers = {"Retry-After": "5", "Connection": "close"}
            raise Failure(Code.REQUEST_TIMEOUT, message, headers)

    async def _read(self, request: Request, body: _Body, most: int) -> None:
        async for piece in pieces(request, QUIET_SECONDS):
            body.take(piece)
            if len(body.content) > most:
                raise too_large(len(body.content), most)
            await self._room(body)
        body.is_whole = True

    async def _room(self, body: _Body) -> None:
        """Wait until this body may go on."""
        while self.size >= self._most and body is not self._first():
            body.is_paused = True
            for other in self._bodies:
                if other.is_slow:
                    other.is_refused = True
                    other.scope.cancel()
            await anyio.sleep(LOOK_SECONDS)
        if body.is_paused:
            body.is_paused = False
            body.look()

    def _first(self) -> _Body | None:
        """Return the body that may go beyond the limit: none while whole ones will be done."""
        if any(body.is_whole for body in self._bodies):
            return None
        return next((body for body in self._bodies if not body.is_quiet), None)
