"""Results of units, as bytes and on the disk."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import OutputError
from ...files import file_hash, write_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..run import Run

FOLDER = "units"


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as bytes, the same for the same arrays."""
    made = io.BytesIO()
    np.savez(made, allow_pickle=False, **dict(arrays))
    return made.getvalue()


def unpacked(content: bytes) -> dict[str, NDArray[Any]]:
    """Return what :func:`packed` was given.

    Examples
    --------
    >>> unpacked(packed({"a": np.arange(3)}))["a"].tolist()
    [0, 1, 2]
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as read:
        return {name: read[name] for name in read.files}


@dataclass(frozen=True)
class Remembered:
    """A result on the disk."""

    file: Path

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Read it."""
        return unpacked(self.file.read_bytes())


class Memory:
    """The results in the folder of a run; the journal has their checksums."""

    def __init__(self, run: Run) -> None:
        self._run, self._finished = run, run.finished()

    def find(self, key: str) -> Remembered | None:
        """Return the result of a key; None where there is none, or it is not what was written."""
        kept = self._finished.get(key)
        if kept is None:
            return None
        path = self._run.folder / str(kept["file"])
        whole = path.is_file() and file_hash(path) == kept["sha256"]
        return Remembered(path) if whole else None

    def keep(self, name: str, key: str, result: bytes) -> Remembered:
        """Write a result, and note that it is there."""
        folder = self._run.folder / FOLDER
        path = folder / f"{key[:32]}.npz"
        try:
            folder.mkdir(exist_ok=True)
            # The journal has its hash: what a crash of the machine leaves of it is seen.
            write_whole(path, result, durable=False)
        except OSError as error:
            message = f'The result of a unit cannot be written to "{path}": {error.strerror}.'
            raise OutputError(message, "Make room and resume the run.") from error
        digest = hashlib.sha256(result).hexdigest()
        self._run.record(name, key, {"file": f"{FOLDER}/{path.name}", "sha256": digest})
        return Remembered(path)
