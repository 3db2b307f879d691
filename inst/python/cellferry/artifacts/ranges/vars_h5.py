"""Matrices of vars.h5 whose chunks workers of a cluster make, and one process writes.

The values of a matrix, in the order of the file, are cut into chunks of equal length. A unit is
some chunks that follow each other: a worker reads their values, counts in which clusters they are,
compresses them, and leaves them in the folder of the run; the file is then written chunk by chunk,
in their order, whatever the number of workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...errors import ArtifactValuesError, InputError, OutputError
from ...files import replacing
from ...runs.units import Cluster, Job, Remembered, Unit
from ...study.clusters import Clusters
from ...study.expression.blocks import canonical, sparse_view
from ...study.expression.origin import Origin
from ...study.expression.reopened import opened_origin
from ...study.expression.statistics import BlockStatistics, ExpressionStatistics
from ..vars_h5 import lz4
from ..vars_h5.chunks import CHUNK
from ..vars_h5.counts import NotCountsError, as_counts
from . import by_gene
from .sums import read_groups, read_sums_on, written_groups

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

    from ...runs.run import Run
    from ...runs.worker import Events
    from ...study.expression.source import Axis, Block, ExpressionSource
    from ..marker_sums import MarkerSums

CHUNKS = 32
"""Chunks of one unit: 8.4 million values."""
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

    def normalized(
        self, group: h5py.Group, source: ExpressionSource, statistics: ExpressionStatistics
    ) -> None:
        """Write ``vars`` by gene, and fill the statistics."""
        found = by_gene.values_by_gene(self.cluster, source, self.run, self.events)
        clusters = Clusters(statistics.cluster_names, statistics.codes)
        groups = written_groups(self.run.folder / CLUSTERS, [], clusters)
        where = {**found.where, "groups": str((self.run.folder / CLUSTERS).resolve())}
        content = {**found.determining, "matrix": "vars", "groups": groups}
        try:
            made = self._made("genes", found.counts, content, where)
        except ArtifactValuesError as error:
            # A worker knows positions, and counts cells from 1 as every message does.
            cell, gene = int(str(error.data["cell"])) - 1, int(str(error.data["gene"]))
            raise statistics.not_finite(cell, gene, missing="NaN" in error.message) from error
        self._assembled(group, source, "genes", found.counts, made)
        for kept in made:
            statistics.add(_statistics_of(kept.arrays()))
        if source.axis == "cells" and source.shape[0]:
            # What cells sum to is looked at in the first of them.
            start, block = next(iter(source.blocks(by_gene.RANGE_CELLS)))
            statistics.add_total(canonical(block), start)

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
        made = self._made("cells", counts, content, where)
        wrong = [kept.arrays()["refused"] for kept in made]
        for values in wrong:
            if len(values):
                return NotCountsError(float(values[0]))
        self._assembled(group, source, "cells", counts, made)
        return None

    def clear(self) -> None:
        """Remove what was left for others to read; called when all is written."""
        import shutil

        for name in (CHUNK_FOLDER, by_gene.FOLDER):
            shutil.rmtree(self.run.folder / name, ignore_errors=True)

    def _made(
        self,
        axis: Axis,
        counts: NDArray[np.int64],
        content: Mapping[str, Any],
        where: Mapping[str, Any],
    ) -> list[Remembered]:
        folder = self.run.folder / CHUNK_FOLDER
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            message = f'The folder "{folder}" cannot be made: {error.strerror}.'
            raise OutputError(message, "Make room, or set CELLFERRY_HOME.") from error
        ends = np.concatenate([[0], np.cumsum(counts)])
        total = int(ends[-1])
        name = f"{__name__}:"
        job = Job(
            f"{name}chunks",
            {**content, "chunk": _chunk_length(total), "axis": axis, "lz4": lz4.ACCELERATION},
            {**where, "chunks": str(folder.resolve()), "folder": where.get("folder")},
            f"{name}check",
        )
        step = CHUNKS * CHUNK
        units = []
        for start in range(0, total, step):
            stop = min(start + step, total)
            first = int(np.searchsorted(ends, start, "right")) - 1
            last = int(np.searchsorted(ends, stop, "left"))
            place = [start, stop, first, last, int(ends[first]), int(ends[last])]
            units.append(Unit(f"{content['matrix']}, values {start:,} on", (place,), stop - start))

        def is_there(unit: Unit, found: Remembered) -> bool:
            start = cast("list[int]", unit.arguments[0])[0]
            path = folder / _chunk_name(str(content["matrix"]), start)
            size = int(found.arrays()["sizes"].sum())
            return path.is_file() and path.stat().st_size == size

        return self.cluster.results(job, units, self.run, self.events, "values", is_whole=is_there)

    def _assembled(
        self,
        group: h5py.Group,
        source: ExpressionSource,
        axis: Axis,
        counts: NDArray[np.int64],
        found: list[Remembered],
    ) -> None:
        """Write the chunks in their order; the only place that writes."""
        import hdf5plugin

        total = int(counts.sum())
        group.attrs["n_obs"], group.attrs["n_vars"] = (np.int64(n) for n in source.shape)
        matrix = "vars" if axis == "genes" else "raw"
        length, folder = _chunk_length(total), self.run.folder / CHUNK_FOLDER
        dtypes = {"indices": np.int32, "data": np.float32 if axis == "genes" else np.int32}
        made = {
            name: group.create_dataset(
                name, (total,), dtype, maxshape=(None,), chunks=(length,), **hdf5plugin.LZ4()
            )
            for name, dtype in dtypes.items()
        }
        step = CHUNKS * CHUNK
        for number, kept in enumerate(found):
            self.events.check()
            sizes = kept.arrays()["sizes"]
            path = folder / _chunk_name(matrix, number * step)
            with path.open("rb") as file:
                for place, pair in enumerate(sizes.tolist()):
                    for name, size in zip(dtypes, pair, strict=True):
                        offset = (number * step + place * length,)
                        made[name].id.write_direct_chunk(offset, file.read(size))
        group.create_dataset("indptr", data=np.concatenate([[0], np.cumsum(counts)]).astype("i8"))


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
    sizes = []
    path = Path(where["chunks"]) / _chunk_name(matrix, start)
    try:
        with replacing(path) as partial, partial.open("wb") as file:
            for at in range(0, len(data), length):
                pair = []
                for values in (block.indices[wanted], data):
                    chunk = lz4.compress(_padded(values[at : at + length], length))
                    pair.append(file.write(chunk))
                sizes.append(pair)
    except OSError as error:
        message = f'The chunks "{path}" cannot be written: {error.strerror}.'
        raise OutputError(message, "Make room, or set CELLFERRY_HOME to a larger disk.") from error
    return {**found, "sizes": np.array(sizes, np.int64)}


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
