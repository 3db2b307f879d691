"""Uploads: a file of an artifact that arrives in chunks, in any order, with interruptions.

A chunk counts when all its bytes are on disk and its hash is in the database; until then
it may be sent again. The file is written in place, so that completing it costs nothing.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from anyio.to_thread import run_sync

from ..failures import Code, Failure, fail, shown
from ..folder import own_files
from ..settings import FILE_KINDS, Settings
from ..store import Store, is_id, new_id, now
from .chunks import Writers, buffered, opened, write, wrong_size


@dataclass(frozen=True)
class Upload:
    """What is known of an upload; ``size`` is None where an old client did not say."""

    id: str
    kind: str
    size: int | None
    chunk_bytes: int
    state: str
    expires: float

    @property
    def file_name(self) -> str:
        """The name of the artifact."""
        return {"obs_duckdb": "obs.duckdb", "vars_h5": "vars.h5"}[self.kind]

    @property
    def expires_at(self) -> str:
        """When it is deleted, ISO 8601."""
        return f"{datetime.fromtimestamp(self.expires, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Uploads:
    """All uploads of a data folder."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._locks: dict[tuple[str, int], Writers] = {}

    def initiate(self, kind: str, size: int | None) -> Upload:
        """Begin an upload.

        Raises
        ------
        Failure
            No such kind, too large, too many unfinished, or no space.
        """
        if kind not in FILE_KINDS:
            raise Failure(Code.NOT_FOUND, f"A file kind is one of {FILE_KINDS}, not {shown(kind)}.")
        largest = self._settings.largest(kind)
        if size is not None and size > largest:
            message = f"The file has {size} bytes; this server takes {largest}."
            raise Failure(Code.PAYLOAD_TOO_LARGE, message)
        self.expire()
        with self._store.transaction() as sql:
            (unfinished, awaited) = sql.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM uploads WHERE state = 'open'"
            ).fetchone()
            if unfinished >= self._settings.open_uploads:
                message = f"{unfinished} uploads are unfinished; complete them or try later."
                raise Failure(Code.SERVER_BUSY, message, {"Retry-After": "60"})
            arrived = sql.execute(
                "SELECT coalesce(sum(c.size), 0) FROM chunks c JOIN uploads u ON u.id = c.upload "
                "WHERE u.state = 'open' AND u.size IS NOT NULL"
            ).fetchone()[0]
            self._store.check_space(awaited - arrived + (size or 0))
            upload = Upload(
                new_id(),
                kind,
                size,
                self._settings.chunk_bytes,
                "open",
                self._expiry(),
            )
            sql.execute(
                "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)",
                (upload.id, kind, size, upload.chunk_bytes, "open", now(), upload.expires),
            )
        return upload

    def find(self, identifier: str) -> Upload:
        """Return an upload; raises :class:`Failure` where there is none or it has expired."""
        row = None
        if is_id(identifier):
            with self._store.reading() as sql:
                row = sql.execute(
                    "SELECT id, kind, size, chunk_bytes, state, expires FROM uploads WHERE id = ?",
                    (identifier,),
                ).fetchone()
        if row is None:
            raise Failure(Code.UPLOAD_NOT_FOUND, f"There is no upload {shown(identifier)}.")
        upload = Upload(*row)
        if upload.expires < now() and not self._in_use(upload.id):
            message = f"The upload expired at {upload.expires_at}; begin again."
            raise Failure(Code.UPLOAD_EXPIRED, message)
        return upload

    def received(self, upload: Upload) -> dict[int, int]:
        """Return position -> size of the chunks that have arrived."""
        with self._store.reading() as sql:
            rows = sql.execute(
                "SELECT position, size FROM chunks WHERE upload = ? ORDER BY position", (upload.id,)
            )
            return dict(rows.fetchall())

    def hashes(self, upload: Upload) -> dict[int, str]:
        """Return position -> SHA-256 of the chunks that have arrived."""
        with self._store.reading() as sql:
            rows = sql.execute(
                "SELECT position, sha256 FROM chunks WHERE upload = ? ORDER BY position",
                (upload.id,),
            )
            return dict(rows.fetchall())

    def expected_size(self, upload: Upload, position: int) -> int | None:
        """Return the size that a chunk must have, or None where only the most is known.

        Raises
        ------
        Failure
            There is no chunk of this position.
        """
        total = self._settings.largest(upload.kind) if upload.size is None else upload.size
        n_chunks = -(-total // upload.chunk_bytes)
        if position >= n_chunks:
            least = "none: the file is empty" if n_chunks == 0 else f"0 to {n_chunks - 1}"
            fail(f"There is no chunk {position}; valid are {least}.")
        if upload.size is None:
            return None
        return min(upload.chunk_bytes, upload.size - position * upload.chunk_bytes)

    async def write_chunk(
        self, upload: Upload, position: int, declared: int | None, body: AsyncIterator[bytes]
    ) -> int:
        """Take one chunk; sent again with the same content it changes nothing.

        Of two requests for one chunk the later one wins, because the earlier is a
        connection that broke without our noticing.

        Parameters
        ----------
        position
            Of the chunk, from 0.
        declared
            Content-Length in bytes, or None where the client does not say.
        body
            The bytes as they come.

        Returns
        -------
        Bytes of the chunk.

        Raises
        ------
        Failure
            Wrong position or size, or other content than before.
        """
        if upload.state != "open":
            message = f"The upload {upload.id} is complete and takes no more chunks."
            if position not in self.received(upload):
                raise Failure(Code.CHUNK_CONFLICT, message)
        expected = self.expected_size(upload, position)
        most = upload.chunk_bytes if expected is None else expected
        if declared is not None and (declared > most or declared < (expected or 1)):
            raise wrong_size(position, declared, expected, most)
        self._store.check_space(0)
        known = await run_sync(self.hash_of, upload.id, position)
        writers = self._locks.setdefault((upload.id, position), Writers())
        mine = writers.enter()
        try:
            digest, size = hashlib.sha256(), 0
            with opened(self._store.upload_path(upload.id), write=known is None) as file:
                async for piece in buffered(body):
                    if size + len(piece) > most:
                        raise wrong_size(position, size + len(piece), expected, most)
                    offset = position * upload.chunk_bytes + size
                    async with writers.lock:
                        writers.check(mine)
                        await run_sync(write, file, piece, offset, digest)
                    size += len(piece)
                if size < (expected or 1):
                    raise wrong_size(position, size, expected, most)
                if known is None and file is not None:
                    await run_sync(os.fsync, file.fileno())
            async with writers.lock:
                writers.check(mine)
                await run_sync(self._record, upload.id, position, size, digest.hexdigest())
        finally:
            if writers.leave():
                self._locks.pop((upload.id, position), None)
        return size

    def hash_of(self, upload: str, position: int) -> str | None:
        """Return the SHA-256 of a chunk, or None where it has not arrived."""
        with self._store.reading() as sql:
            row = sql.execute(
                "SELECT sha256 FROM chunks WHERE upload = ? AND position = ?", (upload, position)
            ).fetchone()
        return None if row is None else str(row[0])

    def _record(self, upload: str, position: int, size: int, sha256: str) -> None:
        try:
            with self._store.transaction() as sql:
                known = sql.execute(
                    "SELECT sha256 FROM chunks WHERE upload = ? AND position = ?",
                    (upload, position),
                ).fetchone()
                if known is None:
                    sql.execute(
                        "INSERT INTO chunks VALUES (?, ?, ?, ?)", (upload, position, size, sha256)
                    )
                elif known[0] != sha256:
                    message = f"Chunk {position} was received before, with other content."
                    raise Failure(Code.CHUNK_CONFLICT, message)
        except sqlite3.IntegrityError as error:
            raise Failure(Code.UPLOAD_EXPIRED, "The upload has expired: begin again.") from error

    def check_complete(self, upload: Upload) -> int:
        """Return the size of the whole file; raises :class:`Failure` if something is missing."""
        chunks = self.received(upload)
        if upload.size is None:
            n_chunks = max(chunks, default=-1) + 1
        else:
            n_chunks = -(-upload.size // upload.chunk_bytes)
        missing = [i for i in range(n_chunks) if i not in chunks]
        if missing:
            message = f"{len(missing)} of {n_chunks} chunks are missing, first {missing[0]}."
            raise Failure(Code.UPLOAD_INCOMPLETE, message)
        short = [i for i in range(n_chunks - 1) if chunks[i] != upload.chunk_bytes]
        if short:
            message = f"Chunk {short[0]} is not the last and has {chunks[short[0]]} bytes."
            raise Failure(Code.UPLOAD_INCOMPLETE, message)
        return sum(chunks.values())

    def complete(self, upload: Upload, size: int) -> Upload:
        """Mark an upload as complete; from here on it survives everything but its expiry."""
        path = self._store.upload_path(upload.id)
        path.touch()
        with self._store.transaction() as sql:
            sql.execute(
                "UPDATE uploads SET state = 'complete', size = ?, expires = ? WHERE id = ?",
                (size, self._expiry(), upload.id),
            )
        return self.find(upload.id)

    def refuse(self, upload: Upload) -> None:
        """Delete an upload whose content is not what it should be."""
        with self._store.transaction() as sql:
            sql.execute("DELETE FROM uploads WHERE id = ?", (upload.id,))
        self._store.upload_path(upload.id).unlink(missing_ok=True)

    def expire(self) -> None:
        """Delete what has expired and no job refers to, and files without a record."""
        with self._store.transaction() as sql:
            sql.execute(
                "DELETE FROM uploads WHERE expires < ? "
                "AND id NOT IN (SELECT upload FROM job_uploads)",
                (now(),),
            )
            kept = {row[0] for row in sql.execute("SELECT id FROM uploads")}
            for path in own_files(self._store.folder / "uploads"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def _expiry(self) -> float:
        return now() + 3600 * self._settings.upload_hours

    def _in_use(self, upload: str) -> bool:
        with self._store.reading() as sql:
            found = sql.execute("SELECT 1 FROM job_uploads WHERE upload = ? LIMIT 1", (upload,))
            return found.fetchone() is not None
