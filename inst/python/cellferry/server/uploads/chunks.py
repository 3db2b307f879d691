"""Writing one chunk of an upload in its place in the file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import anyio

from ..failures import Code, Failure
from ..settings import MIB

BUFFER_BYTES = MIB


class Writers:
    """The requests that write one chunk at this moment; only the latest may go on."""

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self._latest = 0
        self._n = 0

    def enter(self) -> int:
        """Begin to write; returns the number of this writer."""
        self._n += 1
        self._latest += 1
        return self._latest

    def check(self, mine: int) -> None:
        """Raise :class:`Failure` if a later request took over."""
        if mine != self._latest:
            raise Failure(Code.CLIENT_DISCONNECTED, "The chunk is being sent again.")

    def leave(self) -> bool:
        """Stop writing; returns whether nobody writes any more."""
        self._n -= 1
        return self._n == 0


def opened(path: Path, *, write: bool) -> IO[bytes]:
    """Open the file of an upload; without ``write`` what is written goes nowhere."""
    # A chunk that was received before is only compared, never written again.
    flags = os.O_WRONLY | (os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) if write else 0)
    descriptor = os.open(path if write else os.devnull, flags, 0o600)
    return os.fdopen(descriptor, "wb", buffering=0)


def write(file: IO[bytes], piece: bytes, offset: int, digest: hashlib._Hash) -> None:
    """Write a piece at its place and take it into the hash."""
    digest.update(piece)
    if file.seekable():
        file.seek(offset)
    file.write(piece)


async def buffered(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes in pieces of about :data:`BUFFER_BYTES`."""
    pieces: list[bytes] = []
    size = 0
    async for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size >= BUFFER_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if size:
        yield b"".join(pieces)


def wrong_size(position: int, size: int, expected: int | None, most: int) -> Failure:
    """Return the failure of a chunk that is too long or too short."""
    valid = f"1 to {most}" if expected is None else str(expected)
    code = Code.PAYLOAD_TOO_LARGE if size > most else Code.VALIDATION_ERROR
    return Failure(code, f"Chunk {position} must have {valid} bytes, not {size}.")
