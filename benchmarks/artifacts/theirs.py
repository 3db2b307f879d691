"""Time and peak memory of the published client's own writers; runs under its own Python.

    python theirs.py FOLDER INPUT.h5ad

Prints one JSON object. Nothing is sent anywhere: no job is submitted.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import anndata
import cytetype
from cytetype.core import artifacts
from cytetype.preprocessing import aggregation, extraction
from measure import forget_peak, prepare, resident, sync


def main() -> None:
    folder, source = Path(sys.argv[1]), sys.argv[2]
    adata = anndata.read_h5ad(source)
    # Touch what a session has touched before, so that loading is not counted.
    adata.X.sum()
    adata.layers["counts"].sum()
    prepare()
    forget_peak()
    base = resident()
    seconds = {}
    used = time.process_time()

    def timed(name: str, work):
        started = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - started
        return result

    names = sorted(set(adata.obs["leiden"]))
    cluster_map = {name: name for name in names}
    clusters = [str(c) for c in adata.obs["leiden"]]
    timed(
        "percentages",
        lambda: aggregation.aggregate_expression_percentages(
            adata, clusters, list(adata.var_names), 5000
        ),
    )
    timed("metadata", lambda: aggregation.aggregate_cluster_metadata(adata, "leiden", 10))
    timed(
        "coordinates",
        lambda: extraction.extract_visualization_coordinates(
            adata, "X_umap", "leiden", cluster_map, 1000
        ),
    )
    vars_h5, obs_duckdb = folder / "theirs.h5", folder / "theirs.duckdb"
    for path in (vars_h5, obs_duckdb):
        # Writing over a file makes the system flush it when it is closed.
        path.unlink(missing_ok=True)
    timed(
        "vars_h5",
        lambda: artifacts.save_features_matrix(
            str(vars_h5),
            adata.X,
            var_df=adata.var,
            var_names=adata.var_names,
            raw_mat=adata.layers["counts"],
        ),
    )
    timed(
        "obs_duckdb",
        lambda: artifacts.save_obs_duckdb(
            str(obs_duckdb), adata.obs, adata.obsm["X_umap"], "X_umap"
        ),
    )
    used = time.process_time() - used
    found = {
        "what": f"cytetype {cytetype.__version__}",
        "seconds": seconds,
        "total": sum(seconds.values()),
        "processor_seconds": used,
        "fsync": sync(vars_h5),
        "extra_memory": resident("VmHWM") - base,
        "vars_h5_bytes": vars_h5.stat().st_size,
        "obs_duckdb_bytes": obs_duckdb.stat().st_size,
    }
    print(json.dumps(found))


main()
