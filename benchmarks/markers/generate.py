"""The matrices that markers are found in, as arrays in a folder that Python and R read.

They are those of the benchmark of artifacts: 20,000 genes, 20 clusters, 7 % of the values above
zero; the matrix of fewer cells is the beginning of the larger one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from benchmarks.artifacts.generate import N_CLUSTERS, N_GENES, blocks, write_h5ad

if TYPE_CHECKING:
    import anndata

TYPES = {"data": "<f4", "indices": "<i4", "indptr": "<i4", "clusters": "<i4"}
GENES = [f"GENE{i}" for i in range(N_GENES)]


def write_arrays(folder: Path, cells: int) -> None:
    """Write data, indices, indptr and clusters of a CSR matrix of cells x genes."""
    folder.mkdir(parents=True)
    made = list(blocks(cells))
    matrix = sparse.csr_matrix(sparse.vstack([values for _, values, _ in made], format="csr"))
    clusters = np.concatenate([codes for _, _, codes in made])
    for name, dtype in TYPES.items():
        values = clusters if name == "clusters" else getattr(matrix, name)
        values.astype(dtype).tofile(folder / name)


def write_file(path: Path, cells: int) -> None:
    """Write an .h5ad of log-normalised values, piece by piece."""
    partial = path.with_suffix(".making")
    write_h5ad(partial, cells, counts=False)
    partial.rename(path)


def read(folder: Path, kept: str) -> anndata.AnnData:
    """Return the AnnData of a folder, its matrix kept by ``"rows"`` or by ``"genes"``."""
    import anndata
    import pandas as pd

    found = {name: np.fromfile(folder / name, dtype) for name, dtype in TYPES.items()}
    n = len(found["clusters"])
    arrays = (found["data"], found["indices"], found["indptr"])
    matrix = sparse.csr_matrix(arrays, shape=(n, N_GENES))
    names = [f"c{i}" for i in range(N_CLUSTERS)]
    obs = pd.DataFrame(
        {"leiden": pd.Categorical.from_codes(found["clusters"], names)},
        index=[f"cell{i}" for i in range(n)],
    )
    x = matrix.tocsc() if kept == "genes" else matrix
    return anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=GENES))
