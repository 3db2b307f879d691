"""Who reads files of R: the bridge does, which stands above, so the package names it here."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...errors import InvalidOptionError, UnsupportedObjectError
from .kinds import file_kind

Reader = Callable[..., Any]

PURPOSES = (
    "annotate",
    "annotations",
    "artifacts",
    "companion",
    "consensus",
    "markers",
    "page",
    "pseudobulk",
    "reference",
    "report",
    "review",
    "several",
    "singler",
)

_readers: dict[str, Reader] = {}


def give_readers(readers: Mapping[str, Reader]) -> None:
    """Say what reads an .rds.

    Parameters
    ----------
    readers
        What is done with the file, one of :data:`PURPOSES`, -> what does it.
    """
    _readers.update(readers)


def give_readers_of(module: str) -> None:
    """Say which module has the readers, as ``READERS``; it is imported when one is called.

    Parameters
    ----------
    module
        Its whole name.
    """

    def reader(purpose: str) -> Reader:
        def read(*arguments: Any, **options: Any) -> Any:
            return importlib.import_module(module).READERS[purpose](*arguments, **options)

        return read

    give_readers({purpose: reader(purpose) for purpose in PURPOSES})


def reader_of_r(purpose: str, path: str | os.PathLike[str]) -> Reader:
    """Return what reads an .rds.

    Parameters
    ----------
    purpose
        One of :data:`PURPOSES`.
    path
        For the message.

    Raises
    ------
    UnsupportedObjectError
        Nobody does: the verb was not taken from the package.
    """
    if purpose not in _readers:
        message = f'"{path}" is an R object (.rds), which is read by R.'
        raise UnsupportedObjectError(message, "Take the verb from the package: import cellferry")
    return _readers[purpose]


def path_of_r(data: object, assay: str | None = None) -> Path | None:
    """Return the path of an .rds; None for any other path, and for what is no path.

    Parameters
    ----------
    data
        What was given in the place of an object.
    assay
        The assay that is to be read of it, which only an .rds has.

    Raises
    ------
    InvalidOptionError
        An assay was asked for of something else.
    InputError
        It is there and cannot be opened.

    Examples
    --------
    >>> path_of_r("/no/such/file.rds") is None
    True
    """
    if isinstance(data, str | os.PathLike) and file_kind(data).is_of_r:
        return Path(data).expanduser()
    if assay is not None:
        message = "`assay` is for an .rds, and this is none."
        raise InvalidOptionError(message, "Leave it out: an AnnData has one matrix of values.")
    return None
