"""The values of a matrix by gene, for workers that each want some genes.

A test of a gene needs all of its cells. A matrix that is kept by gene is read as it is. One that is
kept by cell is cut first: each worker turns ranges of cells by gene and leaves them as pieces in
the folder of the run, which all workers see; a range of genes is then a part of each piece. So
every value is read, written and read once, whatever the number of workers. To read the whole file
for each range of genes takes as many reads as there are ranges; tables of the different values of
each gene are as large as the matrix, because normalised values hardly ever occur twice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ...errors import InputError, OutputError, UnsupportedObjectError
from ...runs.units import Cluster, Job, Remembered, Unit, Work, even_length
from ...study.expression.blocks import canonical, sparse_view
from ...study.expression.origin import Origin, check_same
from ...study.expression.reopened import opened_origin
from .pieces import is_whole, write_piece

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.expression.source import Block, ExpressionSource

RANGE_CELLS = 8_192
"""Most cells of one piece."""
FEWEST_CELLS = 2_048
CELLS = np.dtype(np.uint16)
"""Of the number of a cell in its piece: a quarter less is written and read than by int32."""
MOST_OPEN = 256
"""Pieces whose files are left open until their values are read."""
RANGE_VALUES = 8_000_000
"""Most values of a range of genes, or of one gene that has more: 64 MB."""
FEWEST_VALUES = 1_000_000
FOLDER = "pieces"


def required_origin(source: ExpressionSource) -> Origin:
    """Return where workers find the values.

    Raises
    ------
    UnsupportedObjectError
        They are in memory, in a zip, in a folder of 10x, or by gene in one of several files.
    """
    if source.origin is not None:
        return source.origin
    message = (
        "A cluster reads the values from files, .h5ad, zarr or .h5 of 10x, and these are in the "
        "memory of this process, in a zip, in a folder of 10x, or by gene in one of several files."
    )
    hint = 'Write the object to where all workers see it, and give its path: "atlas.h5ad".'
    raise UnsupportedObjectError(message, hint)


@dataclass(frozen=True)
class ByGene:
    """Where the values of each gene are.

    Attributes
    ----------
    where
        Plain data for :func:`genes_between`: paths.
    determining
        Plain data on which the values depend.
    counts
        How many values each gene has.
    """

    where: Mapping[str, Any]
    determining: Mapping[str, Any]
    counts: NDArray[np.int64]

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """First gene, and the one after the last, of each range."""
        return gene_ranges(self.counts)


def values_by_gene(cluster: Cluster, source: ExpressionSource, run: Run, events: Events) -> ByGene:
    """Return the values by gene, which workers cut where they are kept by cell.

    Parameters
    ----------
    cluster
        Does the work.
    source
        Cells x genes, in a file.
    run
        Remembers each piece; its folder must be seen by all workers.
    events
        Receives progress; stops the work when the user interrupts.

    Raises
    ------
    UnsupportedObjectError, SchedulerError, InputError, OutputError
    """
    return Cutting(cluster, source, run, events).found()


class Cutting:
    """Values that are made to be by gene while something else may be done; see above."""

    def __init__(
        self, cluster: Cluster, source: ExpressionSource, run: Run, events: Events
    ) -> None:
        origin = required_origin(source)
        n_cells, n_genes = source.shape
        where: dict[str, Any] = {"origin": origin.to_dict(), "genes": n_genes, "axis": source.axis}
        self._where, self._n_genes = where, n_genes
        shape = [n_cells, n_genes]
        self._determining: dict[str, Any] = {"values": origin.determining(), "shape": shape}
        self._work: Work | None = None
        if source.axis == "genes":
            self._counts = source.values_by_line()
            return
        folder = run.folder / FOLDER
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f'The folder "{folder}" cannot be made: {error.strerror}.'
            raise OutputError(message, "Make room, or set CELLFERRY_HOME.") from error
        step = even_length(n_cells, FEWEST_CELLS, RANGE_CELLS)
        where |= {"folder": str(folder.resolve()), "cells": n_cells, "range": step}
        name = f"{__name__}:"
        job = Job(f"{name}cut", {**self._determining, "range": step}, where, f"{name}check")
        bounds = [(a, min(a + step, n_cells)) for a in range(0, n_cells, step)]
        units = [Unit(f"cells {a + 1:,} to {b:,} by gene", (a, b), b - a) for a, b in bounds]

        def is_there(unit: Unit, found: Remembered) -> bool:
            return is_whole(folder / _piece_name(int(str(unit.arguments[0]))), found.arrays())

        self._work = cluster.begin(job, units, run, events, "cells", is_whole=is_there)

    @property
    def is_done(self) -> bool:
        """Whether :meth:`found` waits for nothing."""
        return self._work is None or self._work.is_done

    def found(self) -> ByGene:
        """Wait for all pieces, and return where they are."""
        if self._work is None:
            return ByGene(self._where, self._determining, self._counts)
        counts = np.zeros(self._n_genes, np.int64)
        dtypes = set()
        for kept in self._work:
            arrays = kept.arrays()
            counts += arrays["counts"]
            dtypes.add(str(arrays["dtype"][0]))
        where = {**self._where, "dtype": dtypes.pop() if dtypes else "float32"}
        return ByGene(where, self._determining, counts)


def gene_ranges(counts: NDArray[np.integer]) -> tuple[tuple[int, int], ...]:
    """Return runs of genes of about as many values, whoever works on them.

    Examples
    --------
    >>> gene_ranges(np.array([500_000, 400_000, 9_000_000, 1]))
    ((0, 2), (2, 3), (3, 4))
    """
    ends = np.concatenate([[0], np.cumsum(counts)])
    most = even_length(int(ends[-1]), FEWEST_VALUES, RANGE_VALUES)
    found, start = [], 0
    while start < len(counts):
        stop = int(np.searchsorted(ends, ends[start] + most, "right")) - 1
        stop = min(max(stop, start + 1), len(counts))
        found.append((start, stop))
        start = stop
    return tuple(found)


# --- on the workers ---------------------------------------------------------------------


def check(where: Mapping[str, Any]) -> None:
    """Raise where this worker sees neither the file nor the folder of the pieces."""
    check_same(Origin.from_dict(where["origin"]))
    folder = where.get("folder")
    if folder is not None and not Path(folder).is_dir():
        message = f'There is no folder "{folder}" here, where all workers leave their pieces.'
        hint = "Set CELLFERRY_HOME to a folder on a disk that all of them share."
        raise InputError(message, hint, path=folder)


def cut(
    shared: Mapping[str, Any],  # noqa: ARG001
    where: Mapping[str, Any],
    start: int,
    stop: int,
) -> dict[str, NDArray[Any]]:
    """Write a range of cells by gene: where each begins, cells of the range (uint16), values."""
    from scipy.sparse import vstack

    with _opened(where) as source:
        blocks = [canonical(block) for _, block in source.rows_between(start, stop)]
    block = blocks[0] if len(blocks) == 1 else vstack(blocks, format="csr")
    turned = block.tocsc()
    parts = (
        turned.indptr.astype(np.int64),
        turned.indices.astype(CELLS),
        turned.data,
    )
    known = write_piece(
        Path(where["folder"]) / _piece_name(start),
        (np.ascontiguousarray(values).data for values in parts),
    )
    return {
        **known,
        "counts": np.diff(turned.indptr).astype(np.int64),
        "dtype": np.array([str(turned.data.dtype)]),
    }


def genes_between(where: Mapping[str, Any], first: int, last: int) -> Block:
    """Return the values of some genes in all cells, cells x genes, compressed by genes."""
    if where["axis"] == "genes":
        with _opened(where) as source:
            return canonical(source.columns_between(first, last))
    n_cells, n_genes = int(where["cells"]), last - first
    with ExitStack() as stack:
        starts = range(0, n_cells, int(where["range"]))
        # A process may have about a thousand files open.
        left_open = stack if len(starts) <= MOST_OPEN else None
        pieces = [
            _Piece.of(Path(where["folder"]) / _piece_name(start), where, first, last, left_open)
            for start in starts
        ]
        ends = np.concatenate([[0], np.cumsum([piece.n_values for piece in pieces])])
        indices = np.empty(int(ends[-1]), np.int32)
        data = np.empty(len(indices), np.dtype(where["dtype"]))
        for number, piece in enumerate(pieces):
            here = slice(int(ends[number]), int(ends[number + 1]))
            piece.read(indices[here], data[here])
            indices[here] += np.int32(number * int(where["range"]))
    lengths = np.array([np.diff(piece.pointers) for piece in pieces]).reshape(-1, n_genes)
    # Each line is a gene of a piece. SciPy copies lines in another order faster than NumPy values.
    pointers = np.concatenate([[0], np.cumsum(lengths)])
    lines = sparse_view((data, indices, pointers), (lengths.size, n_cells))
    order = np.arange(lengths.size).reshape(-1, n_genes).T.ravel()
    found = lines[order]
    indptr = np.concatenate([[0], np.cumsum(lengths.sum(axis=0))])
    return sparse_view((found.data, found.indices, indptr), (n_cells, n_genes), "genes")


@dataclass(frozen=True)
class _Piece:
    """Some genes of a file that :func:`cut` wrote; ``pointers`` begin at 0."""

    path: Path
    file: BinaryIO
    """Closed, where it is to be opened again."""
    pointers: NDArray[np.int64]
    cells: int
    values: int
    """Where both begin."""

    @classmethod
    def of(
        cls,
        path: Path,
        where: Mapping[str, Any],
        first: int,
        last: int,
        left_open: ExitStack | None,
    ) -> _Piece:
        item, head = np.dtype(where["dtype"]).itemsize, 8 * (int(where["genes"]) + 1)
        try:
            with ExitStack() as own:
                file = (left_open or own).enter_context(path.open("rb", buffering=0))
                pointers = np.empty(last - first + 1, np.int64)
                _read(file, 8 * first, pointers)
                n_values = (os.fstat(file.fileno()).st_size - head) // (CELLS.itemsize + item)
        except OSError as error:
            raise _unread(path, error) from error
        begin = int(pointers[0])
        values = head + CELLS.itemsize * n_values + item * begin
        return cls(path, file, pointers - begin, head + CELLS.itemsize * begin, values)

    @property
    def n_values(self) -> int:
        return int(self.pointers[-1])

    def read(self, cells: NDArray[np.int32], values: NDArray[np.number]) -> None:
        """Fill arrays with the cells, from 0 on, and the values."""
        try:
            small = np.empty(len(cells), CELLS)
            with self.path.open("rb", buffering=0) if self.file.closed else nullcontext() as again:
                _read(again or self.file, self.cells, small)
                _read(again or self.file, self.values, values)
            cells[:] = small
        except OSError as error:
            raise _unread(self.path, error) from error


def _unread(path: Path, error: OSError) -> InputError:
    message = f'The piece "{path}" cannot be read: {error.strerror or error}.'
    return InputError(message, "Begin again: it is cut anew.")


def _read(file: BinaryIO, place: int, into: NDArray[Any]) -> None:
    file.seek(place)
    left = into.view(np.uint8).data
    while left:
        n = file.readinto(left)  # type: ignore[attr-defined]
        if not n:
            message = "it is shorter than it was"
            raise OSError(message)
        left = left[n:]


def _opened(where: Mapping[str, Any]) -> Any:
    return opened_origin(Origin.from_dict(where["origin"]), ("",) * int(where["genes"]))


def _piece_name(start: int) -> str:
    return f"cells-{start:010d}.bin"
