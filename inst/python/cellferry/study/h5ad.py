"""An .h5ad: opened with its matrices left in the file, or read whole."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .expression.source import Matrix
from .inputs.old_h5ad import read_embeddings, read_table, read_uns
from .layers import OpenH5ad, OpenRaw, is_named_layer

if TYPE_CHECKING:
    import anndata


@contextmanager
def open_h5ad(path: Path, uns: Collection[str] = ()) -> Iterator[OpenH5ad]:
    """Yield ``X``, ``raw``, ``layers``, ``obs``, ``var``, ``obsm`` and ``uns`` of an .h5ad.

    Metadata and embeddings are read; matrices stay in the file, which is closed at the end.
    Layers are those that may be expression, see :mod:`cellferry.study.layers`. anndata's own
    backed mode reads all layers and leaves only X in the file. Files of anndata 0.6 and before
    and of SeuratDisk are read too.

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

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        message = f'"{path}" cannot be read as .h5ad: {error}'
        raise InputError(message, "Check the path and the file.") from error
    with file:
        with _unreadable(path):
            opened = _opened(file, uns)
        yield opened


def _opened(file: Any, uns: Collection[str]) -> OpenH5ad:
    layers, stored = file.get("layers", {}), file.get("uns", {})
    raw = next((r for r in (("raw/X", "raw/var"), ("raw.X", "raw.var")) if r[0] in file), None)
    obs, var = read_table(file["obs"], stored), read_table(file["var"], stored)
    return OpenH5ad(
        X=_left(file["X"]) if "X" in file else None,
        obs=obs,
        var=var,
        obsm=read_embeddings(file["obsm"]) if "obsm" in file else {},
        layers={key: _left(layers[key]) for key in layers if is_named_layer(key)},
        uns={key: read_uns(stored[key]) for key in uns if key in stored},
        raw=None if raw is None else OpenRaw(_left(file[raw[0]]), read_table(file[raw[1]], stored)),
    )


def read_h5ad(path: Path) -> anndata.AnnData:
    """Read an .h5ad whole, of any version of anndata or of SeuratDisk.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        It cannot be read, or is no .h5ad.
    """
    import anndata

    with _unreadable(path):
        if _is_marked(path):
            return anndata.read_h5ad(path)
        return _read_by_parts(path)


def read_graph(path: Path, name: str) -> Any:
    """Read one matrix of cells x cells of ``obsp``; None where there is none of that name.

    Parameters
    ----------
    path
        The file.
    name
        In ``obsp``.

    Raises
    ------
    InputError
        It cannot be read.
    """
    import h5py
    from anndata.io import read_elem

    with _unreadable(path), h5py.File(path, "r") as file:
        graphs = file.get("obsp", {})
        return read_elem(graphs[name]) if name in graphs else None


def _is_marked(path: Path) -> bool:
    """Whether anndata knows the tables of a file for tables; it would take codes for values."""
    import h5py

    with h5py.File(path, "r") as file:
        tables = [file["obs"], file["var"]]
        return all(
            isinstance(table, h5py.Dataset) or table.attrs.get("encoding-type") == "dataframe"
            for table in tables
        )


def _read_by_parts(path: Path) -> anndata.AnnData:
    """Read what anndata cannot: tables that are not marked as such, as of SeuratDisk."""
    import anndata
    import h5py
    from anndata.io import read_elem

    with h5py.File(path, "r") as file:
        opened = _opened(file, list(file.get("uns", ())))
        made = anndata.AnnData(
            read_elem(file["X"]) if "X" in file else None,
            obs=opened.obs,
            var=opened.var,
            uns=dict(opened.uns),
            obsm={k: v for k, v in opened.obsm.items() if getattr(v, "ndim", 0) == 2},
            obsp={key: read_elem(item) for key, item in file.get("obsp", {}).items()},
            layers={key: read_elem(file["layers"][key]) for key in file.get("layers", {})},
        )
        if opened.raw is not None:
            place = "raw/X" if "raw/X" in file else "raw.X"
            made.raw = anndata.AnnData(read_elem(file[place]), obs=opened.obs, var=opened.raw.var)
    return made


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    """Make what h5py and anndata raise on a damaged file one error that names it."""
    try:
        with warnings.catch_warnings():
            # That a file is old is no news to whoever has it.
            for category in (FutureWarning, PendingDeprecationWarning):
                warnings.simplefilter("ignore", category)
            yield
    except InputError:
        raise
    except MemoryError as error:
        message = f'"{path}" does not fit into the memory of this machine, or is damaged: {error}'
        raise InputError(message, "Check the file: h5ls -r in a shell shows its sizes.") from error
    except Exception as error:
        # Not a list of classes: for anything at all may come of a file that somebody renamed.
        message = f'"{path}" cannot be read as .h5ad: {error}'
        raise InputError(message, "Write it again with adata.write_h5ad().") from error


def _left(item: Matrix) -> Matrix:
    """Return a matrix that stays in its file: sparse, or a dense dataset."""
    import h5py
    from anndata.io import sparse_dataset

    return item if isinstance(item, h5py.Dataset) else sparse_dataset(item)
