"""Who reads files of R: the bridge does, which stands above, so the package names it here."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import UnsupportedObjectError

Reader = Callable[..., Any]

_readers: dict[str, Reader] = {}


def give_readers(readers: Mapping[str, Reader]) -> None:
    """Say what reads an .rds.

    Parameters
    ----------
    readers
        What is done with the file, ``annotate`` or ``artifacts``, -> what does it.
    """
    _readers.update(readers)


def reader_of_r(purpose: str, path: str | os.PathLike[str]) -> Reader:
    """Return what reads an .rds.

    Parameters
    ----------
    purpose
        ``annotate`` or ``artifacts``.
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
