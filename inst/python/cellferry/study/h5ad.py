"""An .h5ad: opened with its matrices left in the file, read whole, and written again."""

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


@contextmanager
def left_h5ad(path: Path) -> Iterator[anndata.AnnData]:
    """Yield the AnnData of an .h5ad whose ``X``, ``layers`` and ``raw`` stay in the file.

    All else is read. The file is closed at the end; :func:`write_left` writes such an object. A
    file that anndata cannot read so is read whole.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        It cannot be read, or is no .h5ad.
    """
    import h5py

    with _unreadable(path):
        is_marked = _is_marked(path)
    if not is_marked:
        yield read_h5ad(path)
        return
    with h5py.File(path, "r") as file:
        with _unreadable(path):
            made = _with_matrices_left(file)
        yield made


def _with_matrices_left(file: Any) -> anndata.AnnData:
    import anndata
    from anndata.io import read_elem

    def read(name: str) -> Any:
        return read_elem(file[name]) if name in file else {}

    made = anndata.AnnData(
        _left_or_read(file["X"]) if "X" in file else None,
        obs=read("obs"),
        var=read("var"),
        uns=read("uns"),
        **{name: read(name) for name in ("obsm", "varm", "obsp", "varp")},
        layers={key: _left_or_read(item) for key, item in file.get("layers", {}).items()},
    )
    if "raw" in file:
        # What its setter does, which knows no matrix of a file.
        made._raw = anndata.Raw(
            made,
            X=_left_or_read(file["raw/X"]),
            var=read("raw/var"),
            varm=read("raw/varm"),
        )
    return made


_SAME = {("csr_matrix", "0.1.0"), ("array", "0.2.0")}
"""Encodings of matrices that anndata writes as it reads them, and that have rows to be read."""


def _left_or_read(item: Any) -> Any:
    from anndata.io import read_elem

    encoding = tuple(str(item.attrs.get(f"encoding-{name}")) for name in ("type", "version"))
    return _left(item) if encoding in _SAME else read_elem(item)


def _place_of(matrix: object) -> Any:
    """Return the group or dataset of a matrix that is in a file, None of any other."""
    import h5py

    if isinstance(matrix, h5py.Dataset):
        return matrix
    found = getattr(matrix, "group", None)
    return found if isinstance(found, h5py.Group) else None


def bytes_in_file(matrix: object) -> int | None:
    """Return the bytes of a matrix that is in a file; None of one in memory."""
    import h5py

    place = _place_of(matrix)
    if place is None:
        return None
    parts = [place] if isinstance(place, h5py.Dataset) else list(place.values())
    return sum(int(part.id.get_storage_size()) for part in parts)


def write_left(file: Any, adata: anndata.AnnData) -> None:
    """Write an AnnData into an open file; matrices that are in a file are copied, never read.

    Parameters
    ----------
    file
        Of h5py, empty.
    adata
        As :func:`left_h5ad` yields it, or in memory.
    """
    from anndata.experimental import write_dispatched

    def write(usual: Any, store: Any, key: str, elem: Any, **more: Any) -> None:
        place = _place_of(elem)
        if place is None:
            usual(store, key, elem, dataset_kwargs=more["dataset_kwargs"])
        else:
            place.parent.copy(place, store, name=key)

    write_dispatched(file, "/", adata, callback=write)


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
