"""R's vectors as numpy arrays without a copy, and numpy arrays as R's vectors with one.

``np.asarray(vector)`` of rpy2 does not keep the R object alive: after R's next garbage
collection the array reads freed memory. The views made here keep it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .session import RObject, r_lock

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

DTYPES: dict[str, np.dtype[np.number]] = {
    "double": np.dtype("f8"),
    "integer": np.dtype("i4"),
    "logical": np.dtype("i4"),
    "raw": np.dtype("u1"),
}
"""Type of an R vector -> dtype of its memory. A logical is 0, 1, or the integer NA."""

INTEGER_NA = np.iinfo(np.int32).min
"""R's missing integer and missing logical."""


class _VectorMemory:
    """The memory of one R vector; as the ``base`` of an array it keeps the vector alive."""

    def __init__(
        self, vector: RObject, pointer: int, dtype: np.dtype[np.number], writeable: bool
    ) -> None:
        self._vector = vector
        self.__array_interface__ = {
            "shape": (len(vector),),
            "typestr": dtype.str,
            "data": (pointer, not writeable),
            "version": 3,
        }


def view(vector: RObject) -> NDArray[np.number]:
    """Return the memory of an R vector as a read-only array that keeps the vector alive.

    R does not change a vector that something else refers to, so neither side sees the other
    change it.

    Parameters
    ----------
    vector
        A double, integer, logical or raw vector of rpy2.

    Returns
    -------
    1-D array of float64, int32 (integer and logical) or uint8.
    """
    return _view(vector, writeable=False)


def _view(vector: RObject, *, writeable: bool) -> NDArray[np.number]:
    with r_lock() as rinterface:
        dtype = DTYPES[_type(vector, rinterface)]
        if not len(vector):
            return np.empty(0, dtype)
        ffi = rinterface.openrlib.ffi
        pointer = int(ffi.cast("uintptr_t", vector._R_GET_PTR(vector.__sexp__._cdata)))
        return np.asarray(_VectorMemory(vector, pointer, dtype, writeable))


def _type(vector: RObject, rinterface: ModuleType) -> str:
    kinds = (
        (rinterface.FloatSexpVector, "double"),
        (rinterface.IntSexpVector, "integer"),
        (rinterface.BoolSexpVector, "logical"),
        (rinterface.ByteSexpVector, "raw"),
    )
    for cls, name in kinds:
        if isinstance(vector, cls):
            return name
    message = f"An R vector of class {type(vector).__name__} has no numbers to look at."
    raise TypeError(message)


def new_vector(values: NDArray[np.number], kind: str) -> RObject:
    """Return a new R vector with these values, converted on the way into R's memory.

    One pass over the values, whatever their dtype; rpy2 itself goes through a Python loop for
    everything but float64 and int32.

    Parameters
    ----------
    values
        1-D array. The caller has checked that the values fit.
    kind
        ``double``, ``integer``, ``logical`` (0, 1 or :data:`INTEGER_NA`) or ``raw``.
    """
    with r_lock() as rinterface:
        classes = {
            "double": rinterface.FloatSexpVector,
            "integer": rinterface.IntSexpVector,
            "logical": rinterface.BoolSexpVector,
            "raw": rinterface.ByteSexpVector,
        }
        rlib = rinterface.openrlib.rlib
        with rinterface.memorymanagement.rmemory() as memory:
            made = memory.protect(rlib.Rf_allocVector(classes[kind]._R_TYPE, len(values)))
            vector = rinterface.conversion._cdata_to_rinterface(made)
        np.copyto(_view(vector, writeable=True), values, casting="unsafe")
        return vector
