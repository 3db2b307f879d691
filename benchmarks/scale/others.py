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
FEW = 2_500
MOST_DENSE = 10_000


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
    import scanpy as sc

    try:
        obs = anndata.io.read_elem(_file(path)["obs"]).iloc[:FEW]
        lazy = anndata.experimental.read_elem_lazy(_file(path)["X"], chunks=(FEW, -1))
        sc.tl.rank_genes_groups(anndata.AnnData(lazy[:FEW], obs=obs), "leiden", method="wilcoxon")
        note = "With a dask array it does it as well."
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else ""
        note = f"With a dask array it ends: {type(error).__name__}: {first[:100]}"
    started = time.perf_counter(), time.process_time()
    adata = anndata.read_h5ad(path)
    # SciPy's own functions, which it calls, want pointers and indices of one type.
    adata.X.indptr = adata.X.indptr.astype(adata.X.indices.dtype)
    sc.tl.rank_genes_groups(adata, "leiden", method="wilcoxon", pts=True, use_raw=False)
    return f"markers of {len(adata):,} cells by Wilcoxon, in memory", note, started


def _celltypist(path: Path) -> tuple[str, str, tuple[float, float]]:
    import anndata
    import celltypist

    with _file(path) as file:
        some = anndata.AnnData(
            anndata.io.sparse_dataset(file["X"])[:MOST_DENSE],
            obs=anndata.io.read_elem(file["obs"]).iloc[:MOST_DENSE],
            var=anndata.io.read_elem(file["var"]),
        )
    model = celltypist.train(
        some[:FEW].copy(), labels="leiden", check_expression=False, n_jobs=1, max_iter=20,
        use_SGD=True, mini_batch=False, feature_selection=False,
    )  # fmt: skip
    started = time.perf_counter(), time.process_time()
    celltypist.annotate(some, model=model)
    note = f"It makes the matrix dense, so of no more cells than {MOST_DENSE:,}; 20 labels."
    return f"labels of {len(some):,} cells by a linear model, in memory", note, started


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
