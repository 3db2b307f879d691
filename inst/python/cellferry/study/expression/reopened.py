"""A matrix in a file, opened by another process than the one that found it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

from .matrix import MatrixSource
from .origin import OF_10X, STACKED, Origin, check_same
from .stacked import StackedMatrix
from .stored import StoredMatrix
from .tenx import CountsOf10x
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
    with ExitStack() as opened:
        yield _source(origin, genes, opened)


def _source(origin: Origin, genes: Sequence[str], opened: ExitStack) -> MatrixSource:
    matrix = _matrix(origin, opened)
    if origin.columns is None:
        return MatrixSource(matrix, genes or [""] * int(matrix.shape[1]))
    return MatrixSource.of_columns(matrix, genes or [""] * len(origin.columns), origin.columns)


def _matrix(origin: Origin, opened: ExitStack) -> Any:
    if origin.form == STACKED:
        return StackedMatrix([_source(part, (), opened) for part in origin.parts])
    file = opened.enter_context(_opened(origin))
    if origin.form == OF_10X:
        return CountsOf10x([file[name] for name in origin.place.split("/")], None)
    item = file[origin.place]
    # A dense matrix has chunks; a sparse one is a group.
    return item if hasattr(item, "chunks") else _sparse(item, origin)


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
