"""Sums by gene and group, and the gene of each value, in loops of SciPy that let threads run.

NumPy's ``bincount()`` and ``repeat()`` do the same, and hold the interpreter's lock meanwhile.
SciPy's public ``coo_matrix`` is built on the same loops, and takes as long to look at its arguments
as to add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Number = TypeVar("_Number", np.float64, np.int32)


def summed(
    values: NDArray[_Number],
    gene: NDArray[np.int32],
    codes: NDArray[np.int32],
    shape: tuple[int, int],
) -> NDArray[_Number]:
    """Return the sums of values by gene and group, in the order of the values.

    Parameters
    ----------
    values
        Added up in their own type.
    gene, codes
        Row and column of each, within the shape: this is not looked at.
    shape
        Genes x groups.

    Examples
    --------
    >>> place = np.array([0, 0, 1], np.int32), np.array([1, 1, 0], np.int32)
    >>> summed(np.array([1.0, 2.0, 4.0]), *place, (2, 2)).tolist()
    [[0.0, 3.0], [4.0, 0.0]]
    """
    found: NDArray[_Number] = np.zeros(shape, values.dtype)
    try:
        # What coo_matrix.toarray() calls.
        from scipy.sparse._sparsetools import coo_todense
    except ImportError:
        np.add.at(found, (gene, codes), values)
        return found
    coo_todense(*shape, len(values), gene, codes, values, found.ravel(), 0)
    return found


def expanded(pointers: NDArray[np.int32], into: NDArray[np.int32]) -> NDArray[np.int32]:
    """Write to each place the number of the run that it is in, and return them.

    Parameters
    ----------
    pointers
        Where each run begins, and last where the last one ends.
    into
        As long as all runs.

    Examples
    --------
    >>> expanded(np.array([0, 2, 2, 3], np.int32), np.empty(3, np.int32)).tolist()
    [0, 0, 2]
    """
    n = len(pointers) - 1
    try:
        # What tocoo() calls.
        from scipy.sparse._sparsetools import expandptr
    except ImportError:
        into[:] = np.repeat(np.arange(n, dtype=np.int32), np.diff(pointers))
        return into
    expandptr(n, pointers, into)
    return into
