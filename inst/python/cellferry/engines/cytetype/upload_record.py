"""Which uploads a service has, so that the same content is not sent twice.

One small file in cellferry's data folder, by address, kind and content. It holds ids and hashes,
no token, no names of files. The signed addresses of an upload under way are kept beside the
run's journal, readable by their owner only, until the upload is complete.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...runs import home

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

    def _change(self, change: Any) -> None:
        content = self._read()
        now = datetime.datetime.now(datetime.UTC)
        kept = [k for k in content.get(self._address, []) if k.is_valid(now)]
        content[self._address] = change(kept)[-_MOST:]
        plain = {a: [asdict(k) for k in known] for a, known in content.items()}
        # It only saves work: that it cannot be written stops nothing.
        with contextlib.suppress(OSError):
            _write_private(self.path, json.dumps(plain))

    def _read(self) -> dict[str, list[Known]]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {str(a): [Known(**k) for k in known] for a, known in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


def store_signed(folder: Path, upload_id: str, urls: Sequence[str]) -> None:
    """Keep the signed addresses of an upload that is under way."""
    _write_private(folder / f"signed-{upload_id}.json", json.dumps(list(urls)))


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


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        Path(partial).replace(path)
    except OSError:
        Path(partial).unlink(missing_ok=True)
        raise
