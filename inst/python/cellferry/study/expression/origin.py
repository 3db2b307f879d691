"""Where the values of a source are in a file, so that another process can open it by itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError

LOOKED_AT = 64
"""Pieces of a file that its fingerprint is of."""
PIECE = 4096


@dataclass(frozen=True)
class Origin:
    """A matrix in a file.

    Attributes
    ----------
    path
        Of the file, absolute.
    place
        Name of the matrix in it, such as ``/layers/counts``.
    fingerprint
        Of the file, whatever its path; see :func:`fingerprint_of`.
    columns
        Which columns are wanted, in their order; None is all.
    """

    path: str
    place: str
    fingerprint: str
    columns: tuple[int, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    def determining(self) -> dict[str, Any]:
        """Return what determines the values: all but the path."""
        return {name: value for name, value in self.to_dict().items() if name != "path"}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Origin:
        """Read what :meth:`to_dict` wrote."""
        columns = given.get("columns")
        return cls(
            str(given["path"]),
            str(given["place"]),
            str(given["fingerprint"]),
            None if columns is None else tuple(columns),
        )


def origin_of(matrix: Any, columns: Iterable[int] | None = None) -> Origin | None:
    """Return where a matrix is; None of one in memory, or in what cannot be opened by a path.

    Parameters
    ----------
    matrix
        A dataset of h5py, or a sparse matrix of anndata that is backed by one.
    columns
        Which of its columns are wanted; None is all.
    """
    item: Any = getattr(matrix, "group", matrix)
    path = getattr(getattr(item, "file", None), "filename", None)
    if not isinstance(path, str) or not Path(path).is_file():
        return None
    found = Path(path).resolve()
    wanted = None if columns is None else tuple(map(int, columns))
    return Origin(str(found), str(item.name), fingerprint_of(found), wanted)


def fingerprint_of(path: Path) -> str:
    """Return a hash of the size of a file and of pieces spread over it.

    A copy on another disk has the same; reading it takes a moment, also of 100 GB.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(str(size).encode())
        for number in range(LOOKED_AT):
            file.seek(max(0, (size - PIECE) * number // (LOOKED_AT - 1)))
            digest.update(file.read(PIECE))
    return digest.hexdigest()


def check_same(origin: Origin) -> None:
    """Raise :class:`InputError` unless the file is there and is the one that was meant."""
    path = Path(origin.path)
    try:
        found = fingerprint_of(path)
    except OSError as error:
        message = f'The file "{path}" cannot be read here: {error.strerror}.'
        hint = "Workers open it by its path: put it where all of them see it under this name."
        raise InputError(message, hint, path=str(path)) from error
    if found != origin.fingerprint:
        message = f'The file "{path}" is another one here than where the work was begun.'
        raise InputError(message, "Copy it again, or use a disk that all share.", path=str(path))
