"""The same cells by scanpy and celltypist, each in a process of its own.

``scanpy``: Wilcoxon ranks of all genes and clusters. Its dask path reads and normalises by blocks,
and ``rank_genes_groups`` takes no dask array; so it is tried, what it says is printed, and the
matrix in memory is measured. ``celltypist``: labels of cells by a linear model, in memory; it has
no cluster. The model is one of the clusters of the first cells, because none may be downloaded.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

OTHERS = ("scanpy", "celltypist")


def measured_other(name: str, path: Path) -> str:
    """Return a line that says what another package took, or why it did not."""
    if importlib.util.find_spec(name) is None:
        return f"{name}: not installed here"
    command = [sys.executable, "-W", "ignore", "-m", __name__, name, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"{name}: {done.stderr.strip().splitlines()[-1]}"
    said = json.loads(done.stdout.strip().splitlines()[-1])
    return (
        f"{name}: {said['what']}: {said['seconds']:.1f} s, {said['processor']:.1f} s of processor, "
        f"{said['memory'] / 1e6:.0f} MB. {said['note']}"
    )


def _scanpy(path: Path) -> tuple[str, str, tuple[float, float]]:
    import anndata
    import dask.array as da
    import scanpy as sc

    with_dask = anndata.experimental.read_lazy(path)
    small = anndata.AnnData(
        with_dask.X[:2_500], obs=anndata.io.read_elem(_file(path)["obs"]).iloc[:2_500]
    )
    assert isinstance(small.X, da.Array)
    try:
        sc.tl.rank_genes_groups(small, "leiden", method="wilcoxon")
        note = "Its dask path does it as well."
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else ""
        note = f"With a dask array it ends: {type(error).__name__}: {first[:100]}"
    started = time.perf_counter(), time.process_time()
    adata = anndata.read_h5ad(path)
    sc.tl.rank_genes_groups(adata, "leiden", method="wilcoxon", pts=True, use_raw=False)
    return "markers by Wilcoxon, the matrix in memory", note, started


def _celltypist(path: Path) -> tuple[str, str, tuple[float, float]]:
    import anndata
    import celltypist

    adata = anndata.read_h5ad(path)
    some = adata[:2_000].copy()
    model = celltypist.train(
        some, labels="leiden", check_expression=False, n_jobs=1, max_iter=50,
        use_SGD=True, mini_batch=False, feature_selection=False,
    )  # fmt: skip
    del adata
    started = time.perf_counter(), time.process_time()
    adata = anndata.read_h5ad(path)
    celltypist.annotate(adata, model=model)
    return "labels of cells, the matrix in memory", "Its model has 20 labels.", started


def _file(path: Path):
    import h5py

    return h5py.File(path)


if __name__ == "__main__":
    work = {"scanpy": _scanpy, "celltypist": _celltypist}[sys.argv[1]]
    what, note, (wall, processor) = work(Path(sys.argv[2]))
    print(json.dumps({
        "what": what, "note": note, "seconds": time.perf_counter() - wall,
        "processor": time.process_time() - processor,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }))  # fmt: skip
