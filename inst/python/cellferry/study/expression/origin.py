"""Where the values of a source are in a file, so that another process can open it by itself."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError
from .zarr_groups import fingerprint_of_group, is_address, opened_group, place_of_group

LOOKED_AT = 64
"""Pieces of a file that its fingerprint is of."""
PIECE = 4096
OF_10X = "10x"
STACKED = "stacked"
"""Forms that are no matrix of anndata."""


@dataclass(frozen=True)
class Origin:
    """A matrix in a file.

    Attributes
    ----------
    path
        Of the file, absolute; of zarr that of the folder, or its address.
    place
        Name of the matrix in it, such as ``/layers/counts``; of 10x those of its groups.
    fingerprint
        Of the file, whatever its path; see :func:`fingerprint_of`.
    columns
        Which columns are wanted, in their order; None is all.
    form
        ``hdf5``, ``zarr``, :data:`OF_10X` or :data:`STACKED`.
    parts
        Of what is ``stacked``, which has no path: where the matrices are whose cells follow each
        other.
    """

    path: str
    place: str
    fingerprint: str
    columns: tuple[int, ...] | None = None
    form: str = "hdf5"
    parts: tuple[Origin, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Those of all its files."""
        return tuple(p for part in self.parts for p in part.paths) if self.parts else (self.path,)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    def determining(self) -> dict[str, Any]:
        """Return what determines the values: all but the path."""
        found = {name: value for name, value in self.to_dict().items() if name != "path"}
        return {**found, "parts": [part.determining() for part in self.parts]}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Origin:
        """Read what :meth:`to_dict` wrote."""
        columns = given.get("columns")
        return cls(
            str(given["path"]),
            str(given["place"]),
            str(given["fingerprint"]),
            None if columns is None else tuple(columns),
            str(given.get("form", "hdf5")),
            tuple(cls.from_dict(part) for part in given.get("parts", ())),
        )


def origin_of(matrix: Any, columns: Iterable[int] | None = None) -> Origin | None:
    """Return where a matrix is; None of one in memory, or in what cannot be opened by a path.

    Parameters
    ----------
    matrix
        A dataset of h5py or an array of zarr, a sparse matrix of anndata that is backed by one,
        or what knows its own origin.
    columns
        Which of its columns are wanted; None is all.
    """
    wanted = None if columns is None else tuple(map(int, columns))
    if hasattr(matrix, "origin"):
        found: Origin | None = matrix.origin(wanted)
        return found
    item: Any = getattr(matrix, "group", matrix)
    if type(item).__module__.partition(".")[0] == "zarr":
        place = place_of_group(item)
        if place is None:
            return None
        return Origin(place, str(item.path), fingerprint_of_group(item), wanted, "zarr")
    path = file_of(item)
    if path is None:
        return None
    return Origin(str(path), str(item.name), fingerprint_of(path), wanted)


def file_of(item: Any) -> Path | None:
    """Return the file of a group or dataset of h5py; None of one that is in none."""
    name = getattr(getattr(item, "file", None), "filename", None)
    return Path(name).resolve() if isinstance(name, str) and Path(name).is_file() else None


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
    """Raise :class:`InputError` unless each file is there and is the one that was meant."""
    for part in origin.parts:
        check_same(part)
    if origin.parts:
        return
    if origin.form == "zarr":
        _check_same_zarr(origin.path, origin.place, origin.fingerprint)
        return
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


@functools.lru_cache(maxsize=64)
def _check_same_zarr(path: str, place: str, fingerprint: str) -> None:
    """Look once in each process: at an address it takes as many requests as there are pieces."""
    if not is_address(path) and not Path(path).is_dir():
        message = f'There is no folder "{path}" here.'
        hint = "Workers open it by its path: put it where all of them see it under this name."
        raise InputError(message, hint, path=path)
    with opened_group(path) as group:
        if place not in group:
            message = f'There is no "{place}" in "{path}" here.'
            raise InputError(message, "Is it the same object?", path=path)
        found = fingerprint_of_group(group[place])
    if found != fingerprint:
        message = f'What is in "{path}" is another object here than where the work was begun.'
        raise InputError(message, "Copy it again, or give an address.", path=path)
