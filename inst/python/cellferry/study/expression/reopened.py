"""A matrix in a file, opened by another process than the one that found it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from .matrix import MatrixSource
from .origin import Origin, check_same
from .zarr_groups import opened_group


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
    from anndata.io import sparse_dataset

    check_same(origin)
    with _opened(origin) as file:
        item = file[origin.place]
        # A dense matrix has chunks; a sparse one is a group.
        matrix = item if hasattr(item, "chunks") else sparse_dataset(item)
        if origin.columns is None:
            yield MatrixSource(matrix, genes)
        else:
            yield MatrixSource.of_columns(matrix, genes, origin.columns)


def _opened(origin: Origin) -> AbstractContextManager[Any]:
    if origin.form == "zarr":
        return opened_group(origin.path)
    import h5py

    file: AbstractContextManager[Any] = h5py.File(origin.path, "r")
    return file
