"""Time and memory of the consensus of a million cells and five columns, answered cell by cell.

``python -m benchmarks.consensus.run`` prints seconds and the memory above what the object takes,
for the votes alone and with the labels written into the object.
"""

from __future__ import annotations

import resource
import sys
import time

import anndata
import numpy as np
import pandas as pd

import cellferry
from cellferry.annotate.agreement import labelled_object
from cellferry.annotations.agreement.request import Asked, consensus_of
from cellferry.biology.lineage import rows

N_COLUMNS = 5


def object_of(n_cells: int, wrong: float) -> anndata.AnnData:
    """Return cells of 40 types with five columns of labels, each wrong in some cells."""
    random = np.random.default_rng(0)
    names = [row.label for row in rows() if row.level != "broad"][:40]
    truth = random.integers(0, len(names), n_cells)
    obs = {}
    for i in range(N_COLUMNS):
        codes = np.where(
            random.random(n_cells) < wrong, random.integers(0, len(names), n_cells), truth
        )
        obs[f"tool{i}"] = pd.Categorical.from_codes(codes, names)
    frame = pd.DataFrame(obs, index=pd.Index([f"cell{i}" for i in range(n_cells)]))
    return anndata.AnnData(obs=frame)


def peak() -> float:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    n_cells = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    wrong = float(sys.argv[2]) if len(sys.argv) > 2 else 0.2
    adata = object_of(n_cells, wrong)
    asked = [f"tool{i}" for i in range(N_COLUMNS)]
    cellferry.consensus(adata[:1000].copy(), asked)
    whole = labelled_object(adata)
    before, start = peak(), time.perf_counter()
    made = consensus_of(whole, Asked(asked))
    seconds, memory = time.perf_counter() - start, peak() - before
    tuples = len(adata.obs[asked].drop_duplicates())
    print(f"{n_cells} cells, {wrong:.0%} wrong, {tuples} distinct combinations")
    print(f"votes      {seconds:6.2f} s  {memory:7.0f} MB  {made.found.summary_line()}")
    before, start = peak(), time.perf_counter()
    cellferry.consensus(adata, asked)
    print(f"written    {time.perf_counter() - start:6.2f} s  {peak() - before:7.0f} MB more")


if __name__ == "__main__":
    main()
