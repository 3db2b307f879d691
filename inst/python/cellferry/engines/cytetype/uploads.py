"""Chunked uploads: parallel, from disk in small pieces, resumed from the journal of the run.

Each finished part is a unit of the run, keyed by the upload and its number, so that a process
that was killed goes on where it stopped. An upload that the service has forgotten, or whose
signed addresses are no longer good, is begun anew.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import (
    OutputError,
    ServiceAnswerError,
    ServiceForbiddenError,
    ServiceNotFoundError,
    ServiceRejectedError,
    ServiceTooLargeError,
)
from ...events import run_parallel
from ...http_answers import object_of
from .upload_answers import etag_of, no_etag, pieces_of, safe_id, signed_urls
from .upload_record import Known, UploadRecord, forget_signed, load_signed, store_signed

if TYPE_CHECKING:
    from ...events import Events
    from ...http import Service
    from ...runs import Run

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

    def _key(self, file: _File, *more: Any) -> str:
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

    def _beginning(self, file: _File, answer: Any) -> _Upload:
        host = self._service.host
        told = object_of(answer, host, upload_id=str, chunk_size_bytes=int)
        size, limit = told["chunk_size_bytes"], told.get("max_size_bytes")
        if isinstance(limit, int) and file.size > limit:
            message = f"{NAMES[file.kind]} has {file.size:,} bytes, and {host} takes {limit:,}."
            raise ServiceTooLargeError(message, "Leave out columns: obs_columns=.", host=host)
        n_parts = -(-file.size // size) if size > 0 else 0
        if size <= 0 or n_parts > MOST_PARTS:
            message = f"{host} wants parts of {size} bytes, which cannot be."
            raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
        urls = told.get("presigned_urls")
        if urls is None or told.get("r2_upload_id") is None:
            return _Upload(safe_id(told["upload_id"], host), size, n_parts)
        return _Upload(
            safe_id(told["upload_id"], host), size, n_parts, signed_urls(urls, n_parts, host)
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

        run_parallel(part, todo, self._workers, self._events)
        file.check()
        return self._complete(file, upload, tags)

    def _send(self, file: _File, upload: _Upload, i: int) -> str:
        start = i * upload.part_size
        length = min(upload.part_size, file.size - start)
        signed = upload.urls is not None
        where = upload.urls[i] if upload.urls is not None else None
        tag: str = self._service.request(
            "PUT",
            where or f"/upload/{upload.upload_id}/chunk/{i}",
            content=pieces_of(file.path, start, length, self._events.check),
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(length)},
            seconds=self._seconds,
            read=etag_of if signed else no_etag,
        )
        return tag

    def _complete(self, file: _File, upload: _Upload, tags: Mapping[int, str]) -> str:
        body: Any = {}
        if upload.urls is not None:
            body = {"parts": [{"ETag": tags[i], "PartNumber": i + 1} for i in sorted(tags)]}
        path = f"/upload/{upload.upload_id}/complete"
        answer = self._service.post(path, body, seconds=self._seconds)
        host = self._service.host
        told = object_of(answer, host, upload_id=str)
        same_kind = told.get("file_kind", file.kind) == file.kind
        same_size = told.get("size_bytes", file.size) == file.size
        if not (same_kind and same_size):
            message = (
                f"{host} has another file than the one sent: {told.get('file_kind')}, "
                f"{told.get('size_bytes')} bytes instead of {file.kind}, {file.size}."
            )
            raise ServiceAnswerError(message, "Resume the run; it is sent again.", host=host)
        identifier = safe_id(told["upload_id"], host)
        self._record.add(Known(file.kind, file.sha256, identifier, str(told.get("expires_at", ""))))
        forget_signed(self._run.folder, upload.upload_id)
        return identifier

    def _forget(self, file: _File) -> None:
        self._note(f"begin {file.kind} again", self._key(file), upload_id=None, signed=False)

    def _note(self, unit: str, key: str, **payload: Any) -> None:
        with self._lock:
            self._run.record(unit, key, payload)
