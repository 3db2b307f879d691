"""The reader of vars.h5: gene by gene, without loading the file.

Reads both published flavours. They differ in filter (LZ4 32004 from Python, Blosc 32001
from R), in texts (variable and fixed length), in the width of whole numbers, and in how a
boolean is stored. A file may come from anybody, so nothing in it is followed out of it and
nothing is believed about its size: see :mod:`cellferry.artifacts.vars_h5.safe`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ArtifactFormatError, InvalidOptionError, listing, nearest
from ...study.expression.blocks import sparse_view
from .safe import attribute, group_of, open_file, safe_dataset

if TYPE_CHECKING:
    import h5py
    import pandas as pd
    from numpy.typing import NDArray

    from ...study.expression.source import Block

MISSING_BOOL = -1


class _Compressed:
    """A sparse matrix in the file, one row of its axis at a time."""

    def __init__(self, group: h5py.Group, rows: int, columns: int) -> None:
        self.columns = columns
        self._indices = safe_dataset(group, "indices", "iu")
        self._data = safe_dataset(group, "data", "iuf")
        pointers = safe_dataset(group, "indptr", "iu")
        if pointers.shape != (rows + 1,):
            message = f'"{pointers.name}" has {pointers.shape[0]} values for {rows} rows.'
            raise ArtifactFormatError(message)
        # Unsigned widths would wrap around in a difference.
        self.indptr: NDArray[np.int64] = pointers[:].astype(np.int64)
        stored = {len(self._indices), len(self._data), int(self.indptr[-1])}
        if self.indptr[0] != 0 or np.any(np.diff(self.indptr) < 0) or len(stored) != 1:
            message = f'The pointers of "{group.name}" do not fit its values.'
            raise ArtifactFormatError(message, "The file is damaged; build it again.")

    def row(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.number]]:
        first, last = int(self.indptr[row]), int(self.indptr[row + 1])
        indices = self._indices[first:last].astype(np.int64)
        if len(indices) and (indices.min() < 0 or indices.max() >= self.columns):
            message = f'"{self._indices.name}" names a column outside of 0..{self.columns - 1}.'
            raise ArtifactFormatError(message, "The file is damaged; build it again.")
        return indices, self._data[first:last]

    def rows(self, start: int, stop: int) -> Block:
        pointers = self.indptr[start : stop + 1]
        first, last = int(pointers[0]), int(pointers[-1])
        indices = self._indices[first:last]
        if len(indices) and (indices.min() < 0 or indices.max() >= self.columns):
            message = f'"{self._indices.name}" names a column outside of 0..{self.columns - 1}.'
            raise ArtifactFormatError(message, "The file is damaged; build it again.")
        arrays = (self._data[first:last], indices.astype(np.int32, copy=False), pointers - first)
        return sparse_view(arrays, (self.columns, stop - start), "genes")


class VarsFile:
    """An open vars.h5; a context manager.

    Attributes
    ----------
    n_obs, n_vars
        Cells and genes.
    var_names
        Names of the genes, in the order of the matrix.

    Raises
    ------
    ArtifactFormatError
        The file is no vars.h5, is damaged, or leads out of itself.

    Examples
    --------
    >>> with VarsFile("vars.h5") as file:            # doctest: +SKIP
    ...     cells, values = file.gene("CD3E")
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open_file(self.path)
        try:
            self._read_structure()
        except BaseException:
            self._file.close()
            raise

    def _read_structure(self) -> None:
        group = group_of(self._file, "vars")
        self.n_obs, self.n_vars = (attribute(group, name) for name in ("n_obs", "n_vars"))
        self._normalized = _Compressed(group, self.n_vars, self.n_obs)
        self._counts: _Compressed | None = None
        if "raw" in self._file:
            raw = group_of(self._file, "raw")
            self._counts = _Compressed(raw, self.n_obs, self.n_vars)
        self._info: h5py.Group | None = None
        self.var_names = tuple(str(i) for i in range(self.n_vars))
        self.index = self.var_names
        if "info" in self._file:
            self._info = group_of(group_of(self._file, "info"), "var")
            self.var_names = tuple(self._texts(self._info, "var_names"))
            self.index = tuple(self._texts(self._info, "index"))
        self._position = {n: i for i, n in reversed(list(enumerate(self.var_names)))}
        self._columns = self._find_columns()

    def __enter__(self) -> VarsFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def has_counts(self) -> bool:
        """Whether the file holds raw counts."""
        return self._counts is not None

    def gene(self, gene: str | int) -> tuple[NDArray[np.int64], NDArray[np.number]]:
        """Return the cells (positions, ascending) that have a value of a gene, and the values.

        Parameters
        ----------
        gene
            Name (the first of duplicates) or position.

        Raises
        ------
        InvalidOptionError
            There is no such gene; names the nearest.
        """
        return self._normalized.row(self._locate(gene))

    def genes(self, start: int, stop: int) -> Block:
        """Return the values of a run of genes: cells x genes, compressed by genes.

        Parameters
        ----------
        start, stop
            Positions, the last one excluded.

        Raises
        ------
        InvalidOptionError
            There are no such genes.
        """
        if not 0 <= start < stop <= self.n_vars:
            message = f"There are no genes {start} to {stop}: the file has {self.n_vars}."
            raise InvalidOptionError(message)
        return self._normalized.rows(start, stop)

    def runs(self, most: int) -> Iterator[tuple[int, int]]:
        """Yield runs of genes, in order, of at most so many values, or of one gene with more."""
        pointers, start = self._normalized.indptr, 0
        while start < self.n_vars:
            stop = int(np.searchsorted(pointers, pointers[start] + most, "right")) - 1
            stop = min(self.n_vars, max(stop, start + 1))
            yield start, stop
            start = stop

    def cell_counts(self, cell: int) -> tuple[NDArray[np.int64], NDArray[np.number]]:
        """Return the genes (positions, ascending) that a cell has counts of, and the counts.

        Parameters
        ----------
        cell
            Position, from 0.

        Raises
        ------
        InvalidOptionError
            There are no counts, or no such cell.
        """
        if self._counts is None:
            message = f'"{self.path}" holds no raw counts.'
            raise InvalidOptionError(message, "Build it from data with a counts layer.")
        if not 0 <= cell < self.n_obs:
            message = f"There is no cell {cell}: the file has cells 0 to {self.n_obs - 1}."
            raise InvalidOptionError(message)
        return self._counts.row(cell)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of gene metadata, as they were in the object."""
        return tuple(self._columns)

    @property
    def gene_symbols_column(self) -> str | None:
        """Name of the column of gene symbols, if the file says so."""
        found = None if self._info is None else self._info.attrs.get("gene_symbols_column")
        return None if found is None else _as_text(found)

    def column(self, name: str) -> pd.Series:
        """Return a column of gene metadata by its original name, with its original kind.

        A missing text cannot be distinguished from an empty one; both are read as "".

        Parameters
        ----------
        name
            As it was in the object; see :attr:`columns`.

        Raises
        ------
        InvalidOptionError
            There is no such column; names the nearest.
        """
        import pandas as pd

        if name not in self._columns:
            guess = nearest(name, self.columns)
            message = f'The file has no column "{name}" of genes; it has {listing(self.columns)}.'
            raise InvalidOptionError(message, f'Did you mean "{guess}"?' if guess else "")
        group = group_of(_required(self._info), "columns")
        dataset = safe_dataset(group, self._columns[name])
        index = pd.Index(self.var_names, dtype=object)
        source = _as_text(dataset.attrs.get("source_dtype", ""))
        if dataset.dtype.kind in "OS":
            texts = pd.Series(self._texts(group, self._columns[name]), index=index, dtype=object)
            return texts.astype("category") if source == "category" else texts
        values = dataset[:]
        is_bool = source in {"bool", "boolean"}
        if is_bool and values.dtype.kind in "iu":
            return pd.Series(_booleans(values), index=index)
        if source.lower().startswith(("int", "uint")) and values.dtype.kind == "f":
            # R writes every number as a double; a nullable integer with a gap is one, too.
            whole = np.isnan(values) | (values == np.floor(values))
            if whole.all():
                return pd.Series(values, index=index).astype("Int64")
        return pd.Series(values, index=index)

    def _locate(self, gene: str | int) -> int:
        if isinstance(gene, str):
            if gene in self._position:
                return self._position[gene]
            guess = nearest(gene, self.var_names) if len(self.var_names) < 100_000 else None
            message = f'The file has no gene "{gene}".'
            raise InvalidOptionError(message, f'Did you mean "{guess}"?' if guess else "")
        if not 0 <= gene < self.n_vars:
            message = f"There is no gene {gene}: the file has genes 0 to {self.n_vars - 1}."
            raise InvalidOptionError(message)
        return gene

    def _find_columns(self) -> dict[str, str]:
        """Return original name -> name of the dataset; the latter alone is not reliable."""
        if self._info is None or "columns" not in self._info:
            return {}
        found: dict[str, tuple[int, str]] = {}
        group = group_of(self._info, "columns")
        for name in group:
            dataset = safe_dataset(group, name)
            if dataset.shape != (self.n_vars,):
                message = f'"{dataset.name}" has {dataset.shape[0]} values for {self.n_vars} genes.'
                raise ArtifactFormatError(message)
            source = _as_text(dataset.attrs.get("source_name", name))
            found[source] = (len(found), name)
        return {source: name for source, (_, name) in found.items()}

    def _texts(self, group: h5py.Group, name: str) -> list[str]:
        dataset = safe_dataset(group, name, "OS")
        if dataset.shape != (self.n_vars,):
            message = f'"{dataset.name}" has {dataset.shape[0]} values for {self.n_vars} genes.'
            raise ArtifactFormatError(message)
        return [_as_text(v) for v in dataset[:]]


def _booleans(values: NDArray[np.number]) -> NDArray[np.bool_] | pd.arrays.BooleanArray:
    import pandas as pd

    missing = values == MISSING_BOOL
    if missing.any():
        return pd.arrays.BooleanArray(values == 1, missing)
    return np.asarray(values == 1)


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return _as_text(value.ravel()[0]) if value.size else ""
    return str(value)


def _required(group: h5py.Group | None) -> h5py.Group:
    if group is None:
        message = "The file has no metadata of genes."
        raise ArtifactFormatError(message)
    return group
