"""Reading a client's vars.h5: the whole file checked first, then gene by gene.

Runs in the helper process only, and is the one seam to :mod:`cellferry.artifacts`, whose
reader refuses what it meets. Here the file is walked through before, because a file that
a stranger sent should contain nothing else either, and is refused when it is uploaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from ...artifacts.vars_h5.reader import VarsFile
from ...biology.symbols import KNOWN_COLUMNS
from ...errors import ArtifactFormatError, InvalidOptionError
from ..failures import Code, Failure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...study.expression.source import Block

DEPTH = 6
MOST_OBJECTS = 10_000
CHUNK_BYTES = 256 * 1024**2
MOST_RATIO = 2000
"""Declared bytes per stored byte; deflate reaches 1032, LZ4 255."""

FILTERS: frozenset[int] = frozenset({1, 2, 3, 32001, 32004})
"""deflate, shuffle, checksum, Blosc (R), LZ4 (Python)."""


def inspect(path: str) -> dict[str, int]:
    """Return the number of cells and genes; raises :class:`Failure`."""
    file = opened(path)
    return {"n_cells": file.n_cells, "n_genes": file.n_genes}


class CheckedFile:
    """An open vars.h5 that was walked through and contains nothing that it should not.

    Raises
    ------
    Failure
        INVALID_ARTIFACT, with what was found.
    """

    def __init__(self, path: str) -> None:
        if not h5py.is_hdf5(path):
            message = "The file is not HDF5."
            raise Failure(Code.INVALID_ARTIFACT, message)
        with h5py.File(path, "r") as file:
            for item in _walk(file["/"], 0, set()):
                if isinstance(item, h5py.Dataset):
                    _check_dataset(item)
        try:
            self._file = VarsFile(path)
            self._symbols = self._read_symbols()
        except ArtifactFormatError as error:
            # Where a server keeps its files is nobody's business.
            message = error.message.replace(path, "vars.h5")
            raise Failure(Code.INVALID_ARTIFACT, message) from error
        self.n_cells, self.n_genes = self._file.n_obs, self._file.n_vars

    def _read_symbols(self) -> dict[str, int]:
        """Return name -> position by every kind of name, the most likely kind first."""
        found: dict[str, int] = {}
        stated = self._file.gene_symbols_column
        for name in (stated, *KNOWN_COLUMNS):
            if name is not None and name in self._file.columns:
                for i, symbol in enumerate(self._file.column(name)):
                    found.setdefault(str(symbol), i)
        for names in (self._file.var_names, self._file.index):
            for i, name in enumerate(names):
                found.setdefault(name, i)
        return found

    @property
    def names(self) -> list[str]:
        """Names of the genes in their order: symbols where the file says which they are."""
        stated = self._file.gene_symbols_column
        if stated is not None and stated in self._file.columns:
            return [str(symbol) for symbol in self._file.column(stated)]
        return list(self._file.var_names)

    def run(self, start: int, most: int) -> tuple[int, Block]:
        """Return genes from ``start`` on with at most so many values, and where they end."""
        try:
            stop = next(stop for _, stop in self._file.runs(most) if stop > start)
            return stop, self._file.genes(start, stop)
        except (StopIteration, ArtifactFormatError, InvalidOptionError) as error:
            message = "The file has no such genes."
            raise Failure(Code.INVALID_ARTIFACT, message) from error

    def position(self, gene: str) -> int:
        """Return the column of a gene, by symbol or by identifier; raises :class:`Failure`."""
        if gene not in self._symbols:
            message = "The expression matrix has no such gene."
            raise Failure(Code.NOT_FOUND, message)
        return self._symbols[gene]

    def column(self, gene: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the cells with a value of a gene, and the values; raises :class:`Failure`."""
        try:
            cells, values = self._file.gene(gene)
        except (ArtifactFormatError, InvalidOptionError) as error:
            raise Failure(Code.INVALID_ARTIFACT, error.message) from error
        return cells, np.asarray(values, dtype=np.float32)


def opened(path: str) -> CheckedFile:
    """Return a checked file; the two that were used last stay open."""
    status = Path(path).stat()
    return _cached(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _cached(path: str, _changed: int, _size: int) -> CheckedFile:
    return CheckedFile(path)


def _walk(group: h5py.Group, depth: int, seen: set[int]) -> Iterator[h5py.Group | h5py.Dataset]:
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
        message = f"{where} declares far more values than it has."
        raise Failure(Code.INVALID_ARTIFACT, message)
