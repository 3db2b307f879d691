"""A cluster of dask beside one machine: cells, markers and artifacts of one .h5ad.

``python -m benchmarks.scale.run`` prints, for each size and each kind of work, the seconds of one
machine (all processors), of one worker and of two workers of one thread each, the most memory of a
worker, whether all three gave the same, and how much longer twice the cells take. Sizes are those
of ``--cells``; the file is made once for each, block by block.

The cost of a million cells is a straight line through all but the largest size (seconds of worker
by cells), which is then compared with the largest. The machine is named with its load, because a
busy one makes every figure larger.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the filter
import numpy as np
import psutil
from distributed import Client

import cellferry
from benchmarks.artifacts.generate import N_GENES, write_h5ad
from cellferry.biology.gene_tables import known_symbols
from cellferry.engines.local import Local

SIZES = (62_500, 125_000, 250_000, 500_000, 1_000_000, 2_000_000)
MEMORY = "1500MB"
STEP = 1 << 24
QUIET = {"progress": False}


def made(folder: Path, cells: int) -> Path:
    """Return a file of so many cells, whose genes have symbols that the engine knows."""
    path = folder / f"{cells}.h5ad"
    if not path.exists():
        write_h5ad(path, cells)
        symbols = known_symbols("human")
        first = [gene for gene in Local()._gene_names if gene in symbols]
        names = [*first, *sorted(symbols - set(first))][:N_GENES]
        with h5py.File(path, "r+") as file:
            index = file["var"].attrs["_index"]
            file[f"var/{index}"][...] = np.array(names, dtype=object)
    return path


def cells(path: Path, _folder: Path, scheduler: str | None) -> str:
    """Annotate all cells; return a hash of the answer."""
    found = cellferry.annotate_cells(path, scheduler=scheduler, **QUIET)
    parts = [found.label.levels, found.label.codes.tobytes(), found.confidence.tobytes()]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def markers(path: Path, _folder: Path, scheduler: str | None) -> str:
    """Find the markers of all clusters; return a hash of the table."""
    found = cellferry.find_markers(path, "leiden", only_pos=True, scheduler=scheduler, **QUIET)
    columns = (found.cluster, found.p_val, found.avg_log2fc, found.pct_1)
    genes = repr(found.gene.tolist()).encode()
    return hashlib.sha256(genes + b"".join(c.tobytes() for c in columns)).hexdigest()


def artifacts(path: Path, folder: Path, scheduler: str | None) -> str:
    """Build both files; return a hash of the values in vars.h5."""
    target = folder / "vars.h5"
    cellferry.build_artifacts(
        path, group_key="leiden", vars_h5_path=target, obs_duckdb_path=folder / "obs.duckdb",
        scheduler=scheduler, **QUIET,
    )  # fmt: skip
    digest = hashlib.sha256()
    with h5py.File(target) as file:
        for name in ("vars/indptr", "raw/indptr"):
            digest.update(file[name][()].tobytes())
        for name in ("vars/indices", "vars/data", "raw/indices", "raw/data"):
            for start in range(0, len(file[name]), STEP):
                digest.update(file[name][start : start + STEP].tobytes())
    return digest.hexdigest()


WORK: dict[str, Callable[[Path, Path, str | None], str]] = {
    "cells": cells, "markers": markers, "artifacts": artifacts,
}  # fmt: skip


class Watched:
    """The most memory of any process of workers, looked at ten times a second."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self.most, self._processes, self._over = 0, processes, False
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._over:
            for parent in self._processes:
                for child in parent.children(recursive=True):
                    try:
                        self.most = max(self.most, child.memory_info().rss)
                    except psutil.Error:
                        continue
            time.sleep(0.1)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()


@contextmanager
def cluster(n_workers: int, folder: Path) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Yield the address of a cluster of workers of one thread each, and their processes."""
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
        yield address, [psutil.Process(p.pid) for p in workers]
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait()


def _imported() -> None:
    import cellferry.artifacts.ranges.vars_h5
    import cellferry.engines.local.cells  # noqa: F401


def measured(path: Path, folder: Path, name: str) -> dict[str, object]:
    """Return the seconds of each way, the memory of a worker, and whether all gave the same."""
    os.environ["CELLFERRY_HOME"] = str(folder / "home")
    seconds: dict[str, float] = {}
    hashes, memory = set(), 0
    for way in ("one machine", "1 worker", "2 workers"):
        if way == "one machine":
            started = time.perf_counter()
            hashes.add(WORK[name](path, folder, None))
            seconds[way] = time.perf_counter() - started
            continue
        with cluster(int(way[0]), folder) as (address, workers), Watched(workers) as watched:
            started = time.perf_counter()
            hashes.add(WORK[name](path, folder, address))
            seconds[way] = time.perf_counter() - started
        memory = max(memory, watched.most)
    return {"seconds": seconds, "memory": memory, "same": len(hashes) == 1}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--work", nargs="+", default=list(WORK), choices=list(WORK))
    parser.add_argument("--folder", type=Path, help="Where the files are made and kept.")
    given = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    head = ("work", "cells", "machine s", "1 worker s", "2 workers s", "speed-up", "to machine",
            "doubling", "worker MB", "same")  # fmt: skip
    print(("{:>12}" * len(head)).format(*head))
    with tempfile.TemporaryDirectory(prefix="cellferry-scale-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        of_one: dict[str, list[tuple[int, float]]] = {name: [] for name in given.work}
        for n in given.cells:
            path = made(folder, n)
            for name in given.work:
                found = measured(path, folder, name)
                machine, one, two = found["seconds"].values()
                before = of_one[name][-1] if of_one[name] else None
                of_one[name].append((n, one))
                doubling = "" if before is None else f"{one / before[1] / (n / before[0]) * 2:.2f}"
                row = (name, f"{n:,}", f"{machine:.1f}", f"{one:.1f}", f"{two:.1f}",
                       f"{one / two:.2f}", f"{two / machine:.2f}", doubling,
                       f"{found['memory'] / 1e6:.0f}", str(found["same"]))  # fmt: skip
                print(("{:>12}" * len(row)).format(*row), flush=True)
        for name, points in of_one.items():
            if len(points) < 3:
                continue
            sizes, took = np.array(points[:-1]).T
            slope, begin = np.polyfit(sizes, took, 1)
            n, real = points[-1]
            print(
                f"{name}: {slope * 1e6:.0f} s of one worker for a million cells and {begin:.1f} s "
                f"to begin; {slope * n + begin:.0f} s expected of {n:,} cells, {real:.0f} s taken"
            )


if __name__ == "__main__":
    main()
