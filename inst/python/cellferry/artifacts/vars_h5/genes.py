"""Metadata of the genes in vars.h5: one dataset for each column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py
    import pandas as pd
    from numpy.typing import NDArray

MISSING_BOOL = -1


def dataset_name(column: str, position: int, taken: Sequence[str]) -> str:
    """Return the name of the dataset of a column, as the published writers form it.

    Parameters
    ----------
    column, position
        Name of the column, and its place among all.
    taken
        Names of datasets that are there already.

    Examples
    --------
    >>> dataset_name("pct counts (%)", 0, [])
    'pct_counts'
    >>> dataset_name("%", 3, []), dataset_name("a", 4, ["a", "a_1"])
    ('column_3', 'a_2')
    """
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", column).strip("_") or f"column_{position}"
    # "." and ".." are places, not names, in an HDF5 path.
    if plain.strip(".") == "":
        plain = f"column_{position}"
    name, number = plain, 0
    while name in taken:
        number += 1
        name = f"{plain}_{number}"
    return name


def write_var_metadata(
    file: h5py.File, genes: Sequence[str], var: pd.DataFrame, gene_symbols_column: str | None
) -> None:
    """Write ``info/var``: names, index and columns of the genes, uncompressed.

    Parameters
    ----------
    file
        An open vars.h5.
    genes
        Names of the genes, in the order of the matrix.
    var
        Their metadata, in the same order.
    gene_symbols_column
        The column of symbols, if there is one.
    """
    group = file.create_group("info/var")
    if gene_symbols_column is not None:
        group.attrs["gene_symbols_column"] = gene_symbols_column
    _write_texts(group, "var_names", list(genes))
    _write_texts(group, "index", texts(var.index))
    columns = group.create_group("columns")
    taken: list[str] = []
    for position, label in enumerate(var.columns):
        source = str(label)
        name = dataset_name(source, position, taken)
        taken.append(name)
        column = var.iloc[:, position]
        values, sentinel = encoded(column)
        if isinstance(values, list):
            dataset = _write_texts(columns, name, values)
        else:
            dataset = columns.create_dataset(name, data=values)
        dataset.attrs["source_name"] = source
        dataset.attrs["source_dtype"] = str(column.dtype)
        if sentinel is not None:
            dataset.attrs["missing_sentinel"] = sentinel


def encoded(column: pd.Series) -> tuple[list[str] | NDArray[np.number], int | None]:
    """Return a column as it is stored, and the value that stands for a missing one.

    Categories and everything that is neither boolean nor a number become text, missing
    values the empty text. A boolean column with missing values becomes int8.
    """
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return texts(column), None
    if pd.api.types.is_bool_dtype(kind):
        missing = np.asarray(column.isna())
        if not missing.any():
            return np.asarray(column.to_numpy(dtype=bool)), None
        filled = column.fillna(False).to_numpy(dtype=bool).astype(np.int8)
        return np.where(missing, np.int8(MISSING_BOOL), filled), MISSING_BOOL
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        if isinstance(kind, np.dtype):
            return np.asarray(column), None
        if column.isna().any():
            return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan)), None
        return np.asarray(column.to_numpy(dtype=getattr(kind, "numpy_dtype", np.float64))), None
    return texts(column), None


def texts(values: pd.Series | pd.Index) -> list[str]:
    """Return values as text, a missing one as the empty text."""
    missing = np.asarray(values.isna())
    return ["" if gone else str(v) for v, gone in zip(values, missing, strict=True)]


def _write_texts(group: h5py.Group, name: str, values: Sequence[str]) -> h5py.Dataset:
    import h5py

    # HDF5 ends a text at its first NUL, and has no lone surrogates.
    clean = [v.replace("\0", "").encode("utf-8", "replace") for v in values]
    dataset = group.create_dataset(name, (len(clean),), h5py.string_dtype())
    if clean:
        dataset[:] = np.array(clean, dtype=object)
    return dataset
