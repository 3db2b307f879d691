"""What R has opened here and not closed yet, each under a handle of its own.

R says a handle and never has what it stands for: requests, marker tables, studies, builds.
"""

from __future__ import annotations

import secrets
from typing import TypeVar

from ..errors import InternalError

_kept: dict[str, object] = {}
_T = TypeVar("_T")


def keep(thing: object, handle: str | None = None) -> str:
    """Keep something and return its handle; of a given handle it takes the place.

    Examples
    --------
    >>> handle = keep(["CD3E"])
    >>> kept(handle, list)
    ['CD3E']
    >>> take(handle, list)
    ['CD3E']
    >>> drop(handle) is None
    True
    """
    handle = handle or secrets.token_hex(8)
    _kept[handle] = thing
    return handle


def kept(handle: str, kind: type[_T]) -> _T:
    """Return what is kept under a handle.

    Raises
    ------
    InternalError
        Nothing is, or something of another kind.
    """
    found = _kept.get(handle)
    if not isinstance(found, kind):
        message = f'No {kind.__name__} is open under the handle "{handle}".'
        raise InternalError(message)
    return found


def take(handle: str, kind: type[_T]) -> _T:
    """Return what is kept under a handle, as :func:`kept` does, and forget it."""
    found = kept(handle, kind)
    del _kept[handle]
    return found


def drop(handle: str) -> object | None:
    """Forget what is kept under a handle and return it; None if nothing is."""
    return _kept.pop(handle, None)
