"""A matrix in a file, opened by another process than the one that found it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .matrix import MatrixSource
from .origin import Origin, check_same


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
    from anndata.io import sparse_dataset

    check_same(origin)
    with h5py.File(origin.path, "r") as file:
        item = file[origin.place]
        matrix = item if isinstance(item, h5py.Dataset) else sparse_dataset(item)
        if origin.columns is None:
            yield MatrixSource(matrix, genes)
        else:
            yield MatrixSource.of_columns(matrix, genes, origin.columns)
