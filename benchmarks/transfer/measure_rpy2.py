"""One measurement with R inside this process: measure_rpy2.py METHOD MILLIONS_OF_VALUES.

Prints JSON: seconds, extra peak memory in bytes, bytes of the matrix, or an error.
"""

from __future__ import annotations

import json
import mmap
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData
    from rpy2.rinterface import Sexp
    from rpy2.robjects.conversion import Converter

HERE = Path(__file__).resolve().parent


def memory(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def warm(size: int) -> None:
    """Touch the memory that will be needed; see measure.R."""
    with mmap.mmap(-1, size) as touched:
        zeros = bytes(1 << 20)
        for start in range(0, size - len(zeros), len(zeros)):
            touched[start : start + len(zeros)] = zeros


def anndata2ri_rules() -> Converter:
    import anndata2ri
    from rpy2.robjects import default_converter

    return default_converter + anndata2ri.converter


def to_anndata(robj: Sexp) -> AnnData:
    from cellferry.seurat import to_anndata as convert

    return convert(robj)


def to_seurat(adata: AnnData) -> Sexp:
    from cellferry.seurat import to_seurat as convert

    return convert(adata)


def anndata2ri_read(robj: Sexp) -> AnnData:
    return anndata2ri_rules().rpy2py(robj)


def anndata2ri_write(adata: AnnData) -> Sexp:
    return anndata2ri_rules().py2rpy(adata)


def make_adata(values: int, genes: int = 30_000, per_cell: int = 2_000) -> AnnData:
    """Return the matrix of objects.R as an AnnData."""
    import anndata
    import numpy as np
    from scipy import sparse

    rng = np.random.default_rng(1)
    n = values // per_cell
    patterns = [np.sort(rng.choice(genes, per_cell, replace=False)) for _ in range(50)]
    indices = np.resize(np.concatenate(patterns), n * per_cell).astype("i4")
    data = np.resize(np.log1p(rng.exponential(size=per_cell * 50)), n * per_cell)
    indptr = np.arange(0, n * per_cell + 1, per_cell, dtype="i4")
    made = anndata.AnnData(sparse.csr_matrix((data, indices, indptr), shape=(n, genes)))
    made.obs_names = [f"cell{i}" for i in range(n)]
    made.var_names = [f"gene{i}" for i in range(genes)]
    made.obs["group"] = np.resize(["a", "b", "c"], n)
    return made


def main() -> int:
    method, millions = sys.argv[1], float(sys.argv[2])
    values = int(millions * 1e6)
    size = 12 * values + 4 * (values // 2_000 + 1)
    answer: dict[str, float | str] = {"bytes": size}
    try:
        import rpy2.robjects as ro

        ro.r["source"](str(HERE / "objects.R"))
        ro.r["options"](warn=-1)
        if method in {"to_seurat", "anndata2ri_write"}:
            given = make_adata(values)
            small = make_adata(200_000)
        else:
            make = "make_object" if method == "to_anndata" else "make_experiment"
            given = ro.r(f"{make}(make_matrix({values}))")
            small = ro.r(f"{make}(make_matrix(200000))")
        convert = globals()[method]
        # Imports and the sourcing of R code are not part of a transfer.
        convert(small)
        ro.r("invisible(gc())")
        warm(4 * size)
        before = memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        start, started = time.perf_counter(), time.process_time()
        kept = convert(given)
        answer["seconds"] = time.perf_counter() - start
        answer["cpu"] = time.process_time() - started
        answer["extra"] = memory("VmHWM") - before
        del kept
    except Exception as error:
        answer["error"] = str(error).strip().splitlines()[0] if str(error) else repr(error)
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
