"""Chunked uploads: parallel, from disk in small pieces, resumed from the journal of the run.

Each finished part is a unit of the run, keyed by the upload and its number, so that a process
that was killed goes on where it stopped. An upload that the service has forgotten, or whose
signed addresses are no longer good, is begun anew. What the service answers is checked here,
and what has been uploaded is remembered.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...errors import (
    OutputError,
    ServiceAnswerError,
    ServiceForbiddenError,
    ServiceNotFoundError,
    ServiceRejectedError,
    ServiceTooLargeError,
)
from ...files import PRIVATE, Json, write_json
from ...runs.parallel import bounded_map
from ...runs.run import home
from ..service.addresses import is_loopback
from ..service.answers import is_page, object_of

if TYPE_CHECKING:
    from ...runs.run import Run
    from ...runs.worker import Events
    from ..service.client import Reply, Service

GIBIBYTE = 1024**3
LIMITS = {"obs_duckdb": 2 * GIBIBYTE, "vars_h5": 50 * GIBIBYTE}
"""Largest file of each kind that the protocol knows, in bytes."""
NAMES = {"vars_h5": "vars.h5", "obs_duckdb": "obs.duckdb"}
BEGINNINGS = 3
"""How often an upload is begun before it is given up."""
MOST_PARTS = 100_000
_READ_AT_ONCE = 8 << 20


@dataclass(frozen=True)
class _File:
    """A file as it was when its hash was taken."""

    path: Path
    kind: str
    size: int
    modified: int
    sha256: str

    def check(self) -> None:
        now = self.path.stat()
        if (now.st_size, now.st_mtime_ns) != (self.size, self.modified):
            message = f'The file "{self.path}" changed while it was uploaded.'
            raise OutputError(message, "Let no other program write it, and annotate again.")


@dataclass(frozen=True)
class _Upload:
    """What the service said when the upload began."""

    upload_id: str
    part_size: int
    n_parts: int
    urls: tuple[str, ...] | None = field(default=None, repr=False)


class Uploader:
    """Uploads the artifacts of one run.

    Parameters
    ----------
    service
        The service they go to.
    run
        Whose journal remembers finished parts.
    workers
        Parts under way at once.
    seconds
        Longest silence of the service during one request.
    """

    def __init__(
        self, service: Service, run: Run, events: Events, *, workers: int, seconds: float
    ) -> None:
        self._service, self._run, self._events = service, run, events
        self._workers, self._seconds = workers, seconds
        self._record = UploadRecord(service.address)
        self._lock = threading.Lock()

    def upload(self, kind: str, path: Path, *, reuse: bool = True) -> str:
        """Return the id of a complete upload of the file.

        Parameters
        ----------
        kind
            ``"vars_h5"`` or ``"obs_duckdb"``.
        reuse
            Whether a complete upload of the same content that is still valid may be named
            again; the journal's finished parts are used in any case.

        Raises
        ------
        OutputError
            The file is missing or changes meanwhile.
        ServiceError
        """
        file = self._examine(kind, path)
        if reuse and (known := self._record.find(kind, file.sha256)):
            return known
        for left in reversed(range(BEGINNINGS)):
            upload = self._begin(file)
            try:
                return self._finish(file, upload)
            except (ServiceNotFoundError, ServiceRejectedError, ServiceForbiddenError) as error:
                # It expired, or the service lost it: none of its parts counts any more. Of a
                # signed address 403 says that; from the service itself it is a refusal.
                refused = isinstance(error, ServiceForbiddenError) and upload.urls is None
                self._forget(file)
                if refused or not left:
                    raise
        raise AssertionError  # the last beginning raises or returns

    def forget(self, kind: str, path: Path) -> None:
        """Name an upload of this content no more: the service does not know it."""
        file = self._examine(kind, path)
        self._record.forget(kind, file.sha256)
        self._forget(file)

    def _examine(self, kind: str, path: Path) -> _File:
        try:
            found = path.stat()
            if found.st_size > LIMITS[kind]:
                message = (
                    f"{NAMES[kind]} has {found.st_size:,} bytes, and the protocol takes "
                    f"{LIMITS[kind]:,} at most."
                )
                raise ServiceTooLargeError(message, "Leave out columns: obs_columns=.", kind=kind)
            return _File(path, kind, found.st_size, found.st_mtime_ns, self._sha256(path))
        except OSError as error:
            message = f'The file "{path}" cannot be read: {error.strerror}.'
            raise OutputError(message, "Annotate again; it is made anew.") from error

    def _sha256(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as content:
            while piece := content.read(_READ_AT_ONCE):
                digest.update(piece)
                self._events.check()
        return digest.hexdigest()

    # --- begin, parts, complete ---------------------------------------------------------

    def _key(self, file: _File, *more: object) -> str:
        parts = ["upload", self._service.address, file.kind, file.sha256, *map(str, more)]
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()

    def _begin(self, file: _File) -> _Upload:
        """Return the upload that the journal knows of, else begin one."""
        known = self._run.finished().get(self._key(file))
        if known and known.get("upload_id"):
            urls = load_signed(self._run.folder, known["upload_id"]) if known["signed"] else None
            if not known["signed"] or urls is not None:
                return _Upload(known["upload_id"], known["part_size"], known["n_parts"], urls)
        path = f"/upload/{file.kind}/initiate"
        answer = self._service.post(path, {"file_size_bytes": file.size}, seconds=self._seconds)
        upload = self._beginning(file, answer)
        if upload.urls is not None:
            store_signed(self._run.folder, upload.upload_id, upload.urls)
        self._note(
            f"begin {file.kind}",
            self._key(file),
            upload_id=upload.upload_id,
            part_size=upload.part_size,
            n_parts=upload.n_parts,
            signed=upload.urls is not None,
        )
        return upload

    def _beginning(self, file: _File, answer: Json) -> _Upload:
        host = self._service.host
        accepted = object_of(answer, host, upload_id=str, chunk_size_bytes=int)
        size, limit = accepted["chunk_size_bytes"], accepted.get("max_size_bytes")
        if isinstance(limit, int) and file.size > limit:
            message = f"{NAMES[file.kind]} has {file.size:,} bytes, and {host} takes {limit:,}."
            raise ServiceTooLargeError(message, "Leave out columns: obs_columns=.", host=host)
        n_parts = -(-file.size // size) if size > 0 else 0
        if size <= 0 or n_parts > MOST_PARTS:
            message = f"{host} wants parts of {size} bytes, which cannot be."
            raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
        urls = accepted.get("presigned_urls")
        if urls is None or accepted.get("r2_upload_id") is None:
            return _Upload(safe_id(accepted["upload_id"], host), size, n_parts)
        return _Upload(
            safe_id(accepted["upload_id"], host), size, n_parts, signed_urls(urls, n_parts, host)
        )

    def _finish(self, file: _File, upload: _Upload) -> str:
        finished = self._run.finished()
        tags: dict[int, str] = {}
        todo = []
        for i in range(upload.n_parts):
            done = finished.get(self._key(file, upload.upload_id, i))
            if done is None:
                todo.append(i)
            else:
                tags[i] = done["etag"]
        name = NAMES[file.kind]
        self._events.emit("started", len(tags), upload.n_parts, name, f"Uploading {name}")

        def part(i: int) -> None:
            file.check()
            tag = self._send(file, upload, i)
            self._note(f"{file.kind} part {i}", self._key(file, upload.upload_id, i), etag=tag)
            with self._lock:
                tags[i] = tag
                done = len(tags)
            self._events.emit("progress", done, upload.n_parts, f"{name} part {i + 1}")

        for _ in bounded_map(part, todo, self._workers, self._events, ordered=False):
            pass
        file.check()
        return self._complete(file, upload, tags)

    def _send(self, file: _File, upload: _Upload, i: int) -> str:
        start = i * upload.part_size
        length = min(upload.part_size, file.size - start)
        signed = upload.urls is not None
        where = upload.urls[i] if upload.urls is not None else None
        return self._service.request(
            "PUT",
            where or f"/upload/{upload.upload_id}/chunk/{i}",
            content=pieces_of(file.path, start, length, self._events.check),
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(length)},
            seconds=self._seconds,
            read=etag_of if signed else no_etag,
        )

    def _complete(self, file: _File, upload: _Upload, tags: Mapping[int, str]) -> str:
        body: dict[str, object] = {}
        if upload.urls is not None:
            body = {"parts": [{"ETag": tags[i], "PartNumber": i + 1} for i in sorted(tags)]}
        path = f"/upload/{upload.upload_id}/complete"
        answer = self._service.post(path, body, seconds=self._seconds)
        host = self._service.host
        accepted = object_of(answer, host, upload_id=str)
        same_kind = accepted.get("file_kind", file.kind) == file.kind
        same_size = accepted.get("size_bytes", file.size) == file.size
        if not (same_kind and same_size):
            message = (
                f"{host} has another file than the one sent: {accepted.get('file_kind')}, "
                f"{accepted.get('size_bytes')} bytes instead of {file.kind}, {file.size}."
            )
            raise ServiceAnswerError(message, "Resume the run; it is sent again.", host=host)
        identifier = safe_id(accepted["upload_id"], host)
        self._record.add(
            Known(file.kind, file.sha256, identifier, str(accepted.get("expires_at", "")))
        )
        forget_signed(self._run.folder, upload.upload_id)
        return identifier

    def _forget(self, file: _File) -> None:
        self._note(f"begin {file.kind} again", self._key(file), upload_id=None, signed=False)

    def _note(self, unit: str, key: str, **payload: Json) -> None:
        with self._lock:
            self._run.record(unit, key, payload)


PIECE = 1 << 20
"""Bytes of a part that are in memory at once, for each worker."""


def pieces_of(
    path: Path, start: int, length: int, check: Callable[[], None]
) -> Callable[[], Iterator[bytes]]:
    """Return what yields one part of a file, anew for each attempt."""

    def pieces() -> Iterator[bytes]:
        left = length
        with path.open("rb") as content:
            content.seek(start, os.SEEK_SET)
            while left > 0:
                check()
                piece = content.read(min(PIECE, left))
                if not piece:
                    message = f'The file "{path}" became shorter while it was uploaded.'
                    raise OutputError(message, "Annotate again.")
                left -= len(piece)
                yield piece

    return pieces


def etag_of(reply: Reply) -> str:
    """Return the confirmation of a part; raises :class:`ServiceAnswerError` if there is none."""
    tag = reply.headers.get("etag", "")
    if not tag:
        host = reply.response.request.url.host
        message = f"{host} stored a part and did not confirm it (no ETag)."
        raise ServiceAnswerError(message, "Resume the run; the part is sent again.", host=host)
    return tag


def no_etag(reply: Reply) -> str:
    """Return nothing: a part sent to the service itself is confirmed by its status.

    Raises
    ------
    ServicePageError
        Something before the service accepted, and the part never arrived.
    """
    if is_page(reply.response, reply.content):
        reply.json()
    return ""


def safe_id(identifier: str, host: str) -> str:
    """Return an id if it can be part of a path; it comes from outside and goes into one."""
    valid = 0 < len(identifier) <= 200 and all(c.isalnum() or c in "-_.~" for c in identifier)
    if not valid or set(identifier) == {"."}:
        message = f"{host} gave an id that cannot be one."
        raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
    return identifier


def signed_urls(given: object, n_parts: int, host: str) -> tuple[str, ...]:
    """Return the signed address of each part: https, or of this machine.

    Parameters
    ----------
    given
        What the service gave: a list of addresses.
    n_parts
        Parts that each need one.
    host
        Whose answer it is, for messages.

    Raises
    ------
    ServiceAnswerError
    """
    if not isinstance(given, list) or len(given) < n_parts:
        n = len(given) if isinstance(given, list) else 0
        message = f"{host} gave {n} addresses for {n_parts} parts."
        raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
    for url in given[:n_parts]:
        parts = urlsplit(url) if isinstance(url, str) else urlsplit("")
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
        if not (safe and parts.hostname):
            message = f"{host} wants a part to be sent to an address that is not encrypted."
            raise ServiceAnswerError(message, "Nothing was sent there.", host=host)
    return tuple(given[:n_parts])


MARGIN = datetime.timedelta(minutes=15)
"""An upload must be valid for so long, because the job is submitted after it was looked up."""
_MOST = 1000


@dataclass(frozen=True)
class Known:
    """A complete upload."""

    kind: str
    sha256: str
    upload_id: str
    expires_at: str

    def is_valid(self, now: datetime.datetime) -> bool:
        """Say whether it lasts long enough; one of unknown end does not."""
        try:
            until = datetime.datetime.fromisoformat(self.expires_at)
        except ValueError:
            return False
        if until.tzinfo is None:
            until = until.replace(tzinfo=datetime.UTC)
        return until > now + MARGIN


class UploadRecord:
    """The complete uploads of one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    @property
    def path(self) -> Path:
        """The file, which may not exist."""
        return home() / "uploads.json"

    def find(self, kind: str, sha256: str) -> str | None:
        """Return the id of an upload of this content that is still valid, or None."""
        now = datetime.datetime.now(datetime.UTC)
        for known in reversed(self._read().get(self._address, [])):
            if (known.kind, known.sha256) == (kind, sha256) and known.is_valid(now):
                return known.upload_id
        return None

    def add(self, known: Known) -> None:
        """Remember an upload."""
        self._change(lambda kept: [*kept, known])

    def forget(self, kind: str, sha256: str) -> None:
        """Name an upload of this content no more."""
        self._change(lambda kept: [k for k in kept if (k.kind, k.sha256) != (kind, sha256)])

    def _change(self, change: Callable[[list[Known]], list[Known]]) -> None:
        content = self._read()
        now = datetime.datetime.now(datetime.UTC)
        kept = [k for k in content.get(self._address, []) if k.is_valid(now)]
        content[self._address] = change(kept)[-_MOST:]
        plain = {a: [asdict(k) for k in known] for a, known in content.items()}
        # It only saves work: that it cannot be written stops nothing.
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, plain, mode=PRIVATE)

    def _read(self) -> dict[str, list[Known]]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {str(a): [Known(**k) for k in known] for a, known in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def store_signed(folder: Path, upload_id: str, urls: Sequence[str]) -> None:
    """Keep the signed addresses of an upload that is under way."""
    write_json(folder / f"signed-{upload_id}.json", list(urls), mode=PRIVATE)


def load_signed(folder: Path, upload_id: str) -> tuple[str, ...] | None:
    """Return the signed addresses of an upload, or None if they are gone."""
    try:
        found = json.loads((folder / f"signed-{upload_id}.json").read_text(encoding="utf-8"))
        return tuple(str(url) for url in found)
    except (OSError, ValueError, TypeError):
        return None


def forget_signed(folder: Path, upload_id: str) -> None:
    """Delete the signed addresses of an upload."""
    (folder / f"signed-{upload_id}.json").unlink(missing_ok=True)
