"""Small objects and plain readers that the tests of the artifacts share."""

import anndata
import h5py
import hdf5plugin  # noqa: F401 - registers LZ4
import numpy as np
import pandas as pd
from scipy import sparse

from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.study import Clusters, Study


def counts_matrix(n_cells, n_genes, seed=0, density=0.3):
    random = np.random.default_rng(seed)
    values = random.poisson(2, (n_cells, n_genes)) * (random.random((n_cells, n_genes)) < density)
    return values.astype(np.float32)


def log_normalised(counts):
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return np.log1p(counts / totals * 1e4).astype(np.float32)


def make_adata(n_cells=30, n_genes=12, seed=0, form=sparse.csr_matrix, counts=True):
    raw = counts_matrix(n_cells, n_genes, seed)
    random = np.random.default_rng(seed)
    adata = anndata.AnnData(
        X=form(log_normalised(raw)),
        obs=pd.DataFrame(
            {
                "leiden": pd.Categorical(random.choice(["0", "1", "10"], n_cells)),
                "donor": random.choice(["d1", "d2"], n_cells).astype(object),
                "score": random.random(n_cells),
            },
            index=[f"cell{i}" for i in range(n_cells)],
        ),
        var=pd.DataFrame(index=[f"GENE{i}" for i in range(n_genes)]),
        obsm={"X_umap": random.random((n_cells, 2)).astype(np.float32)},
    )
    if counts:
        adata.layers["counts"] = form(raw)
    return adata


def make_study(values, labels, genes=None):
    """A study of a matrix whose cells and genes are named by number."""
    n_cells, n_genes = values.shape
    genes = genes or [f"g{i}" for i in range(n_genes)]
    return Study(
        Clusters.from_labels(labels),
        group_key="group",
        cells=tuple(f"c{i}" for i in range(n_cells)),
        normalized=MatrixSource(values, genes),
    )


def read_group(path, name):
    """One matrix of a vars.h5, cells x genes, dense, read with h5py alone."""
    with h5py.File(path, "r") as file:
        if name not in file:
            return None
        group = file[name]
        shape = (int(group.attrs["n_obs"]), int(group.attrs["n_vars"]))
        arrays = (group["data"][:], group["indices"][:], group["indptr"][:])
        kind = sparse.csc_matrix if name == "vars" else sparse.csr_matrix
        return kind(arrays, shape=shape).toarray()
