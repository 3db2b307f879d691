"""Write the arrays of an .h5ad for R, which has no reader of it here: INPUT.h5ad FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import anndata
import numpy as np


def main() -> None:
    data, folder = anndata.read_h5ad(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    for name, matrix in (("normalized", data.X), ("counts", data.layers["counts"])):
        matrix.indptr.astype("<i4").tofile(folder / f"{name}.indptr")
        matrix.indices.astype("<i4").tofile(folder / f"{name}.indices")
        matrix.data.astype("<f4").tofile(folder / f"{name}.data")
    # R stores a matrix by columns.
    np.ravel(data.obsm["X_umap"], order="F").astype("<f4").tofile(folder / "umap")
    data.obs.assign(cell=data.obs_names).to_csv(folder / "obs.csv", index=False)
    (folder / "genes.txt").write_text("\n".join(data.var_names) + "\n")


if __name__ == "__main__":
    main()
