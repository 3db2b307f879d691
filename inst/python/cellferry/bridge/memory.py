"""Vectors of the R that Python runs in, as arrays of the same memory.

R gives the address of a vector, and its own functions say where the values are. Nothing keeps
the vector alive but R: it must keep the vector until no thread reads the arrays any more.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from ..errors import InternalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["real", "integer"]

_TYPES: dict[Kind, tuple[int, str, type[ctypes.c_double] | type[ctypes.c_int]]] = {
    "real": (14, "REAL_RO", ctypes.c_double),
    "integer": (13, "INTEGER_RO", ctypes.c_int),
}
"""Number of the type (Rinternals.h), the function that says where the values are, what they are."""


@functools.cache
def _functions_of_r() -> dict[str, Callable[[int], int]] | None:
    """Return what is called of the R in this process; None if there is no R or none is seen."""
    results: dict[str, type[ctypes.c_int | ctypes.c_ssize_t | ctypes.c_void_p]]
    results = {"TYPEOF": ctypes.c_int, "Rf_xlength": ctypes.c_ssize_t}
    results |= {name: ctypes.c_void_p for _, name, _ in _TYPES.values()}
    found: dict[str, Callable[[int], int]] = {}
    try:
        # Keeps Python's lock, because R may only be called by one thread at a time.
        library = ctypes.PyDLL(None)
        for name, result in results.items():
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.c_void_p], result
            found[name] = function
    except (AttributeError, OSError, TypeError):
        return None
    return found


def in_this_process(pid: int) -> bool:
    """Whether the R with this process id is the one of this process, and its functions are seen."""
    return pid == os.getpid() and _functions_of_r() is not None


@overload
def vector(address: str, kind: Literal["real"], length: int) -> NDArray[np.float64]: ...


@overload
def vector(address: str, kind: Literal["integer"], length: int) -> NDArray[np.int32]: ...


def vector(address: str, kind: Kind, length: int) -> NDArray[np.float64] | NDArray[np.int32]:
    """Return a vector of R as a read-only array of the same memory.

    Call it in the thread that R called, while R waits.

    Parameters
    ----------
    address
        As ``rlang::obj_address()`` says it: hexadecimal.
    kind, length
        What the vector must be.

    Raises
    ------
    InternalError
        There is no R in this process, or the vector is another one.
    """
    r = _functions_of_r()
    if r is None:
        message = "There is no R in this process whose memory can be read."
        raise InternalError(message)
    number, function, item = _TYPES[kind]
    place = int(address, 16)
    # Asked first: R's own error would jump over Python.
    found, size = r["TYPEOF"](place), r["Rf_xlength"](place)
    if (found, size) != (number, length):
        message = f"A vector of R is of type {found} and length {size}, not {number} and {length}."
        raise InternalError(message)
    if length == 0:
        return np.empty(0, np.dtype(item))
    values = (item * length).from_address(r[function](place))
    array: NDArray[np.float64] | NDArray[np.int32] = np.ctypeslib.as_array(values)
    array.flags.writeable = False
    return array
