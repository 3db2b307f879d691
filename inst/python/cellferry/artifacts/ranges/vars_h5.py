"""Matrices of vars.h5 whose chunks workers of a cluster make, and one process writes.

The values of a matrix, in the order of the file, are cut into chunks of equal length. A unit is
some chunks that follow each other: a worker reads their values, counts in which clusters they are,
compresses them, and leaves them in the folder of the run; the file is written chunk by chunk, in
their order, whatever the number of workers, each as soon as it and those before it are there.

The counts are sent behind the pieces by gene, and the genes behind the counts: so no worker waits
for the last piece, and the counts are written while genes are made.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...errors import ArtifactValuesError, InputError, OutputError
from ...runs.units import Cluster, Job, Remembered, Unit, Work, even_length
from ...study.clusters import Clusters
from ...study.expression.blocks import canonical, sparse_view
from ...study.expression.origin import Origin
from ...study.expression.reopened import opened_origin
from ...study.expression.statistics import (
    SAMPLED_CELLS,
    BlockStatistics,
    ExpressionStatistics,
)
from ..vars_h5 import lz4
from ..vars_h5.chunks import CHUNK
from ..vars_h5.counts import NotCountsError, as_counts
from . import by_gene
from .pieces import is_whole, remove_beside, write_piece
from .sums import read_groups, read_sums_on, written_groups

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.expression.source import Axis, Block, ExpressionSource
    from ..marker_sums import MarkerSums

CHUNKS = 32
"""Most chunks of one unit: 8.4 million values."""
FEWEST_CHUNKS = 2
CHUNK_FOLDER = "chunks"
CLUSTERS = "clusters.npz"


@dataclass
class FarMatrices:
    """Writes matrices whose chunks a cluster makes.

    Parameters
    ----------
    cluster
        Does the work.
    run
        Remembers each unit; its folder must be seen by all workers.
    events
        Receives progress; stops the work when the user interrupts.
    """

    cluster: Cluster
    run: Run
    events: Events
    _cutting: by_gene.Cutting | None = None
    _genes: _Making | None = None
    _removing: threading.Thread | None = None

    def begin(self, source: ExpressionSource, statistics: ExpressionStatistics) -> None:
        """Have the values put in the order of genes, and note whose they are."""
        self._cutting = by_gene.Cutting(self.cluster, source, self.run, self.events)
        self._statistics = statistics

    def normalized(self, group: h5py.Group, source: ExpressionSource) -> None:
        """Write ``vars`` by gene, and fill the statistics; :meth:`begin` was called before."""
        statistics = self._statistics
        genes = self._genes or self._begun_genes()
        try:
            for kept in self._written(group, source.shape, genes):
                statistics.add(_statistics_of(kept))
        except ArtifactValuesError as error:
            # A worker knows positions, and counts cells from 1 as every message does.
            cell, gene = int(str(error.data["cell"])) - 1, int(str(error.data["gene"]))
            raise statistics.not_finite(cell, gene, missing="NaN" in error.message) from error
        # It takes a moment, in which the file is made durable.
        self._removing = remove_beside(self.run.folder / by_gene.FOLDER)
        if source.axis == "cells" and source.shape[0]:
            # What cells sum to is looked at in the first of them.
            start, block = next(iter(source.blocks(SAMPLED_CELLS)))
            statistics.add_total(canonical(block), start)

    def _begun_genes(self) -> _Making:
        """Wait until the pieces are there, and have the chunks of the genes made."""
        assert self._cutting is not None
        found, statistics = self._cutting.found(), self._statistics
        clusters = Clusters(statistics.cluster_names, statistics.codes)
        groups = written_groups(self.run.folder / CLUSTERS, [], clusters)
        where = {**found.where, "groups": str((self.run.folder / CLUSTERS).resolve())}
        content = {**found.determining, "matrix": "vars", "groups": groups}
        self._genes = self._begun("genes", found.counts, content, where)
        return self._genes

    def sums(self, source: ExpressionSource, sums: MarkerSums) -> MarkerSums:
        """Fill the sums that markers need; what was cut for them is read again."""
        return read_sums_on(self.cluster, source, sums, self.run, self.events, keep=True)

    def reads(self, source: ExpressionSource) -> bool:
        """Whether workers can read counts: by cell, sparse, in a file."""
        if source.axis != "cells" or source.origin is None:
            return False
        try:
            return len(source.values_by_line()) == source.shape[0]
        except NotImplementedError:
            return False

    def raw(self, group: h5py.Group, source: ExpressionSource) -> NotCountsError | None:
        """Write ``raw`` by cell; return why it is none, where a value is no count."""
        origin = by_gene.required_origin(source)
        counts = source.values_by_line()
        where = {"origin": origin.to_dict(), "genes": source.shape[1], "axis": "cells"}
        content = {"values": origin.determining(), "matrix": "raw", "shape": list(source.shape)}
        made = self._begun("cells", counts, content, where)
        try:
            for _ in self._written(group, source.shape, made):
                if self._genes is None and self._cutting is not None and self._cutting.is_done:
                    self._begun_genes()
        except NotCountsError as error:
            made.work.drop()
            return error
        return None

    def clear(self) -> None:
        """Remove what was left for others to read; called when all is written."""
        for thread in (self._removing, remove_beside(self.run.folder / CHUNK_FOLDER)):
            if thread is not None:
                thread.join()

    def _begun(
        self,
        axis: Axis,
        counts: NDArray[np.int64],
        content: Mapping[str, Any],
        where: Mapping[str, Any],
    ) -> _Making:
        folder = self.run.folder / CHUNK_FOLDER
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f'The folder "{folder}" cannot be made: {error.strerror}.'
            raise OutputError(message, "Make room, or set CELLFERRY_HOME.") from error
        ends = np.concatenate([[0], np.cumsum(counts)])
        total = int(ends[-1])
        name = f"{__name__}:"
        length = _chunk_length(total)
        step = even_length(-(-total // length), FEWEST_CHUNKS, CHUNKS) * length
        job = Job(
            f"{name}chunks",
            {**content, "chunk": length, "axis": axis, "lz4": lz4.ACCELERATION},
            {**where, "chunks": str(folder.resolve()), "folder": where.get("folder")},
            f"{name}check",
        )
        units = []
        for start in range(0, total, step):
            stop = min(start + step, total)
            first = int(np.searchsorted(ends, start, "right")) - 1
            last = int(np.searchsorted(ends, stop, "left"))
            place = [start, stop, first, last, int(ends[first]), int(ends[last])]
            units.append(Unit(f"{content['matrix']}, values {start:,} on", (place,), stop - start))

        def file_of(unit: Unit) -> Path:
            start = cast("list[int]", unit.arguments[0])[0]
            return folder / _chunk_name(str(content["matrix"]), start)

        def is_there(unit: Unit, found: Remembered) -> bool:
            known = found.arrays()
            return bool(len(known["refused"])) or is_whole(file_of(unit), known)

        work = self.cluster.begin(job, units, self.run, self.events, "values", is_whole=is_there)
        return _Making(axis, counts, length, work, [file_of(unit) for unit in units])

    def _written(
        self, group: h5py.Group, shape: tuple[int, int], making: _Making
    ) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Write the chunks in their order, and yield what each unit returned.

        Raises
        ------
        NotCountsError
            A value is no count.
        """
        import hdf5plugin

        total, length = int(making.counts.sum()), making.length
        group.attrs["n_obs"], group.attrs["n_vars"] = (np.int64(n) for n in shape)
        dtypes = {"indices": np.int32, "data": np.float32 if making.axis == "genes" else np.int32}
        made = {
            name: group.create_dataset(
                name, (total,), dtype, maxshape=(None,), chunks=(length,), **hdf5plugin.LZ4()
            )
            for name, dtype in dtypes.items()
        }
        place = 0
        for kept, path in zip(making.work, making.files, strict=True):
            arrays = kept.arrays()
            for value in arrays["refused"]:
                raise NotCountsError(float(value))
            with path.open("rb") as file:
                for pair in arrays["sizes"].tolist():
                    for name, size in zip(dtypes, pair, strict=True):
                        made[name].id.write_direct_chunk((place,), file.read(size))
                    place += length
            yield arrays
        ends = np.concatenate([[0], np.cumsum(making.counts)])
        group.create_dataset("indptr", data=ends.astype("i8"))


@dataclass(frozen=True)
class _Making:
    """The chunks of a matrix that are being made, in ``files``, a file for each unit."""

    axis: Axis
    counts: NDArray[np.int64]
    length: int
    work: Work
    files: Sequence[Path]


def _chunk_length(total: int) -> int:
    return CHUNK if total >= CHUNK else max(1, total)


def _chunk_name(matrix: str, start: int) -> str:
    return f"{matrix}-{start:014d}.bin"


def _statistics_of(arrays: Mapping[str, NDArray[Any]]) -> BlockStatistics:
    values = {name: arrays[f"statistics_{name}"] for name in _KEPT}
    return BlockStatistics(
        values["expressed"],
        int(values["first_gene"]),
        float(values["smallest"]),
        float(values["largest"]),
        bool(values["all_whole"]),
        None,
    )


_KEPT = tuple(column.name for column in fields(BlockStatistics) if column.name != "total")


# --- on the workers ---------------------------------------------------------------------


def check(where: Mapping[str, Any]) -> None:
    """Raise where this worker does not see what it needs."""
    by_gene.check(where)
    by_gene.check({**where, "folder": where["chunks"]})
    if lz4.compressor() is None:
        message = "hdf5plugin shows no LZ4 compressor here."
        raise InputError(message, "Install it by pip: pip install hdf5plugin")


def chunks(
    shared: Mapping[str, Any], where: Mapping[str, Any], place: Sequence[int]
) -> dict[str, NDArray[Any]]:
    """Compress some values of a matrix, and leave them in the folder.

    Parameters
    ----------
    shared, where
        Of the job.
    place
        First and last place among all values of the matrix; the first of the genes (or cells) that
        have them, and the one after the last; first and last place of all values of these.
    """
    start, stop, first, last, begin, end = place
    by_genes = shared["axis"] == "genes"
    block = by_gene.genes_between(where, first, last) if by_genes else _cells(where, first, last)
    if block.nnz != end - begin:
        message = "A row of the matrix has a gene twice, or fewer values than it says."
        raise InputError(message, "Build without `scheduler`.")
    wanted = slice(start - begin, stop - begin)
    found: dict[str, NDArray[Any]] = {"refused": np.zeros(0)}
    try:
        data = _converted(block.data[wanted], shared["matrix"])
    except NotCountsError as error:
        return {"refused": np.array([error.value]), "sizes": np.zeros((0, 2), np.int64)}
    if by_genes:
        found |= _counted(shared, where, block, wanted, first)
    length, matrix = int(shared["chunk"]), str(shared["matrix"])
    sizes: list[list[int]] = []

    def made() -> Iterator[memoryview]:
        for at in range(0, len(data), length):
            pair = []
            for values in (block.indices[wanted], data):
                chunk = memoryview(lz4.compress(_padded(values[at : at + length], length)))
                pair.append(chunk.nbytes)
                yield chunk
            sizes.append(pair)

    known = write_piece(Path(where["chunks"]) / _chunk_name(matrix, start), made())
    return {**found, **known, "sizes": np.array(sizes, np.int64).reshape(-1, 2)}


def _padded(values: NDArray[np.number], length: int) -> list[NDArray[np.number]]:
    missing = length - len(values)
    return [values, np.zeros(missing, values.dtype)] if missing else [values]


def _converted(values: NDArray[np.number], matrix: str) -> NDArray[np.number]:
    return as_counts(values) if matrix == "raw" else values.astype(np.float32, copy=False)


def _cells(where: Mapping[str, Any], first: int, last: int) -> Block:
    from scipy.sparse import vstack

    genes = ("",) * int(where["genes"])
    with opened_origin(Origin.from_dict(where["origin"]), genes) as source:
        blocks = [canonical(block) for _, block in source.rows_between(first, last)]
    return blocks[0] if len(blocks) == 1 else vstack(blocks, format="csr")


def _counted(
    shared: Mapping[str, Any], where: Mapping[str, Any], block: Block, wanted: slice, first: int
) -> dict[str, NDArray[Any]]:
    """Return in which clusters the values are; a gene may go on in the next unit."""
    _, clusters = read_groups(where["groups"], shared["groups"])
    assert clusters is not None
    pointers = np.clip(block.indptr, wanted.start, wanted.stop) - wanted.start
    part = sparse_view((block.data[wanted], block.indices[wanted], pointers), block.shape, "genes")
    names = [str(i) for i in range(first + int(block.shape[1]))]
    found = ExpressionStatistics(names, clusters).of_block(first, part, "genes")
    return {f"statistics_{name}": np.asarray(getattr(found, name)) for name in _KEPT}
