"""Files that workers leave for others in the folder of a run, and whether they are still whole."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import OutputError
from ...files import file_hash, replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_piece(path: Path, parts: Iterable[memoryview]) -> dict[str, NDArray[Any]]:
    """Write a file, and return by what :func:`is_whole` knows it: its size and its SHA-256.

    Nobody waits until it is on the disk: most are read and removed before. Where the machine stops,
    the sum shows it.

    Parameters
    ----------
    path
        The file that is made or replaced.
    parts
        Bytes, one after the other.

    Raises
    ------
    OutputError
        It cannot be written.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "x.bin"
    >>> known = write_piece(path, [memoryview(b"ab"), memoryview(b"c")])
    >>> known["size"].tolist(), is_whole(path, known)
    ([3], True)
    """
    digest, size = hashlib.sha256(), 0
    try:
        with replacing(path, durable=False) as partial, partial.open("wb", buffering=0) as file:
            for part in parts:
                digest.update(part)
                size += part.nbytes
                left = part.cast("B")
                while left:
                    left = left[file.write(left) :]
    except OSError as error:
        message = f'The piece "{path}" cannot be written: {error.strerror}.'
        raise OutputError(message, "Make room, or set CELLFERRY_HOME to a larger disk.") from error
    return {"size": np.array([size]), "sum": np.frombuffer(digest.digest(), np.uint8)}


def is_whole(path: Path, known: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether a file is there, and is what was written.

    Parameters
    ----------
    path
        The file.
    known
        What :func:`write_piece` returned.
    """
    if not path.is_file() or path.stat().st_size != int(known["size"][0]):
        return False
    return file_hash(path) == known["sum"].tobytes().hex()


def remove_beside(folder: Path) -> threading.Thread:
    """Remove a folder in a thread, which is joined by whoever must know that it is gone.

    Parameters
    ----------
    folder
        Nobody reads it any more; it may not be there.
    """
    thread = threading.Thread(
        target=shutil.rmtree, args=(folder,), kwargs={"ignore_errors": True},
        name="cellferry-remove", daemon=True,
    )  # fmt: skip
    thread.start()
    return thread
