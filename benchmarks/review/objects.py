"""A labelled object of any size: cells of clusters with markers, values as sparse as real ones."""

from __future__ import annotations

import sys

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

import cellferry
from cellferry.biology.gene_tables import known_symbols
from cellferry.biology.ontology import cell_ontology


def labelled(n_cells: int, n_genes: int, n_clusters: int, per_cell: int = 300) -> anndata.AnnData:
    """Return cells x genes with log-normalised values and labels of the embedded engine."""
    random = np.random.default_rng(0)
    names = sorted(known_symbols("human"))[:n_genes]
    # Most genes are in few cells, some in most: the rank of a gene says how often it is drawn.
    weights = 1 / (10 + np.arange(n_genes))
    ends = np.cumsum(weights / weights.sum())
    order = random.permutation(n_genes)
    indptr = np.arange(n_cells + 1, dtype=np.int64) * per_cell
    indices = np.empty(n_cells * per_cell, dtype=np.int32)
    for start in range(0, n_cells, 50_000):
        stop = min(start + 50_000, n_cells)
        drawn = np.searchsorted(ends, random.random((stop - start, per_cell)))
        drawn = np.sort(order[np.minimum(drawn, n_genes - 1)], axis=1)
        indices[start * per_cell : stop * per_cell] = drawn.ravel()
    data = random.integers(1, 256, len(indices), dtype=np.uint8) / np.float32(64)
    values = sparse.csr_matrix((data, indices, indptr), shape=(n_cells, n_genes))
    values.sum_duplicates()
    # As log-normalised values are: no larger than a logarithm is.
    values.data = np.log1p(values.data * 10)
    sizes = random.dirichlet(np.full(n_clusters, 1.5))
    codes = random.choice(n_clusters, n_cells, p=sizes)
    angle = np.arange(n_clusters) * 2.39996
    radius = 4 * np.sqrt(np.arange(n_clusters) + 1)
    centres = np.column_stack([np.cos(angle) * radius, np.sin(angle) * radius])
    spread = random.normal(0, 1.4, (n_cells, 2)).astype(np.float32)
    obs = pd.DataFrame(
        {
            "cluster": pd.Categorical.from_codes(codes, [str(i) for i in range(n_clusters)]),
            "sample": pd.Categorical.from_codes(
                random.integers(0, 12, n_cells), [f"donor {i}" for i in range(12)]
            ),
            "percent.mt": random.gamma(2, 2, n_cells).astype(np.float32),
        },
        index=[f"c{i}" for i in range(n_cells)],
    )
    adata = anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=names))
    adata.obsm["X_umap"] = (centres[codes] + spread).astype(np.float32)
    markers = {str(i): names[i * 10 : i * 10 + 10] for i in range(n_clusters)}
    cellferry.annotate_clusters(adata, markers, group_key="cluster", progress=False)
    labels = [t.label for t in cell_ontology().terms.values() if not t.obsolete]
    chosen = {str(i): labels[50 + 7 * i] for i in range(n_clusters)}
    cellferry.set_labels(adata, chosen)
    return adata


if __name__ == "__main__":
    labelled(*(int(x) for x in sys.argv[2:5])).write_h5ad(sys.argv[1])
