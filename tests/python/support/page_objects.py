"""Objects for tests of the page: cells of known types with real marker genes."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
from scipy import sparse

import cellferry
from cellferry.biology.gene_tables import known_symbols

TYPES = {
    "CD4-positive, alpha-beta T cell": ["CD3D", "CD3E", "IL7R", "TRAC", "LTB", "CD4"],
    "CD8-positive, alpha-beta T cell": ["CD3D", "CD3E", "CD8A", "CD8B", "TRAC", "GZMK"],
    "natural killer cell": ["NKG7", "GNLY", "KLRD1", "PRF1", "FGFBP2", "KLRF1"],
    "B cell": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1", "CD22"],
    "plasma cell": ["MZB1", "JCHAIN", "SDC1", "XBP1", "IGHG1", "DERL3"],
    "classical monocyte": ["CD14", "LYZ", "S100A8", "S100A9", "VCAN", "FCN1"],
    "non-classical monocyte": ["FCGR3A", "MS4A7", "CDKN1C", "LST1", "LYZ", "FCN1"],
    "conventional dendritic cell": ["FCER1A", "CD1C", "CLEC10A", "HLA-DRA", "LYZ", "CST3"],
    "plasmacytoid dendritic cell": ["LILRA4", "CLEC4C", "IL3RA", "GZMB", "TCF4", "IRF7"],
    "platelet": ["PPBP", "PF4", "GP9", "ITGA2B", "TUBB1", "NRGN"],
    "erythrocyte": ["HBB", "HBA1", "HBA2", "ALAS2", "GYPA", "AHSP"],
    "hematopoietic stem cell": ["CD34", "SPINK2", "AVP", "PRSS57", "SOX4", "KIT"],
}


def typed_cells(n_cells=1500, n_clusters=12, n_genes=600, seed=0):
    """Return log-normalised cells of `n_clusters` clusters with an embedding and metadata."""
    random = np.random.default_rng(seed)
    names = list(dict.fromkeys(g for genes in TYPES.values() for g in genes))
    others = sorted(known_symbols("human") - set(names))
    names += [others[i] for i in random.permutation(len(others))[: n_genes - len(names)]]
    place = {gene: i for i, gene in enumerate(names)}
    kinds = list(TYPES.values())
    shares = random.dirichlet(np.full(n_clusters, 2.0))
    codes = np.sort(random.choice(n_clusters, n_cells, p=shares))
    random.shuffle(codes)
    rates = np.full((n_clusters, len(names)), 0.08)
    rates[:, -40:] = 1.5
    for cluster in range(n_clusters):
        for gene in kinds[cluster % len(kinds)]:
            rates[cluster, place[gene]] = 5 + random.random() * 4
    counts = random.poisson(rates[codes]).astype(np.float32)
    total = counts.sum(axis=1, keepdims=True)
    values = np.log1p(counts / np.maximum(total, 1) * 1e4)
    angles = np.arange(n_clusters) * 2.39996
    centres = (
        np.column_stack([np.cos(angles), np.sin(angles)])
        * np.sqrt(np.arange(n_clusters) + 1)[:, None]
        * 3
    )
    umap = centres[codes] + random.normal(0, 0.9, (n_cells, 2))
    obs = pd.DataFrame(
        {
            "leiden": pd.Categorical([str(c) for c in codes], [str(c) for c in range(n_clusters)]),
            "sample": pd.Categorical(random.choice(["donor 1", "donor 2", "donor 3"], n_cells)),
            "nCount_RNA": total[:, 0],
            "nFeature_RNA": (counts > 0).sum(axis=1),
            "percent.mt": random.gamma(2, 2, n_cells),
            "scDblFinder.class": random.choice(["singlet", "doublet"], n_cells, p=[0.93, 0.07]),
        },
        index=[f"cell{i}" for i in range(n_cells)],
    )
    adata = anndata.AnnData(sparse.csr_matrix(values), obs=obs, var=pd.DataFrame(index=names))
    adata.layers["counts"] = sparse.csr_matrix(counts)
    adata.obsm["X_umap"] = umap
    adata.obsm["X_tsne"] = umap[:, ::-1] * [1, -2] + random.normal(0, 0.5, umap.shape)
    return adata


def labelled_cells(n_cells=1500, n_clusters=12, n_genes=600, seed=0):
    """Return :func:`typed_cells` with labels of the local engine."""
    adata = typed_cells(n_cells, n_clusters, n_genes, seed)
    cellferry.annotate_clusters(adata, group_key="leiden", progress=False)
    return adata
