"""Matrices of 10x Genomics: an .h5 of Cell Ranger 2 or 3 and later, or a folder of three files.

The layouts are those of the Cell Ranger documentation, "Feature-Barcode Matrices".
"""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError, listing
from ..expression.tenx import CountsOf10x
from ..layers import OpenH5ad
from .mtx import MatrixMarket

if TYPE_CHECKING:
    import anndata
    from numpy.typing import NDArray

GENES = "Gene Expression"


def folder_of_10x(names: Collection[str]) -> dict[str, str] | None:
    """Return the files of the matrix, the barcodes and the features among the names, or None.

    Parameters
    ----------
    names
        Of the files in a folder: gzipped or not, with one prefix or none, as GEO has them.

    Examples
    --------
    >>> folder_of_10x({"matrix.mtx.gz", "barcodes.tsv.gz", "features.tsv.gz"})["matrix"]
    'matrix.mtx.gz'
    >>> folder_of_10x({"matrix.mtx"}) is None
    True
    """
    found: dict[str, str] = {}
    for part, endings in (
        ("matrix", ("matrix.mtx",)),
        ("barcodes", ("barcodes.tsv",)),
        ("features", ("features.tsv", "genes.tsv")),
    ):
        some = [n for n in sorted(names) if n.removesuffix(".gz").endswith(endings)]
        # Both packed and unpacked are one.
        if len({n.removesuffix(".gz") for n in some}) != 1:
            return None
        found[part] = some[0]
    return found


def read_10x_folder(folder: Path) -> anndata.AnnData:
    """Read the counts of a folder; genes are named by their symbols, made unique.

    Raises
    ------
    InputError
        The files do not fit together, or the matrix is damaged.
    """
    import anndata

    opened = opened_10x_folder(folder)
    matrix = opened.X[:]
    matrix.sum_duplicates()
    return anndata.AnnData(matrix, obs=opened.obs, var=opened.var)


def opened_10x_folder(folder: Path) -> OpenH5ad:
    """Return the parts of a folder, whose counts are read when they are first asked for.

    They are then on the disk, in the order of cells, and are read from there by blocks.

    Raises
    ------
    InputError
        The files do not fit together.
    """
    import pandas as pd

    files = folder_of_10x({entry.name for entry in folder.iterdir()})
    assert files is not None
    barcodes = [row[0] for row in _rows(folder / files["barcodes"])]
    rows = _rows(folder / files["features"])
    columns = {"gene_ids": [row[0] for row in rows]}
    if all(len(row) > 2 for row in rows):
        columns["feature_types"] = [row[2] for row in rows]
    symbols = [row[1] if len(row) > 1 else row[0] for row in rows]
    kept, var = _genes(pd.DataFrame(columns, index=symbols))
    matrix = MatrixMarket(folder / files["matrix"], kept)
    size = matrix.header
    if (size.columns, size.rows) != (len(barcodes), len(symbols)):
        message = (
            f'The files of "{folder}" do not fit together: the matrix has {size.columns} cells '
            f"and {size.rows} features, and there are {len(barcodes)} barcodes and "
            f"{len(symbols)} features."
        )
        raise InputError(message, "Copy or download them again, all of one sample.")
    obs = pd.DataFrame(index=pd.Index(barcodes, dtype=object))
    return OpenH5ad(matrix, None, {}, obs, var, {}, {})


def _rows(file: Path) -> list[list[str]]:
    content = file.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    return [line.split("\t") for line in content.decode("utf-8").splitlines() if line]


def read_10x_h5(path: Path) -> anndata.AnnData:
    """Read the counts of an .h5; of one with several genomes all of them are read.

    Raises
    ------
    InputError
        There are several genomes with different cells.
    """
    import anndata

    with opened_10x_h5(path) as opened:
        return anndata.AnnData(opened.X[:], obs=opened.obs, var=opened.var)


@contextmanager
def opened_10x_h5(path: Path) -> Iterator[OpenH5ad]:
    """Yield the parts of an .h5, whose counts stay in the file until they are read.

    Raises
    ------
    InputError
        There are several genomes with different cells.
    """
    import h5py
    import pandas as pd

    with h5py.File(path, "r") as file:
        groups = [file[key] for key in file if "indptr" in file[key]]
        cells: list[str] | None = None
        for group in groups:
            names = _texts(group["barcodes"])
            if cells is not None and names != cells:
                message = f'"{path}" has genomes with different cells: {listing(list(file))}.'
                raise InputError(message, 'Read one: scanpy.read_10x_h5(path, genome="...").')
            cells = names
        var = pd.concat([_features(group) for group in groups])
        kept, var = _genes(var)
        obs = pd.DataFrame(index=pd.Index(cells or [], dtype=object))
        yield OpenH5ad(CountsOf10x(groups, kept), None, {}, obs, var, {}, {})


def _features(group: Any) -> Any:
    import pandas as pd

    if "features" in group:
        features = group["features"]
        columns = {"gene_ids": _texts(features["id"])}
        if "feature_type" in features:
            columns["feature_types"] = _texts(features["feature_type"])
        return pd.DataFrame(columns, index=_texts(features["name"]))
    return pd.DataFrame({"gene_ids": _texts(group["genes"])}, index=_texts(group["gene_names"]))


def _texts(values: Any) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values[:]]


def _genes(var: Any) -> tuple[NDArray[np.intp] | None, Any]:
    """Return which features are genes, None for all, and the table of them with unique names."""
    import anndata
    import pandas as pd

    found = None
    if "feature_types" in var:
        # Antibodies and guides are no genes.
        kept = (var["feature_types"] == GENES).to_numpy()
        if kept.any() and not kept.all():
            found = np.flatnonzero(kept)
        if kept.any():
            var = var.iloc[kept].copy()
    var.index = anndata.utils.make_index_unique(pd.Index(var.index, dtype=object))
    return found, var
