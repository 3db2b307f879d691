"""A matrix in a file, opened by another process than the one that found it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .matrix import MatrixSource
from .origin import Origin, check_same
from .stored import StoredMatrix

if TYPE_CHECKING:
    import h5py


@contextmanager
def opened_origin(origin: Origin, genes: tuple[str, ...]) -> Iterator[MatrixSource]:
    """Yield the source of a matrix in a file, which is closed after.

    Parameters
    ----------
    origin
        Where it is.
    genes
        Names of the columns that are wanted.

    Raises
    ------
    InputError
        It cannot be read, or is another file.
    """
    import h5py

    check_same(origin)
    with h5py.File(origin.path, "r") as file:
        item = file[origin.place]
        matrix = item if isinstance(item, h5py.Dataset) else _sparse(item, origin)
        if origin.columns is None:
            yield MatrixSource(matrix, genes)
        else:
            yield MatrixSource.of_columns(matrix, genes, origin.columns)


def _sparse(group: h5py.Group, origin: Origin) -> Any:
    """Return a sparse matrix; only one that is read across what it is compressed by needs anndata.

    Its import takes longer than most units of work.
    """
    try:
        found = StoredMatrix(group)
    except ValueError:
        found = None
    if found is not None and (found.format == "csr" or origin.columns is None):
        return found
    from anndata.io import sparse_dataset

    return sparse_dataset(group)
