"""Connections: how many there may be, and how long one may be silent before a request.

A connection is a file descriptor, and so is every file of an upload. When there are as many as
may be, a new one takes the place of one that asks for nothing: who waits with half a request
keeps nobody out.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..failures import Code, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER_SECONDS = 10.0
"""How long the line and the headers of a request may take."""
MOST = 2000
SPARE_FILES = 100
"""Descriptors that are not for connections: the database, helpers, libraries."""
SLOW_SECONDS = 0.2
SLOW_RATE = 10_000.0
"""Bytes per second of a body, below which a connection may be given to another client."""


def most_connections() -> int:
    """Return how many connections this process can have, each with a file of its own.

    The limit of open files is raised to what the system allows.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit on sockets
        return MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MOST
    return max(1, min(MOST, (soft - SPARE_FILES) // 2))


class Connection(H11Protocol):
    """One connection; :func:`limited` makes the class that a server uses."""

    most = MOST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; where there are too many, one goes."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._n_bytes = 0
        self._awaited: asyncio.TimerHandle | None = None
        self._await_headers()
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was waited for."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; the headers of a request must be whole in time."""
        was_waiting = self.is_waiting
        self._n_bytes += len(data)
        super().data_received(data)
        if not self.is_waiting:
            self._stop_waiting()
            if was_waiting:
                self._since, self._n_bytes = self.loop.time(), 0
        elif self._awaited is None and not self.transport.is_closing():
            self._since = self.loop.time()
            self._await_headers()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._since = self.loop.time()
        super().on_response_complete()

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being received or answered."""
        answered = self.cycle is None or self.cycle.response_complete
        return answered and self.conn.their_state in (h11.IDLE, h11.DONE)

    def send_400_response(self, msg: str) -> None:
        """Say that what came is no request, in the protocol's own form."""
        self._end(Failure(Code.BAD_REQUEST, msg))

    def _await_headers(self) -> None:
        self._awaited = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def _stop_waiting(self) -> None:
        if self._awaited is not None:
            self._awaited.cancel()
            self._awaited = None

    def _too_late(self) -> None:
        self._awaited = None
        message = f"The headers of the request took longer than {HEADER_SECONDS:g} seconds."
        self._end(Failure(Code.REQUEST_TIMEOUT, message))

    def _make_room(self) -> None:
        others = [c for c in self.connections if isinstance(c, Connection) and c is not self]
        busy = Failure(
            Code.SERVER_BUSY, "The server has too many connections.", {"Retry-After": "5"}
        )
        gone = _dispensable(others, self.loop.time()) or self
        gone._end(busy, asked=gone is self)

    def _end(self, failure: Failure, *, asked: bool = False) -> None:
        """Send an answer, if something was ``asked`` and none was begun, and close."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if (asked or self._n_bytes) and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_answer(failure))
        self.connections.discard(self)
        self.transport.close()


def limited(most: int) -> type[Connection]:
    """Return the class of connections of which there may be so many."""
    return type("LimitedConnection", (Connection,), {"most": most})


def _dispensable(connections: Iterable[Connection], now: float) -> Connection | None:
    """Return the connection that asks for the least, or None if all are busy."""
    waiting = [c for c in connections if c.is_waiting]
    if waiting:
        return min(waiting, key=lambda c: c._since)
    slow = [
        (c._n_bytes / (now - c._since), c._since, i, c)
        for i, c in enumerate(connections)
        if c.conn.their_state is h11.SEND_BODY and now - c._since > SLOW_SECONDS
    ]
    rate, _, _, slowest = min(slow, default=(SLOW_RATE, 0.0, 0, None))
    return slowest if rate < SLOW_RATE else None


def _answer(failure: Failure) -> bytes:
    body = json.dumps(failure.body()).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
        **failure.headers,
    }
    reason = HTTPStatus(failure.status).phrase
    head = [f"HTTP/1.1 {failure.status} {reason}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*head, "", ""]).encode("ascii") + body
