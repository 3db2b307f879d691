"""Chunks to the service and answers into the run: each chunk is sent until it is answered once.

A chunk that was answered is a file in ``chunks/`` of the run and a line in its journal, keyed
by the hash of what was sent and where to. A run that is resumed sends only the others. A chunk
that the service finds too large (HTTP 413) is halved until it is not, and later ones with it.
"""

from __future__ import annotations

import gzip
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ...errors import OutputError, ServiceRejectedError, ServiceTooLargeError
from ...files import Json, file_hash, write_whole
from ...runs.parallel import bounded_map
from ..service.addresses import is_loopback
from ..service.client import Reply, Service
from .calls import check_answer, unwrapped
from .payload import Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events

FOLDER = "chunks"


class Kept(TypedDict):
    """What the journal says of an answered chunk."""

    file: str
    sha256: str
    cells: int
    names: str


@dataclass(frozen=True, eq=False)
class Answered:
    """A chunk and the file with its answer."""

    number: int
    rows: NDArray[np.intp]
    file: Path

    def answer(self) -> Mapping[str, Json]:
        """Return the answer of the service as it came."""
        import orjson

        found: Mapping[str, Json] = orjson.loads(gzip.decompress(self.file.read_bytes()))
        return found


@dataclass
class Sender:
    """Sends chunks to one address.

    Parameters
    ----------
    compress
        Whether bodies are gzipped. None: once the service has said that it takes them, by
        the response header ``Accept-Encoding`` (RFC 7694), and never to this machine.
    check
        Raises :class:`ServiceAnswerError` unless an answer fits so many cells.
    halves
        Whether a chunk that is too large is sent in halves.
    """

    service: Service
    run: Run
    events: Events
    parallel: int = 2
    compress: bool | None = None
    check: Callable[[object, int], object] = check_answer
    halves: bool = True
    sent: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        # Bytes of a body; what a service said once is known when the run is resumed.
        self._largest: float = self.run.content.get("largest_body") or math.inf
        self._gzip = self.compress is True
        self._may_learn = self.compress is None and not is_loopback(self.service.host)

    def send(self, chunks: Iterable[Chunk], cells: tuple[str, ...]) -> list[Answered]:
        """Return all chunks answered, in their order."""
        finished = self.run.finished()
        answered: list[Answered] = []
        done = 0

        def missing(some: Iterable[Chunk]) -> Iterator[Chunk]:
            nonlocal done
            for chunk in some:
                found = self._found(chunk, finished, cells)
                if found is not None:
                    answered.append(found)
                    done += len(chunk.rows)
                    self._report(done, len(cells))
                elif self.halves and len(chunk.body) > self._largest and len(chunk.rows) > 1:
                    yield from missing(chunk.halves())
                else:
                    yield chunk

        waiting: Iterable[Chunk] = chunks
        while True:
            # As many as were under way, because the others are halved before they are sent.
            too_large: list[Chunk] = []
            under_way = bounded_map(
                self._ask, missing(waiting), self.parallel, self.events, ordered=False
            )
            # Closed here: threads would wait for more until the traceback of an error is gone.
            with closing(under_way):
                for chunk, text in under_way:
                    if isinstance(chunk, Chunk):
                        self._limit(chunk)
                        too_large.append(chunk)
                        continue
                    answered.append(self._keep(chunk, text, cells))
                    self.sent += 1
                    done += chunk.n_cells
                    self._report(done, len(cells))
            if not too_large:
                return sorted(answered, key=lambda a: int(a.rows[0]))
            waiting = too_large

    def _limit(self, chunk: Chunk) -> None:
        """Note that a chunk is too large; half of it may pass, one that is much like it not."""
        self._largest = min(self._largest, len(chunk.body) * 3 // 4)
        self.run.update(largest_body=self._largest)

    def _report(self, done: int, total: int) -> None:
        self.events.emit("progress", done=done, total=total, unit="cell")

    def _ask(self, chunk: Chunk) -> tuple[_Sent | Chunk, bytes]:
        """Send one chunk until it is answered; runs in a thread of its own.

        A chunk that is too large, and can be halved, comes back.
        """
        import orjson

        n_cells = len(chunk.rows)

        def read(reply: Reply) -> bytes:
            taken = reply.headers.get("accept-encoding", "")
            if self._may_learn and "gzip" in taken.lower():
                self._gzip = True
            answer = unwrapped(reply.json())
            self.check(answer, n_cells)
            # Small, and already shrunk for the file: a chunk's answer need not stay in memory.
            return gzip.compress(orjson.dumps(answer), compresslevel=1)

        sent = _Sent(chunk.number, chunk.rows, self._key(chunk))
        try:
            return sent, self._posted(chunk.body, read)
        except ServiceTooLargeError:
            if n_cells == 1 or not self.halves:
                raise
            return chunk, b""

    def _posted(self, body: bytes, read: Callable[[Reply], bytes]) -> bytes:
        try:
            return self._post(body, read)
        except ServiceRejectedError as error:
            if not self._gzip or error.data.get("status") != 415:
                raise
            self._gzip, self._may_learn = False, False
            return self._post(body, read)

    def _post(self, body: bytes, read: Callable[[Reply], bytes]) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._gzip:
            body = gzip.compress(body, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        return self.service.request("POST", "", content=body, headers=headers, read=read, paid=True)

    def _key(self, chunk: Chunk) -> str:
        return hashlib.sha256(f"{self.service.address}\x1f{chunk.key}".encode()).hexdigest()

    def _keep(self, sent: _Sent, text: bytes, cells: tuple[str, ...]) -> Answered:
        folder = self.run.folder / FOLDER
        path = folder / f"{sent.number:06d}-{sent.key[:12]}.json.gz"
        try:
            folder.mkdir(exist_ok=True)
            write_whole(path, text)
        except OSError as error:
            message = f'The answer cannot be written to "{path}": {error.strerror}.'
            raise OutputError(message, "Make room and resume the run.") from error
        first, last = int(sent.rows[0]), int(sent.rows[-1])
        payload: dict[str, str | int] = {
            "file": f"{FOLDER}/{path.name}",
            "sha256": hashlib.sha256(text).hexdigest(),
            "cells": len(sent.rows),
            "names": names_hash(cells, sent.rows),
        }
        unit = f"chunk {sent.number}: cells {first + 1} to {last + 1}"
        self.run.record(unit, sent.key, payload)
        return Answered(sent.number, sent.rows, path)

    def _found(
        self, chunk: Chunk, finished: Mapping[str, Kept], cells: tuple[str, ...]
    ) -> Answered | None:
        """Return the answer that an earlier process of this run got, if it is whole."""
        kept = finished.get(self._key(chunk))
        if kept is None or kept["names"] != names_hash(cells, chunk.rows):
            return None
        path = self.run.folder / kept["file"]
        if not path.is_file() or file_hash(path) != kept["sha256"]:
            return None
        return Answered(chunk.number, chunk.rows, path)


@dataclass(frozen=True, eq=False)
class _Sent:
    """What is left of a chunk when its body is gone."""

    number: int
    rows: NDArray[np.intp]
    key: str

    @property
    def n_cells(self) -> int:
        return len(self.rows)


def names_hash(cells: tuple[str, ...], rows: NDArray[np.intp]) -> str:
    """Return a hash of the names of some cells in their order."""
    names = "\x1f".join(cells[i] for i in rows.tolist())
    return hashlib.sha256(names.encode()).hexdigest()
