"""Seconds and memory of training and applying the engine ``reference``.

``python -m benchmarks.reference.run [--cells 100000] [--genes 2000] [--classes 20]``

Counts are drawn: each class has 60 genes of its own that are expressed five times as much, and
about a tenth of the values is not zero. A tenth of the cells is not trained on and says
how often the labels are right. Seconds are those of the clock and those of the processor, of all
threads.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, vstack

import cellferry


def drawn(n_cells: int, n_genes: int, n_classes: int, seed: int = 0) -> anndata.AnnData:
    """Return raw counts of cells of known classes."""
    random = np.random.default_rng(seed)
    base = random.gamma(0.35, 0.4, n_genes)
    rates = np.tile(base, (n_classes, 1))
    for k in range(n_classes):
        rates[k, random.choice(n_genes, 60, replace=False)] *= 5
    codes = random.integers(0, n_classes, n_cells)
    parts = []
    for start in range(0, n_cells, 10_000):
        of = codes[start : start + 10_000]
        depth = random.lognormal(0, 0.3, len(of))[:, None]
        parts.append(csr_matrix(random.poisson(rates[of] * depth).astype(np.float32)))
    names = [f"GENE{i}" for i in range(n_genes)]
    return anndata.AnnData(
        vstack(parts, format="csr"),
        obs=pd.DataFrame(
            {"label": [f"type {k}" for k in codes]}, index=[f"c{i}" for i in range(n_cells)]
        ),
        var=pd.DataFrame(index=names),
    )


def timed(what: str, work):
    """Say how long it took, and return what it returned."""
    clock, processor = time.perf_counter(), time.process_time()
    found = work()
    taken = time.perf_counter() - clock, time.process_time() - processor
    print(f"{what}: {taken[0]:.1f} s of the clock, {taken[1]:.1f} s of the processor")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("cells", 100_000), ("genes", 2_000), ("classes", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    adata = drawn(given.cells, given.genes, given.classes)
    filled = adata.X.nnz / (adata.n_obs * adata.n_vars)
    print(f"{adata.n_obs:,} cells x {adata.n_vars:,} genes, {100 * filled:.0f} % not zero")
    held = np.arange(adata.n_obs) % 10 == 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        model = timed("train", lambda: cellferry.train_reference(adata, "label", path))
        print(model.about["cross_validation"], f"{path.stat().st_size / 1e6:.1f} MB")
        found = timed(
            "apply",
            lambda: cellferry.annotate_cells(adata, engine="reference", model=path, progress=False),
        )
        other = Path(folder) / "other.npz"
        cellferry.train_reference(adata[~held], "label", other)
        new = cellferry.annotate_cells(
            adata[held].copy(), engine="reference", model=other, progress=False
        )
    truth = adata.obs["label"].astype(str).to_numpy()
    for what, answer, at in (("seen", found, ~held | held), ("not seen", new, held)):
        labels = answer.label.values()
        named = labels != "Unknown"
        right = float((labels == truth[at])[named].mean())
        print(f"{what}: {100 * named.mean():.1f} % labelled, {100 * right:.1f} % of them right")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"at most {peak:.1f} GB of memory")


if __name__ == "__main__":
    main()
