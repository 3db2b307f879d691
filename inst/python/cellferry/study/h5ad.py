"""An .h5ad with its matrices left in the file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from .expression.source import Matrix
from .layers import OpenH5ad, OpenRaw, is_named_layer


@contextmanager
def open_h5ad(path: Path, uns: Collection[str] = ()) -> Iterator[OpenH5ad]:
    """Yield ``X``, ``raw``, ``layers``, ``obs``, ``var``, ``obsm`` and ``uns`` of an .h5ad.

    Metadata and embeddings are read; matrices stay in the file, which is closed at the end.
    Layers are those that may be expression, see :mod:`cellferry.study.layers`. anndata's own
    backed mode reads all layers and leaves only X in the file.

    Parameters
    ----------
    path
        The file.
    uns
        What is read of ``uns``.

    Raises
    ------
    InputError
        It cannot be read, or is no .h5ad.
    """
    import h5py
    from anndata.io import read_elem

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        message = f'"{path}" cannot be read as .h5ad: {error}'
        raise InputError(message, "Check the path and the file.") from error
    with file:
        try:
            layers, stored = file.get("layers", {}), file.get("uns", {})
            raw = None
            if "raw" in file:
                raw = OpenRaw(X=_left(file["raw/X"]), var=read_elem(file["raw/var"]))
            opened = OpenH5ad(
                X=_left(file["X"]) if "X" in file else None,
                obs=read_elem(file["obs"]),
                var=read_elem(file["var"]),
                obsm={key: read_elem(item) for key, item in file.get("obsm", {}).items()},
                layers={key: _left(layers[key]) for key in layers if is_named_layer(key)},
                uns={key: read_elem(stored[key]) for key in uns if key in stored},
                raw=raw,
            )
        except (AttributeError, KeyError, ValueError, TypeError) as error:
            message = f'"{path}" cannot be read as .h5ad: {error}'
            raise InputError(message, "Write it again with adata.write_h5ad().") from error
        yield opened


def _left(item: Matrix) -> Matrix:
    """Return a matrix that stays in its file: sparse, or a dense dataset."""
    import h5py
    from anndata.io import sparse_dataset

    return item if isinstance(item, h5py.Dataset) else sparse_dataset(item)
