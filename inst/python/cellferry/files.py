"""Files: one is written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a crash leaves the old or the new one, never half."""
    # An interrupted worker may still write while the caller's thread notes the interrupt.
    partial = path.with_name(f".{path.name}.{threading.get_ident():x}.partial")
    with partial.open("w", encoding="utf-8") as target:
        target.write(text)
        target.flush()
        os.fsync(target.fileno())
    partial.replace(path)
