"""The AnnData in a file or folder: .h5ad, zarr, zipped zarr, and what 10x Genomics writes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import (
    DependencyError,
    GroupMissingError,
    InputError,
    UnsupportedObjectError,
    in_language,
    listing,
)
from ..expression.zarr_groups import opened_group
from ..h5ad import open_h5ad, read_graph, read_h5ad
from ..layers import OpenH5ad
from .kinds import FileKind, file_error, file_kind
from .tenx import opened_10x_folder, opened_10x_h5, read_10x_folder, read_10x_h5
from .zarr_parts import parts_of_group

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from ..layers import AnnDataLike

WANTED = "an object with cells that is read here"


def read_object(path: Path, kind: FileKind | None = None) -> anndata.AnnData:
    """Read an AnnData whole, whatever the file is called.

    Parameters
    ----------
    path
        An .h5ad, a zarr folder (also zipped), or a 10x .h5 or folder, whose genes are named by
        their symbols and which has counts and no clusters.
    kind
        What it is, if that is known.

    Raises
    ------
    InputError
        There is no such file, it cannot be read, or it is something else, which is named.
    DependencyError
        A package that is needed for it is not installed.
    """
    known = kind or file_kind(path)
    if not known.is_anndata:
        raise file_error(path, known, WANTED)
    if known.name == "h5ad":
        return read_h5ad(path)
    with _unreadable(path, known):
        if known.name == "tenx_h5":
            return read_10x_h5(path)
        if known.name == "tenx_folder":
            return read_10x_folder(path)
        return _read_zarr(path, zipped=known.name == "zarr_zip")


@contextmanager
def _unreadable(path: Path, kind: FileKind) -> Iterator[None]:
    """Make what readers raise on a damaged file one error that names it."""
    try:
        yield
    except (InputError, DependencyError):
        raise
    except Exception as error:
        # As for an .h5ad: a damaged file makes its readers raise anything.
        message = f'"{path}", which seems to be {kind.what}, cannot be read: {error}'
        raise InputError(message, "Copy or download it again.") from error


def anndata_of(data: Any) -> Any:
    """Return the AnnData with the genes that is in a MuData or SpatialData; anything else as it is.

    It is the object that is in there, not a copy: what is written into it is in the whole.

    Parameters
    ----------
    data
        Anything. Of a MuData the modality ``rna`` is taken, of a SpatialData its only table.

    Raises
    ------
    UnsupportedObjectError
        There is no ``rna``, or no table, or several tables; names what there is.

    Examples
    --------
    >>> anndata_of({"0": ["CD3D"]})
    {'0': ['CD3D']}
    """
    names = {c.__name__ for c in type(data).__mro__}
    if "MuData" in names:
        return _modality(data)
    return _table(data) if "SpatialData" in names else data


def _modality(data: Any) -> Any:
    names = [str(name) for name in data.mod]
    if "rna" in names:
        return data.mod["rna"]
    message = 'This is a MuData without the modality "rna"'
    message += f": it has {listing(names)}." if names else "."
    hint = "Give the one with the genes in its place"
    raise UnsupportedObjectError(message, f'{hint}: mdata["{names[0]}"]' if names else f"{hint}.")


def _table(data: Any) -> Any:
    names = [str(name) for name in data.tables]
    if len(names) == 1:
        return data.tables[names[0]]
    message = "This is a SpatialData without a table of cells and genes."
    hint = "Aggregate its points or shapes into a table first: sdata.aggregate()."
    if names:
        message = f"This is a SpatialData with several tables: {listing(names)}."
        hint = f'Give the one with the genes in its place: sdata["{names[0]}"]'
    raise UnsupportedObjectError(message, hint)


@contextmanager
def opened_object(path: Path, uns: Collection[str] = ()) -> Iterator[AnnDataLike]:
    """Yield an AnnData of a file, whose matrices stay there until they are read.

    The counts of a 10x folder, which are text, are then put on the disk in the order of cells.

    Parameters
    ----------
    path
        As of :func:`read_object`.
    uns
        What is read of ``uns`` of an .h5ad and of zarr.

    Raises
    ------
    InputError, DependencyError
        As of :func:`read_object`.
    """
    kind = file_kind(path)
    if kind.name == "h5ad" and kind.is_anndata:
        with open_h5ad(path, uns) as opened:
            yield opened
    elif kind.is_anndata and kind.name.startswith("zarr"):
        with _opened_zarr(path, kind, uns) as in_zarr:
            yield in_zarr
    elif kind.name == "tenx_h5":
        with ExitStack() as stack:
            with _unreadable(path, kind):
                of_10x = stack.enter_context(opened_10x_h5(path))
            yield of_10x
    elif kind.name == "tenx_folder":
        with _unreadable(path, kind):
            in_folder = opened_10x_folder(path)
        yield in_folder
    else:
        yield read_object(path, kind)


def read_graph_of(path: Path, name: str) -> Any:
    """Read one matrix of cells x cells of ``obsp``; None where there is none of that name.

    Parameters
    ----------
    path
        As of :func:`read_object`.
    name
        In ``obsp``.

    Raises
    ------
    InputError, DependencyError
        As of :func:`read_object`.
    """
    kind = file_kind(path)
    if kind.name == "h5ad":
        return read_graph(path, name)
    if not kind.name.startswith("zarr"):
        return None
    from anndata.io import read_elem

    store = _zarr_store(path, zipped=kind.name == "zarr_zip")
    import zarr

    with _unreadable(path, kind):
        group: Any = zarr.open_group(store, mode="r")
        place = f"obsp/{name}"
        return read_elem(group[place]) if place in group else None


def read_metadata(path: Path, uns: Collection[str] = ()) -> anndata.AnnData:
    """Read the metadata of cells and the embeddings of an AnnData, and none of its matrices.

    Parameters
    ----------
    path
        As of :func:`read_object`.
    uns
        What is read of ``uns``.

    Raises
    ------
    InputError, DependencyError
        As of :func:`read_object`.
    """
    import anndata

    kind = file_kind(path)
    if kind.name == "h5ad" and kind.is_anndata:
        with open_h5ad(path, uns) as opened:
            obs, obsm, kept = opened.obs, opened.obsm, dict(opened.uns)
    elif kind.is_anndata and kind.name.startswith("zarr"):
        with _unreadable(path, kind):
            obs, obsm, kept = _zarr_metadata(path, uns, zipped=kind.name == "zarr_zip")
    else:
        return read_object(path, kind)
    drawn = {key: values for key, values in obsm.items() if getattr(values, "ndim", 0) == 2}
    return anndata.AnnData(obs=obs, obsm=drawn, uns=kept)


def check_has_clusters(adata: AnnDataLike, place: object) -> None:
    """Refuse an object without any metadata of its cells, as 10x Genomics writes them.

    Parameters
    ----------
    adata
        What was read.
    place
        Its path, or what names several; for the message.

    Raises
    ------
    GroupMissingError
    """
    if len(adata.obs.columns):
        return
    first = "Cluster the cells first"
    if not isinstance(place, Path):
        message = f"There are no clusters: the obs of {place} has no columns."
        if hasattr(place, "paths"):
            message = f"{place} have no column of obs in common, so there are no clusters."
        hint = f"{first}, or annotate each cell: `annotate_cells()`"
        raise GroupMissingError(message, hint)
    message = (
        f'"{place}", {file_kind(place).what}, has cells and no clusters: its obs has no columns.'
    )
    hint = in_language(
        python=f'{first} (scanpy.tl.leiden), or annotate each cell: annotate_cells("{place}")',
        r=f'{first}, or annotate each cell: AnnotateCells("{place}")',
        cli=f"{first}, or annotate each cell: cellferry annotate {place} --cells",
    )
    raise GroupMissingError(message, hint)


def _read_zarr(path: Path, *, zipped: bool) -> anndata.AnnData:
    import anndata

    made: anndata.AnnData = anndata.io.read_zarr(_zarr_store(path, zipped=zipped))
    return made


@contextmanager
def _opened_zarr(path: Path, kind: FileKind, uns: Collection[str]) -> Iterator[OpenH5ad]:
    """Yield the parts of an AnnData in zarr; metadata and embeddings are read, matrices are not."""
    with ExitStack() as stack:
        with _unreadable(path, kind):
            zipped = kind.name == "zarr_zip"
            group = stack.enter_context(opened_group(path, zipped=zipped))
            opened = parts_of_group(group, uns)
        yield opened


def _zarr_metadata(
    path: Path, uns: Collection[str], *, zipped: bool
) -> tuple[pd.DataFrame, dict[str, Any], dict[str, Any]]:
    from anndata.io import read_elem

    store = _zarr_store(path, zipped=zipped)
    import zarr

    group: Any = zarr.open_group(store, mode="r")
    obsm = read_elem(group["obsm"]) if "obsm" in group else {}
    kept = {key: read_elem(group[f"uns/{key}"]) for key in uns if f"uns/{key}" in group}
    return read_elem(group["obs"]), obsm, kept


def _zarr_store(path: Path, *, zipped: bool) -> Any:
    try:
        import zarr
    except ImportError as error:
        message = f'"{path}" is an AnnData in zarr, and the package zarr is not installed.'
        raise DependencyError(message, 'Run: pip install "zarr>=2.18"') from error
    return zarr.storage.ZipStore(path, mode="r") if zipped else path
