"""Real blood in two halves: scanpy's 700 cells with the labels of their authors."""

import warnings

import anndata
import numpy as np

LABELS = "bulk_labels"


def blood():
    """Log-normalised values of 765 genes, with labels and clusters; nothing else."""
    import scanpy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = scanpy.datasets.pbmc68k_reduced()
    made = anndata.AnnData(
        found.raw.X.copy(), obs=found.obs[[LABELS, "louvain"]].copy(), var=found.raw.var[[]].copy()
    )
    made.obs[LABELS] = made.obs[LABELS].astype(str)
    return made


def halves(seed=0):
    """Half of the cells to learn from, and the other half."""
    whole = blood()
    order = np.random.default_rng(seed).permutation(whole.n_obs)
    return whole[order[:350]].copy(), whole[order[350:]].copy()
