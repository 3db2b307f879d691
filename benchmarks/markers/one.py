"""Time and memory of one way to the markers; prints one JSON object.

    python -m benchmarks.markers.one WAY FOLDER CELLS

WAY is ``ours rows``, ``ours genes``, ``ours file``, ``illico rows``, ``illico genes``,
``scanpy t-test`` or ``scanpy wilcoxon``. What was found is written to the folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.artifacts.measure import forget_peak, prepare, resident

from .generate import N_CLUSTERS, N_GENES, read

SCANPY_GENES = 400
"""Of which scanpy's Wilcoxon test is timed: it sorts them as dense columns."""
NAMES = [f"c{i}" for i in range(N_CLUSTERS)]


def ours(data: Any) -> pd.DataFrame:
    from cellferry import find_markers

    return find_markers(data, "leiden", progress=False).to_frame()


def illico(data: Any) -> pd.DataFrame:
    from illico import asymptotic_wilcoxon
    from loguru import logger

    logger.remove()
    return asymptotic_wilcoxon(
        data, group_keys="leiden", reference=None, is_log1p=True, n_threads=2
    )


def scanpy(method: str) -> Callable[[Any], Any]:
    import scanpy as sc

    def run(data: Any) -> Any:
        sc.tl.rank_genes_groups(data, "leiden", method=method)
        return data

    return run


def matrix_of(found: Any, way: str) -> np.ndarray:
    """Return the p-values of genes x clusters."""
    table = np.full((N_GENES, N_CLUSTERS), np.nan)
    if way.startswith("scanpy"):
        stored = found.uns["rank_genes_groups"]
        for j, name in enumerate(NAMES):
            places = [int(gene[4:]) for gene in stored["names"][name]]
            table[places, j] = stored["pvals"][name]
        return table
    if way.startswith("illico"):
        found = found.reset_index().rename(columns={"pert": "cluster", "feature": "gene"})
        found = found.rename(columns={"p_value": "p_val"})
    genes = found["gene"].astype(str).str[4:].astype(int)
    clusters = found["cluster"].astype(str).str[1:].astype(int)
    table[genes, clusters] = found["p_val"]
    return table


def all_of_ours(data: Any) -> pd.DataFrame:
    from cellferry import find_markers

    every = {"return_thresh": 2.0, "min_pct": 0.0, "logfc_threshold": 0.0, "min_cells_feature": 0}
    return find_markers(data, "leiden", progress=False, **every).to_frame()


def main() -> None:
    way, folder, cells = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    library, how = way.split(" ")
    run = {"ours": ours, "illico": illico}.get(library) or scanpy(how)
    genes = SCANPY_GENES if way == "scanpy wilcoxon" else N_GENES
    small = read(folder / "cells5000", "rows")[:400, :600].copy()
    # Importing and compiling are no part of the work.
    run(small)
    data: Any = folder / f"cells{cells}.h5ad"
    if how != "file":
        data = read(folder / f"cells{cells}", "genes" if how == "genes" else "rows")
        if genes < N_GENES:
            places = np.sort(np.random.default_rng(0).choice(N_GENES, genes, replace=False))
            data = data[:, places].copy()
    load = os.getloadavg()[0]
    prepare(3 << 30)
    forget_peak()
    base = resident()
    started, used = time.perf_counter(), os.times()
    found = run(data)
    wall = time.perf_counter() - started
    after = os.times()
    processor = after.user + after.system - used.user - used.system
    extra = resident("VmHWM") - base
    if how != "file":
        name = way.replace(" ", "-")
        if library == "ours":
            found.to_pickle(folder / f"{cells}-{name}.table")
            # R has these values as float64, and the very same p-values.
            found = all_of_ours(data) if how == "rows" else found
        np.save(folder / f"{cells}-{name}.npy", matrix_of(found, way))
    scale = N_GENES / genes
    figures = {
        "way": way, "cells": cells, "wall": wall * scale, "processor": processor * scale,
        "extra": extra, "load": load, "timed": genes if genes < N_GENES else None,
        "matrix": None if how == "file" else int(data.X.data.nbytes + data.X.indices.nbytes),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
