"""Reading a client's vars.h5: checked first, then gene by gene.

Runs in the helper process only. The layout is that of ``cellferry.artifacts``; nothing in
the file is trusted, because HDF5 can refer to other files, declare more than it holds, and
decompress without end.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import hdf5plugin  # noqa: F401 - registers the filters of the published clients
import numpy as np

from .failures import Code, Failure

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEPTH = 6
MOST_OBJECTS = 10_000
MOST_CELLS = 2**31 - 1
MOST_GENES = 5_000_000
CHUNK_BYTES = 256 * 1024**2
CACHE_BYTES = 96 * 1024**2
"""Of each dataset; the published clients write chunks of up to 40 MB."""
MOST_RATIO = 2000
"""Declared bytes per stored byte; deflate reaches 1032, LZ4 255."""

FILTERS: frozenset[int] = frozenset({1, 2, 3, 32000, 32001, 32004, 32015})
"""deflate, shuffle, checksum, LZF, Blosc (R), LZ4 (Python), Zstandard."""

SYMBOL_COLUMNS: tuple[str, ...] = (
    "feature_name",
    "gene_symbols",
    "gene_symbol",
    "gene_short_name",
    "gene_name",
    "symbol",
)


def inspect(path: str) -> dict[str, int]:
    """Return the number of cells and genes; raises :class:`Failure`."""
    return _open(path).size()


class VarsFile:
    """An open, checked vars.h5."""

    def __init__(self, path: str) -> None:
        if not h5py.is_hdf5(path):
            message = "The file is not HDF5."
            raise Failure(Code.INVALID_ARTIFACT, message)
        self._file = h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
        for item in _walk(self._file["/"], 0, set()):
            if isinstance(item, h5py.Dataset):
                _check_dataset(item)
        group = self._file.get("vars")
        if not isinstance(group, h5py.Group):
            message = "The file has no group `vars`."
            raise Failure(Code.INVALID_ARTIFACT, message)
        self.n_cells = _count(group, "n_obs", MOST_CELLS)
        self.n_genes = _count(group, "n_vars", MOST_GENES)
        self._indices = _vector(group, "indices", "iu")
        self._data = _vector(group, "data", "iuf")
        starts = _vector(group, "indptr", "iu")
        if len(starts) != self.n_genes + 1 or len(self._indices) != len(self._data):
            message = "The lengths of the matrix contradict each other."
            raise Failure(Code.INVALID_ARTIFACT, message)
        self._starts = starts[:].astype(np.int64)
        lengths = np.diff(self._starts)
        sound = self._starts[0] == 0 and self._starts[-1] == len(self._data)
        if not sound or (len(lengths) and (lengths.min() < 0 or lengths.max() > self.n_cells)):
            message = "The pointers of the matrix are damaged."
            raise Failure(Code.INVALID_ARTIFACT, message)
        self._names: dict[str, int] | None = None

    def size(self) -> dict[str, int]:
        """Return the number of cells and genes."""
        return {"n_cells": self.n_cells, "n_genes": self.n_genes}

    def column(self, gene: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the cells with a value of a gene, and the values."""
        first, last = self._starts[gene : gene + 2]
        cells = self._indices[first:last].astype(np.int64)
        if len(cells) and (cells.min() < 0 or cells.max() >= self.n_cells):
            message = "The matrix names cells that do not exist."
            raise Failure(Code.INVALID_ARTIFACT, message)
        return cells, self._data[first:last].astype(np.float32)

    def position(self, gene: str) -> int:
        """Return the column of a gene, by symbol or by identifier."""
        if self._names is None:
            self._names = {}
            for names in self._all_names():
                for i, name in enumerate(names):
                    self._names.setdefault(name, i)
        if gene not in self._names:
            message = "The expression matrix has no such gene."
            raise Failure(Code.NOT_FOUND, message)
        return self._names[gene]

    def _all_names(self) -> Iterator[list[str]]:
        """Yield the names of all genes, the most likely kind first."""
        table = self._file.get("info/var")
        if not isinstance(table, h5py.Group):
            return
        columns = table.get("columns")
        by_name: dict[str, h5py.Dataset] = {}
        if isinstance(columns, h5py.Group):
            for name, column in columns.items():
                source = _attribute_text(column, "source_name") or name
                by_name.setdefault(source, column)
        stated = _attribute_text(table, "gene_symbols_column")
        wanted = [by_name.get(name) for name in (stated, *SYMBOL_COLUMNS) if name is not None]
        for found in (*wanted, table.get("var_names"), table.get("index")):
            is_of_genes = isinstance(found, h5py.Dataset) and found.shape == (self.n_genes,)
            if is_of_genes and found.dtype.kind in "SO":
                yield [
                    v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v)
                    for v in found[:]
                ]


def opened(path: str) -> VarsFile:
    """Return a checked file; the few that are used most stay open."""
    return _open(path)


def _open(path: str) -> VarsFile:
    status = Path(path).stat()
    return _cached(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _cached(path: str, _changed: int, _size: int) -> VarsFile:
    return VarsFile(path)


def _walk(group: h5py.Group, depth: int, seen: set[Any]) -> Iterator[Any]:
    """Yield every object once; links out of the file or around in it are refused."""
    if depth > DEPTH:
        message = "The file is nested too deeply."
        raise Failure(Code.INVALID_ARTIFACT, message)
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            message = "The file has links, which artifacts do not have."
            raise Failure(Code.INVALID_ARTIFACT, message)
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen or len(seen) > MOST_OBJECTS:
            message = "The file has links that go round, or too many objects."
            raise Failure(Code.INVALID_ARTIFACT, message)
        seen.add(address)
        yield item
        if isinstance(item, h5py.Group):
            yield from _walk(item, depth + 1, seen)
        elif not isinstance(item, h5py.Dataset):
            message = "The file has objects that artifacts do not have."
            raise Failure(Code.INVALID_ARTIFACT, message)


def _check_dataset(dataset: h5py.Dataset) -> None:
    settings = dataset.id.get_create_plist()
    where = "A dataset"
    if settings.get_external_count() or dataset.is_virtual:
        message = f"{where} keeps its values in other files."
        raise Failure(Code.INVALID_ARTIFACT, message)
    if dataset.dtype.kind not in "iufbSO" or dataset.dtype.names is not None:
        message = f"{where} has a type that artifacts do not have."
        raise Failure(Code.INVALID_ARTIFACT, message)
    if dataset.dtype.kind == "O" and h5py.check_string_dtype(dataset.dtype) is None:
        message = f"{where} has a type that artifacts do not have."
        raise Failure(Code.INVALID_ARTIFACT, message)
    for i in range(settings.get_nfilters()):
        if settings.get_filter(i)[0] not in FILTERS:
            message = f"{where} is compressed with a filter that is not taken."
            raise Failure(Code.INVALID_ARTIFACT, message)
    chunk_bytes = dataset.dtype.itemsize * int(np.prod(dataset.chunks or (0,), dtype=np.float64))
    if chunk_bytes > CHUNK_BYTES:
        message = f"{where} has chunks of {chunk_bytes} bytes."
        raise Failure(Code.INVALID_ARTIFACT, message)
    declared = float(np.prod(dataset.shape or (), dtype=np.float64)) * dataset.dtype.itemsize
    if declared > MOST_RATIO * (dataset.id.get_storage_size() + 1024):
        message = f"{where} declares far more than it holds."
        raise Failure(Code.INVALID_ARTIFACT, message)


def _count(group: h5py.Group, name: str, most: int) -> int:
    message = f"`vars` has no usable attribute `{name}`."
    if name not in group.attrs:
        raise Failure(Code.INVALID_ARTIFACT, message)
    identifier = group.attrs.get_id(name)
    if identifier.dtype.kind not in "iuf" or int(np.prod(identifier.shape)) != 1:
        raise Failure(Code.INVALID_ARTIFACT, message)
    value = float(np.asarray(group.attrs[name]).reshape(-1)[0])
    if not (value.is_integer() and 0 <= value <= most):
        raise Failure(Code.INVALID_ARTIFACT, message)
    return int(value)


def _vector(group: h5py.Group, name: str, kinds: str) -> h5py.Dataset:
    found = group.get(name)
    if not isinstance(found, h5py.Dataset) or found.ndim != 1 or found.dtype.kind not in kinds:
        message = f"The file has no vector `vars/{name}` of numbers."
        raise Failure(Code.INVALID_ARTIFACT, message)
    return found


def _attribute_text(item: Any, name: str) -> str | None:
    if name not in item.attrs:
        return None
    identifier = item.attrs.get_id(name)
    if identifier.dtype.kind not in "SO" or int(np.prod(identifier.shape)) != 1:
        return None
    value = np.asarray(item.attrs[name]).reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
