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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError, OutputError, UnsupportedObjectError
from ...files import replacing
from ...runs.units import Cluster, Job, Remembered, Unit
from ...study.expression.blocks import canonical, sparse_view
from ...study.expression.origin import Origin, check_same
from ...study.expression.reopened import opened_origin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.expression.source import Block, ExpressionSource

RANGE_CELLS = 8_192
"""Cells of one piece."""
RANGE_VALUES = 8_000_000
"""Values of a range of genes, or of one gene that has more: 64 MB."""
FOLDER = "pieces"


def required_origin(source: ExpressionSource) -> Origin:
    """Return where workers find the values.

    Raises
    ------
    UnsupportedObjectError
        They are in memory, in a zip, in a file of 10x, or in several files.
    """
    if source.origin is not None:
        return source.origin
    message = (
        "A cluster reads the values from a file, an .h5ad or zarr, and these are in the memory of "
        "this process, in a zip, in a file of 10x, or in several files."
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
    origin = required_origin(source)
    n_cells, n_genes = source.shape
    where: dict[str, Any] = {"origin": origin.to_dict(), "genes": n_genes, "axis": source.axis}
    determining: dict[str, Any] = {"values": origin.determining(), "shape": [n_cells, n_genes]}
    if source.axis == "genes":
        return ByGene(where, determining, source.values_by_line())
    folder = run.folder / FOLDER
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        message = f'The folder "{folder}" cannot be made: {error.strerror}.'
        raise OutputError(message, "Make room, or set CELLFERRY_HOME.") from error
    where["folder"] = str(folder.resolve())
    where["cells"], where["range"] = n_cells, RANGE_CELLS
    name = f"{__name__}:"
    job = Job(f"{name}cut", {**determining, "range": RANGE_CELLS}, where, f"{name}check")
    bounds = [(a, min(a + RANGE_CELLS, n_cells)) for a in range(0, n_cells, RANGE_CELLS)]
    units = [Unit(f"cells {a + 1:,} to {b:,} by gene", (a, b), b - a) for a, b in bounds]

    def is_there(unit: Unit, found: Remembered) -> bool:
        piece = folder / _piece_name(int(str(unit.arguments[0])))
        return piece.is_file() and piece.stat().st_size == int(found.arrays()["size"][0])

    found = cluster.results(job, units, run, events, "cells", is_whole=is_there)
    counts = np.zeros(n_genes, np.int64)
    dtypes = set()
    for kept in found:
        arrays = kept.arrays()
        counts += arrays["counts"]
        dtypes.add(str(arrays["dtype"][0]))
    where["dtype"] = dtypes.pop() if dtypes else "float32"
    return ByGene(where, determining, counts)


def gene_ranges(counts: NDArray[np.integer]) -> tuple[tuple[int, int], ...]:
    """Return runs of genes of about as many values, whoever works on them.

    Examples
    --------
    >>> gene_ranges(np.array([5_000_000, 2_000_000, 9_000_000, 1]))
    ((0, 2), (2, 3), (3, 4))
    """
    ends = np.concatenate([[0], np.cumsum(counts)])
    found, start = [], 0
    while start < len(counts):
        stop = int(np.searchsorted(ends, ends[start] + RANGE_VALUES, "right")) - 1
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
    """Write a range of cells by gene: where each begins, cells (int32), values."""
    from scipy.sparse import vstack

    with _opened(where) as source:
        blocks = [canonical(block) for _, block in source.rows_between(start, stop)]
    block = blocks[0] if len(blocks) == 1 else vstack(blocks, format="csr")
    turned = block.tocsc()
    path = Path(where["folder"]) / _piece_name(start)
    try:
        with replacing(path) as partial, partial.open("wb") as file:
            for values in (
                turned.indptr.astype(np.int64),
                (turned.indices + np.int32(start)).astype(np.int32),
                turned.data,
            ):
                file.write(np.ascontiguousarray(values).data)
            size = file.tell()
    except OSError as error:
        message = f'The piece "{path}" cannot be written: {error.strerror}.'
        raise OutputError(message, "Make room, or set CELLFERRY_HOME to a larger disk.") from error
    return {
        "counts": np.diff(turned.indptr).astype(np.int64),
        "size": np.array([size]),
        "dtype": np.array([str(turned.data.dtype)]),
    }


def genes_between(where: Mapping[str, Any], first: int, last: int) -> Block:
    """Return the values of some genes in all cells, cells x genes, compressed by genes."""
    if where["axis"] == "genes":
        with _opened(where) as source:
            return canonical(source.columns_between(first, last))
    n_cells = int(where["cells"])
    parts = [
        _part(Path(where["folder"]) / _piece_name(start), where, first, last)
        for start in range(0, n_cells, int(where["range"]))
    ]
    return _side_by_side(parts, (n_cells, last - first))


def _part(
    path: Path, where: Mapping[str, Any], first: int, last: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.number]]:
    """Return pointers, cells and values of some genes of a piece."""
    dtype, n_genes = np.dtype(where["dtype"]), int(where["genes"])
    head = 8 * (n_genes + 1)
    try:
        with path.open("rb") as file:
            n_values = (os.fstat(file.fileno()).st_size - head) // (4 + dtype.itemsize)
            pointers = _read(file, 8 * first, last - first + 1, np.dtype(np.int64))
            begin, n = int(pointers[0]), int(pointers[-1] - pointers[0])
            cells = _read(file, head + 4 * begin, n, np.dtype(np.int32))
            place = head + 4 * n_values + dtype.itemsize * begin
            return pointers - pointers[0], cells, _read(file, place, n, dtype)
    except OSError as error:
        message = f'The piece "{path}" cannot be read: {error.strerror or error}.'
        raise InputError(message, "Begin again: it is cut anew.") from error


def _read(file: Any, place: int, n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    file.seek(place)
    found = np.empty(n, dtype)
    if file.readinto(found.view(np.uint8).data) != found.nbytes:
        message = "it is shorter than it was"
        raise OSError(message)
    return found


def _side_by_side(
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.number]]],
    shape: tuple[int, int],
) -> Block:
    """Join pieces of the same genes, whose cells follow each other."""
    lengths = np.array([np.diff(pointers) for pointers, _, _ in parts])
    indptr = np.concatenate([[0], np.cumsum(lengths.sum(axis=0))])
    n = int(indptr[-1])
    indices = np.empty(n, np.int32)
    data = np.empty(n, parts[0][2].dtype)
    begins = indptr[:-1].copy()
    for (pointers, cells, values), length in zip(parts, lengths, strict=True):
        # Where the values of each gene go, behind those of the cells before.
        places = np.repeat(begins - pointers[:-1], length) + np.arange(len(cells))
        indices[places], data[places] = cells, values
        begins += length
    return sparse_view((data, indices, indptr), shape, "genes")


def _opened(where: Mapping[str, Any]) -> Any:
    return opened_origin(Origin.from_dict(where["origin"]), ("",) * int(where["genes"]))


def _piece_name(start: int) -> str:
    return f"cells-{start:010d}.bin"
