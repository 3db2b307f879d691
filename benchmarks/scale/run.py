"""A cluster of dask beside one machine: cells, markers, artifacts and a consensus of one .h5ad.

``python -m benchmarks.scale.run`` prints a row for each size and each kind of work. Sizes are those
of ``--cells``; the file of each is made block by block, and removed after (``--keep``). With
``--transcripts 2100`` a cell has 1,400 genes and a million cells 22 GB, with 300 it has 280 genes
and a million cells 4.5 GB; scratch is twice that of the largest file.

The cost of a million cells is a line through all but the largest size, which is then compared with
the largest (model.py). Beside it what scanpy and celltypist do with the same cells, as far as they
do it (others.py). The machine is named with its load: a busy one makes every figure larger.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import h5py
import hdf5plugin  # noqa: F401 - registers the filter
import numpy as np
import psutil
from distributed import Client

import cellferry
from benchmarks.scale.atlas import DENSE, write_atlas
from benchmarks.scale.model import Model
from benchmarks.scale.others import OTHERS, measured_other

if TYPE_CHECKING:
    from cellferry.annotations.cells import CellAnnotations

SIZES = (62_500, 125_000, 250_000, 500_000, 1_000_000, 2_000_000)
MEMORY = "1500MB"
STEP = 1 << 24
QUIET = {"progress": False}


Digest: TypeAlias = Callable[[], str]
"""Returns a hash of what was answered; called when the time was taken."""


def made(folder: Path, cells: int, transcripts: int) -> Path:
    """Return a file of so many cells, whose genes have symbols that the engine knows."""
    path = folder / f"{cells}-{transcripts}.h5ad"
    if not path.exists():
        write_atlas(path, cells, transcripts)
    return path


def cells(path: Path, _folder: Path, scheduler: str | None) -> Digest:
    """Annotate all cells."""
    found = cellferry.annotate_cells(path, scheduler=scheduler, **QUIET)
    return lambda: _of_cells(found)


def _of_cells(found: CellAnnotations) -> str:
    parts = [found.label.levels, found.label.codes.tobytes(), found.confidence.tobytes()]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def markers(path: Path, _folder: Path, scheduler: str | None) -> Digest:
    """Find the markers of all clusters."""
    found = cellferry.find_markers(path, "leiden", only_pos=True, scheduler=scheduler, **QUIET)

    def digest() -> str:
        columns = (found.cluster, found.p_val, found.avg_log2fc, found.pct_1)
        genes = repr(found.gene.tolist()).encode()
        return hashlib.sha256(genes + b"".join(c.tobytes() for c in columns)).hexdigest()

    return digest


def artifacts(path: Path, folder: Path, scheduler: str | None) -> Digest:
    """Build both files; what is compared are the values in vars.h5."""
    target = folder / "vars.h5"
    cellferry.build_artifacts(
        path, group_key="leiden", vars_h5_path=target, obs_duckdb_path=folder / "obs.duckdb",
        scheduler=scheduler, **QUIET,
    )  # fmt: skip
    return lambda: _of_vars(target)


def _of_vars(target: Path) -> str:
    digest = hashlib.sha256()
    with h5py.File(target) as file:
        for name in ("vars/indptr", "raw/indptr"):
            digest.update(file[name][()].tobytes())
        for name in ("vars/indices", "vars/data", "raw/indices", "raw/data"):
            for start in range(0, len(file[name]), STEP):
                digest.update(file[name][start : start + STEP].tobytes())
    return digest.hexdigest()


def consensus(path: Path, _folder: Path, scheduler: str | None) -> Digest:
    """Count the labels of two tools."""
    names = ["predicted_labels", "SingleR.labels"]
    found = cellferry.consensus(path, names, scheduler=scheduler)
    return lambda: _of_cells(found)


WORK: dict[str, Callable[[Path, Path, str | None], Digest]] = {
    "cells": cells, "markers": markers, "artifacts": artifacts, "consensus": consensus,
}  # fmt: skip


class Watched:
    """Memory and processor time of other processes while a block runs."""

    def __init__(self, scheduler: psutil.Process, workers: list[psutil.Process]) -> None:
        self.most, self._scheduler, self._workers, self._over = 0, scheduler, workers, False
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def _children(self) -> list[psutil.Process]:
        return [child for parent in self._workers for child in parent.children(recursive=True)]

    def _look(self) -> None:
        # Who the children are takes longer to find than how large they are: a worker that was
        # begun again is found a while later.
        turn, children = 0, self._children
        while not self._over:
            for child in children:
                try:
                    self.most = max(self.most, child.memory_info().rss)
                except psutil.Error:
                    turn = -1
            time.sleep(0.1)
            turn += 1
            if turn % 50 == 0:
                children = self._children

    def _times(self) -> np.ndarray:
        def of(processes: list[psutil.Process]) -> float:
            return sum(sum(p.cpu_times()[:2]) for p in processes)

        whole = psutil.cpu_times()
        # Of a worker both its nanny and the process that works.
        return np.array([
            time.process_time(), of([self._scheduler]), of(self._workers + self._children),
            whole.user + whole.system + whole.nice, whole.iowait,
        ])  # fmt: skip

    def __enter__(self) -> Watched:
        self._before, self._started = self._times(), time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started
        *ours, whole, self.waiting = (self._times() - self._before).tolist()
        self.client, self.scheduler, self.workers = ours
        self.others = max(0.0, whole - sum(ours))
        self._over = True
        self._thread.join()


@contextmanager
def cluster(n_workers: int, folder: Path) -> Iterator[tuple[str, Watched]]:
    """Yield the address of a cluster of workers of one thread each, and what watches it."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def begun(*arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    processes = [begun("scheduler", "--port", "0", "--host", "127.0.0.1",
                       "--scheduler-file", str(file))]  # fmt: skip
    try:
        while not file.exists() or not file.read_text().strip():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        workers = [
            begun("worker", address, "--nthreads", "1", "--memory-limit", MEMORY,
                  "--local-directory", str(folder / "scratch"))
            for _ in range(n_workers)
        ]  # fmt: skip
        processes += workers
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(n_workers, timeout=120)
            # What a worker imports once is no part of the work.
            client.run(_imported)
        first, *others = (psutil.Process(p.pid) for p in processes)
        yield address, Watched(first, others)
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


def _imported() -> None:
    import cellferry.artifacts.ranges.vars_h5
    import cellferry.engines.local.cells
    import cellferry.study.markers.compiled  # noqa: F401


@dataclass
class Row:
    """One size of one kind of work: seconds of the three ways, and what they took."""

    work: str
    cells: int
    values: int
    machine: float
    one: float
    two: float
    client: float
    scheduler: float
    worker: float
    both: float
    others: float
    waiting: float
    memory: int
    same: bool

    @property
    def bound(self) -> float:
        """Speed-up if what one worker does were halved and nothing else: Amdahl's law."""
        alone = max(0.0, self.one - self.worker)
        return self.one / (alone + min(self.one, self.worker) / 2)


def measured(path: Path, folder: Path, name: str, runs: int) -> Row:
    """Return the best of some runs of each way, and whether all gave the same."""
    os.environ["CELLFERRY_HOME"] = str(folder / "home")
    hashes = set()
    machine = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        digest = WORK[name](path, folder, None)
        machine = min(machine, time.perf_counter() - started)
        hashes.add(digest())
    best: dict[int, Watched] = {}
    for n in (1, 2):
        for _ in range(runs):
            with cluster(n, folder) as (address, watched), watched:
                digest = WORK[name](path, folder, address)
            hashes.add(digest())
            shutil.rmtree(folder / "home", ignore_errors=True)
            if n not in best or watched.seconds < best[n].seconds:
                best[n] = watched
    one, two = best[1], best[2]
    with h5py.File(path) as file:
        cells, values = len(file["X/indptr"]) - 1, len(file["X/data"])
    return Row(
        name, cells, values, machine, one.seconds, two.seconds, two.client, two.scheduler,
        one.workers, two.workers, two.others, two.waiting, max(one.most, two.most),
        len(hashes) == 1,
    )  # fmt: skip


HEAD = (
    "work", "cells", "machine s", "1 worker s", "2 workers s", "speed-up", "bound", "to machine",
    "doubling", "client", "sched.", "1 w. cpu", "2 w. cpu", "others", "i/o wait",
    "worker MB", "same",
)  # fmt: skip
EXPLAINED = """
Seconds of one machine (all processors) and of workers of one thread; the speed-up of two workers,
and its bound if all that one worker does (its processor time) were halved and nothing else; two
workers by one machine; how much longer twice the cells take; processor seconds of the client and
the scheduler (with two workers), of one worker and of both; those of other processes meanwhile,
and of waiting for the disk; the most memory of a worker.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--work", nargs="+", default=list(WORK), choices=list(WORK))
    parser.add_argument("--folder", type=Path, help="Where the files are made and kept.")
    parser.add_argument("--transcripts", type=int, default=DENSE, help="Of a cell, on average.")
    parser.add_argument("--runs", type=int, default=1, help="Of each way; the best counts.")
    parser.add_argument("--keep", action="store_true", help="Keep the files that were made.")
    parser.add_argument("--beside", nargs="*", default=list(OTHERS), choices=list(OTHERS))
    parser.add_argument("--beside-to", type=int, default=125_000, help="Most cells of these.")
    given = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"{EXPLAINED}\n{('{:>12}' * len(HEAD)).format(*HEAD)}", flush=True)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="cellferry-scale-", dir=given.folder) as temporary:
        folder = given.folder or Path(temporary)
        for n in sorted(given.cells):
            path = made(folder, n, given.transcripts)
            for name in given.work:
                row = measured(path, Path(temporary), name, given.runs)
                before = next((r for r in reversed(rows) if r.work == name), None)
                rows.append(row)
                print(("{:>12}" * len(HEAD)).format(*_printed(row, before)), flush=True)
            if n <= given.beside_to:
                for other in given.beside:
                    print(measured_other(other, path), flush=True)
            if not given.keep:
                path.unlink()
    for name in given.work:
        mine = [r for r in rows if r.work == name]
        if len(mine) > 2:
            sizes = [(r.cells, r.values) for r in mine]
            print(f"{name}, one worker: {Model.told(sizes, [r.one for r in mine])}")


def _printed(row: Row, before: Row | None) -> tuple[str, ...]:
    doubling = ""
    if before is not None:
        doubling = f"{(row.one / before.one) ** (1 / np.log2(row.cells / before.cells)):.2f}"
    return (
        row.work, f"{row.cells:,}", f"{row.machine:.1f}", f"{row.one:.2f}", f"{row.two:.2f}",
        f"{row.one / row.two:.2f}", f"{row.bound:.2f}", f"{row.two / row.machine:.2f}", doubling,
        f"{row.client:.1f}", f"{row.scheduler:.1f}", f"{row.worker:.1f}", f"{row.both:.1f}",
        f"{row.others:.1f}", f"{row.waiting:.1f}", f"{row.memory / 1e6:.0f}", str(row.same),
    )  # fmt: skip


if __name__ == "__main__":
    main()
