"""Reading an HDF5 file that anybody may have made.

Refused: links that lead to another file or place, datasets stored in other files (external
storage, virtual datasets), and datasets whose declared size their stored bytes cannot fill.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ArtifactFormatError
from ..packages import check_packages

if TYPE_CHECKING:
    import h5py

MOST_COMPRESSION = 1100
"""No filter of the two flavours compresses more: deflate reaches 1032, LZ4 and Blosc 255."""
MOST_CHUNK = 1 << 30
"""Bytes of one chunk; the published writers stay below 40 MB."""
CACHE = 128 << 20
"""Two of the largest published chunks, so that neighbouring genes are decompressed once."""
KNOWN_FILTERS = {1, 2, 3, 32001, 32004}
"""Deflate, shuffle, checksum, Blosc, LZ4. Others may run code that nobody expects."""


def open_file(path: Path) -> h5py.File:
    """Open a file to read; raises :class:`ArtifactFormatError` if it is no HDF5 file."""
    import h5py

    check_packages()
    import hdf5plugin  # noqa: F401 - registers LZ4 and Blosc

    try:
        return h5py.File(path, "r", rdcc_nbytes=CACHE)
    except OSError as error:
        message = f'"{path}" cannot be opened as HDF5: {error}'
        raise ArtifactFormatError(message, "Check the path and the file.") from error


def group_of(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group that is really in the file.

    Raises
    ------
    ArtifactFormatError
        There is none, or it is not safe to read.
    """
    import h5py

    found = _within(parent, name)
    if not isinstance(found, h5py.Group):
        message = f'"{_path(parent, name)}" is no group, and vars.h5 has one there.'
        raise ArtifactFormatError(message)
    return found


def safe_dataset(parent: h5py.Group, name: str, kinds: str = "iufbOS") -> h5py.Dataset:
    """Return a one-dimensional dataset that is really in the file, and as large as it says.

    Parameters
    ----------
    kinds
        Kinds of NumPy types that are expected.

    Raises
    ------
    ArtifactFormatError
        There is none, or it is not safe to read.
    """
    import h5py

    found, where = _within(parent, name), _path(parent, name)
    if not isinstance(found, h5py.Dataset) or found.ndim != 1:
        message = f'"{where}" is no one-dimensional dataset, and vars.h5 has one there.'
        raise ArtifactFormatError(message)
    if found.dtype.kind not in kinds or (
        found.dtype.kind == "O" and h5py.check_string_dtype(found.dtype) is None
    ):
        message = f'"{where}" is of type {found.dtype}, which does not belong there.'
        raise ArtifactFormatError(message)
    properties = found.id.get_create_plist()
    if found.is_virtual or properties.get_external_count():
        message = f'"{where}" is stored outside of the file, and is not read.'
        raise ArtifactFormatError(message, "Only files that contain all their data are safe.")
    filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
    if filters - KNOWN_FILTERS:
        message = f'"{where}" uses the filters {sorted(filters)}, of which some are not known.'
        raise ArtifactFormatError(message)
    _check_size(found, where)
    return found


def attribute(group: h5py.Group, name: str) -> int:
    """Return a whole number from 0; both flavours' widths and shapes are read.

    Raises
    ------
    ArtifactFormatError
        There is none, or it is no such number.
    """
    values = np.asarray(group.attrs.get(name, ()))
    if values.size != 1 or values.dtype.kind not in "iu" or int(values.ravel()[0]) < 0:
        message = f'"{group.name}" has no whole number "{name}", so this is no vars.h5.'
        raise ArtifactFormatError(message)
    return int(values.ravel()[0])


def _within(parent: h5py.Group, name: str) -> h5py.Group | h5py.Dataset:
    import h5py

    link = parent.get(name, getlink=True) if name in parent.keys() else None  # noqa: SIM118
    if link is None:
        message = f'There is no "{_path(parent, name)}", so this is no vars.h5.'
        raise ArtifactFormatError(message)
    if not isinstance(link, h5py.HardLink):
        message = f'"{_path(parent, name)}" is a link to another place, and is not followed.'
        raise ArtifactFormatError(message, "Only files that contain all their data are safe.")
    return parent[name]


def _path(parent: h5py.Group, name: str) -> str:
    return f"{parent.name.rstrip('/')}/{name}"


def _check_size(dataset: h5py.Dataset, where: str) -> None:
    declared = int(dataset.size or 0) * dataset.dtype.itemsize
    stored = int(dataset.id.get_storage_size())
    if dataset.chunks is None:
        possible = declared <= stored
    else:
        chunk = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
        possible = chunk <= MOST_CHUNK and declared <= stored * MOST_COMPRESSION
    if not possible:
        message = f'"{where}" declares {declared} bytes, and {stored} are stored.'
        raise ArtifactFormatError(message, "The file is damaged, or was made to do harm.")
