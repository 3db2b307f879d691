"""What no writer of vars.h5 gets around, part by part, on the matrix that both writers are given.

    python floor.py FOLDER INPUT.h5ad

Prints one JSON object: for each part the seconds on all processors and the processor seconds.

read
    Every value and index of both matrices is looked at once: their sum.
copy
    Values and indices of the normalised matrix are copied once, from one end to the other. The file
    has them by gene and memory by cell, so each has to be moved; a copy is the least that can be.
compress
    The chunks of the file are compressed as they are in it, all values being in their order.
write
    The bytes of the file go to the disk as the writer writes them, past the system's cache.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anndata
import numpy as np
from measure import prepare

from cellferry.artifacts.machine import processors
from cellferry.artifacts.vars_h5 import lz4
from cellferry.artifacts.vars_h5.chunks import CHUNK
from cellferry.artifacts.vars_h5.counts import as_counts
from cellferry.artifacts.vars_h5.file import DirectIOFile, pages

STEP = 1 << 20
REPEATS = 3


def main() -> None:
    folder, source = Path(sys.argv[1]), sys.argv[2]
    data = anndata.read_h5ad(source)
    normalized, counts = data.X, data.layers["counts"]
    turned = normalized.tocsc()
    made = {
        "vars/indices": turned.indices,
        "vars/data": turned.data,
        "raw/indices": counts.indices,
        "raw/data": as_counts(counts.data),
    }
    chunk = made["raw/data"].itemsize * CHUNK
    space = pages(sum(-(-v.nbytes // chunk) for v in made.values()) * (chunk + 4096))
    copied = [np.ones_like(normalized.indices), np.ones_like(normalized.data)]
    prepare()

    def look(values: np.ndarray) -> None:
        values.sum()

    def copy(pair: tuple[np.ndarray, np.ndarray]) -> None:
        np.copyto(*pair)

    def compress(item: tuple[int, np.ndarray]) -> memoryview:
        place, values = item
        return lz4.compress([values], space[place * (chunk + 4096) :][: lz4.largest_size(chunk)])

    both = [normalized.indices, normalized.data, counts.indices, counts.data]
    pairs = zip(copied, both[:2], strict=True)
    chunks = list(enumerate(part for v in made.values() for part in cut(v, CHUNK)))
    parts = {
        "read": best(look, [part for v in both for part in cut(v, STEP)]),
        "copy": best(
            copy, [p for a, b in pairs for p in zip(cut(a, STEP), cut(b, STEP), strict=True)]
        ),
        "compress": best(compress, chunks),
    }
    compressed = [compress(item) for item in chunks]
    parts["write"] = min(written(folder / "floor.h5", compressed) for _ in range(REPEATS))
    found = {
        "what": "floor",
        "processors": processors(),
        "parts": {
            name: {"seconds": seconds, "processor_seconds": used}
            for name, (seconds, used) in parts.items()
        },
        "vars_h5_bytes": sum(len(part) for part in compressed),
    }
    print(json.dumps(found))


def cut(values: np.ndarray, step: int) -> list[np.ndarray]:
    return [values[i : i + step] for i in range(0, len(values), step)]


def best(work: Callable[..., object], items: Iterable[object]) -> tuple[float, float]:
    """Return the seconds of all processors, and the processor seconds, of the quickest run."""
    found, items = [], list(items)
    with ThreadPoolExecutor(processors()) as pool:
        for _ in range(REPEATS):
            started, used = time.perf_counter(), time.process_time()
            for _ in pool.map(work, items):
                pass
            found.append((time.perf_counter() - started, time.process_time() - used))
    return min(found)


def written(path: Path, pieces: list[memoryview]) -> tuple[float, float]:
    """Write pieces one after another, as the writer does; the file is removed."""
    path.unlink(missing_ok=True)
    started, used = time.perf_counter(), time.process_time()
    with DirectIOFile(path) as file:
        place = 0
        for piece in pieces:
            file.seek(place)
            buffer = np.frombuffer(piece, np.uint8)
            with file.kept(buffer, lambda: None):
                file.write(piece)
            place += -(-len(piece) // 4096) * 4096
        file.finish()
    found = time.perf_counter() - started, time.process_time() - used
    path.unlink()
    return found


if __name__ == "__main__":
    main()
