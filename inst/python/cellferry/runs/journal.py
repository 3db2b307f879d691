"""The journal: one line per finished unit, on the disk before the next unit begins."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import Json, write_whole
from .sealed import sealed, unsealed

_MEMBERS = {"unit", "key", "payload"}
_BEGINNING = b'{"unit": '
"""How every line begins, also one that a crash cut."""


@dataclass(frozen=True)
class Found:
    """What is in a journal.

    Attributes
    ----------
    units
        Key -> payload; of several lines with one key the last.
    whole
        The lines with a unit, without their ends.
    damaged
        The lines that are not what was written.
    """

    units: dict[str, Any] = field(default_factory=dict)
    whole: list[bytes] = field(default_factory=list)
    damaged: list[bytes] = field(default_factory=list)


class Journal:
    """A file of lines with checksums, each of which stands for itself.

    Parameters
    ----------
    path
        The file; it is made when the first line is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def append(self, unit: str, key: str, payload: Mapping[str, Json]) -> None:
        """Write one line and wait until it is on the disk.

        Parameters
        ----------
        unit
            What it is, for people.
        key
            By which it is found again.
        payload
            JSON-serialisable.

        Raises
        ------
        OSError
        """
        line = sealed({"unit": unit, "key": key, "payload": payload})
        with self._lock, self._opened() as journal:
            # A crash in mid-write leaves a last line without its end: cut it off.
            end = _complete_bytes(self.path)
            journal.seek(end)
            left = journal.read()
            if _unit_of(left) is None:
                journal.seek(end)
                journal.truncate()
            else:
                line = b"\n" + line
            journal.write(line + b"\n")
            journal.flush()
            os.fsync(journal.fileno())

    def _opened(self) -> Any:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        return os.fdopen(descriptor, "r+b")

    def read(self) -> Found:
        """Return every unit, and what cannot be read.

        A line that a crash cut is neither: its unit was not finished.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return Found()
        found = Found()
        *lines, last = raw.split(b"\n")
        for line in lines:
            self._sort(line.removesuffix(b"\r"), found)
        cut = last.startswith(_BEGINNING[: len(last)]) and b"\0" not in last
        if last and (_unit_of(last) is not None or not cut):
            self._sort(last, found)
        return found

    @staticmethod
    def _sort(line: bytes, found: Found) -> None:
        unit = _unit_of(line)
        if unit is not None:
            found.units[unit["key"]] = unit["payload"]
            found.whole.append(line)
        elif line.strip():
            found.damaged.append(line)

    def mend(self) -> int:
        """Move the damaged lines to a file beside the journal; return how many there were."""
        found = self.read()
        if found.damaged:
            beside = self.path.with_suffix(".damaged")
            before = beside.read_bytes() if beside.exists() else b""
            write_whole(beside, before + b"".join(line + b"\n" for line in found.damaged))
            write_whole(self.path, b"".join(line + b"\n" for line in found.whole))
        return len(found.damaged)


def _unit_of(line: bytes) -> dict[str, Any] | None:
    """Return the unit of a line, or None if it is not what was written."""
    if not line.startswith(b"{"):
        return None
    try:
        content, _ = unsealed(line)
    except ValueError:
        return None
    known = content.keys() == _MEMBERS and isinstance(content["key"], str)
    return content if known and isinstance(content["payload"], dict) else None


def _complete_bytes(path: Path) -> int:
    """Return how many bytes of the journal are whole lines, reading from its end."""
    step = 1 << 16
    with path.open("rb") as journal:
        end = journal.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - step)
            journal.seek(start)
            found = journal.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
