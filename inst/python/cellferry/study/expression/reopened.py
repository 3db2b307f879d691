"""A matrix in a file, opened by another process than the one that found it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from .matrix import MatrixSource
from .origin import Origin, check_same
from .stored import StoredMatrix
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

    check_same(origin)
    with _opened(origin) as file:
        item = file[origin.place]
        # A dense matrix has chunks; a sparse one is a group.
        matrix = item if hasattr(item, "chunks") else _sparse(item, origin)
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


def _sparse(group: Any, origin: Origin) -> Any:
    """Return a sparse matrix; only one that is read across what it is compressed by needs anndata.

    Its import takes longer than most units of work.
    """
    found = None
    if origin.form != "zarr":
        with suppress(ValueError):
            found = StoredMatrix(group)
    if found is not None and (found.format == "csr" or origin.columns is None):
        return found
    from anndata.io import sparse_dataset

    return sparse_dataset(group)
