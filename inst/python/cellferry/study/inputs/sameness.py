"""Whether two paths are the same file, or copies of one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError
from ..expression.origin import fingerprint_of
from ..expression.source import spread
from .address import Address

_FILES = 32
"""Files of a folder that are looked at."""


def check_different(paths: Sequence[Path | Address]) -> None:
    """Raise :class:`InputError` where a file is among the paths twice, or a copy of another.

    Parameters
    ----------
    paths
        Of files and folders that are there, and addresses. Copies of files are known by their size
        and pieces of them.
    """
    places: dict[str, Path | Address] = {}
    contents: dict[str, Path] = {}
    for path in paths:
        place = path.resolve() if isinstance(path, Path) else path
        other = places.setdefault(str(place).rstrip("/"), path)
        if other is not path:
            message = f'The file "{path}" is given twice: its cells would count twice.'
            raise InputError(message, "Name each file once.")
        if not isinstance(place, Path) or not isinstance(path, Path):
            continue
        first = contents.setdefault(_content_of(place), path)
        if first is not path:
            message = f'"{first}" and "{path}" are copies of one file.'
            raise InputError(message, "Name one of them: its cells would count twice.")


def _content_of(path: Path) -> str:
    if path.is_file():
        return fingerprint_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path)} {file.stat().st_size}\n".encode())
    for place in spread(len(files), _FILES) if files else ():
        digest.update(fingerprint_of(files[place]).encode())
    return digest.hexdigest()
