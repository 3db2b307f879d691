"""What was labelled, from its path: metadata, embeddings and the record, and no matrices."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..study.inputs.objects import anndata_of, read_metadata
from ..study.inputs.readers import path_of_r, reader_of_r
from .delivery import STORE

if TYPE_CHECKING:
    import anndata

Given = TypeVar("Given")


def labelled(
    data: Given | str | os.PathLike[str], coordinates_key: str | None = None
) -> Given | anndata.AnnData:
    """Return what is labelled: of a path an AnnData without matrices, anything else as it is.

    Parameters
    ----------
    data
        A labelled object, annotations, or the path of an .h5ad, a zarr folder or an .rds.
    coordinates_key
        The embedding that is to be read of an .rds; None is the one that R would draw.

    Raises
    ------
    InputError
        There is no such file, or it cannot be read.
    UnsupportedObjectError
        What is in it has no cells.

    Examples
    --------
    >>> labelled("/no/such/file.h5ad")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    cellferry.errors.InputError: There is no file "/no/such/file.h5ad".
    """
    if not isinstance(data, str | os.PathLike):
        found: anndata.AnnData = anndata_of(data)
        return found
    path = path_of_r(data)
    if path is not None:
        of_r: anndata.AnnData = reader_of_r("annotations", path)(path, coordinates_key)
        return of_r
    return read_metadata(Path(data).expanduser(), [STORE])
