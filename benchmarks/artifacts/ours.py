"""Time and peak memory of ``cellferry.build_artifacts``.

    python ours.py FOLDER INPUT.h5ad [--file]

With --file the input is read piece by piece, counts included; else it is in memory.

Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import anndata
import numpy as np
from measure import forget_peak, prepare, resident

from cellferry import build_artifacts
from cellferry.artifacts.build import Artifacts


def build(data: anndata.AnnData | str, folder: Path, name: str) -> Artifacts:
    return build_artifacts(
        data,
        group_key="leiden",
        vars_h5_path=folder / f"{name}.h5",
        obs_duckdb_path=folder / f"{name}.duckdb",
        progress=False,
    )


def stored(path: Path) -> int:
    """Return how many normalised values are in the file."""
    import h5py

    with h5py.File(path) as file:
        return len(file["vars/data"])


def main() -> None:
    folder, source = Path(sys.argv[1]), sys.argv[2]
    data = source
    if "--file" not in sys.argv:
        data = anndata.read_h5ad(source)
        # Touch what a session has touched before, so that loading is not counted.
        data.X.sum()
        data.layers["counts"].sum()
    # Importing is no part of the work: theirs has imported all it needs by now.
    warnings.simplefilter("ignore")
    small = anndata.AnnData(np.ones((4, 3), np.float32), obs={"leiden": list("aabb")})
    build(small, folder, "small")
    for path in folder.glob("ours.*"):
        # Writing over a file makes the system flush it when it is closed.
        path.unlink()
    prepare()
    forget_peak()
    base = resident()
    started, used = time.perf_counter(), time.process_time()
    built = build(data, folder, "ours")
    total = time.perf_counter() - started
    used = time.process_time() - used
    found = {
        "what": "cellferry",
        "seconds": dict(built.seconds),
        "total": total - built.seconds["fsync"],
        "processor_seconds": used,
        "fsync": built.seconds["fsync"],
        "extra_memory": resident("VmHWM") - base,
        "values": stored(built.vars_h5),
        "vars_h5_bytes": built.vars_h5.stat().st_size,
        "obs_duckdb_bytes": built.obs_duckdb.stat().st_size,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
