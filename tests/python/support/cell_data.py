"""Cells for tests: a small matrix of known types, and answers to deliver."""

import anndata
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from cellferry.annotations.cells import CellAnnotations
from cellferry.annotations.texts import TextLists, Texts
from plain_genes import plain_genes

MARKERS = {
    "B cell": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"],
    "T cell": ["CD3D", "CD3E", "CD3G", "CD2", "IL32"],
    "Monocyte": ["CD14", "LYZ", "S100A9", "FCN1", "S100A8"],
}
OTHERS = plain_genes(40)
GENES = [*(g for genes in MARKERS.values() for g in genes), *OTHERS]


def cells(n=60, *, seed=0, counts=True, clusters=True):
    """n cells, a third of each type, in an AnnData with counts in a layer and values in X."""
    random = np.random.default_rng(seed)
    types = [list(MARKERS)[i % 3] for i in range(n)]
    rate = [0.03 if g not in OTHERS else 3 for g in GENES]
    values = random.poisson(rate, size=(n, len(GENES)))
    for i, name in enumerate(types):
        for gene in MARKERS[name]:
            values[i, GENES.index(gene)] += 1 + random.poisson(6)
    raw = csr_matrix(values.astype(np.float32))
    totals = np.maximum(values.sum(axis=1), 1)
    adata = anndata.AnnData(
        csr_matrix(np.log1p(values / totals[:, None] * 10_000).astype(np.float32)),
        obs=pd.DataFrame({"truth": types}, index=[f"cell-{i}" for i in range(n)]),
        var=pd.DataFrame(index=GENES),
    )
    if counts:
        adata.layers["counts"] = raw
    if clusters:
        adata.obs["leiden"] = pd.Categorical([str(i % 3) for i in range(n)])
    return adata


def answer(labels, **columns):
    """An answer for cells a, b, c ... from labels; None is a skipped cell."""
    n = len(labels)
    states = ["skipped" if x is None else "unknown" if x == "Unknown" else "ok" for x in labels]
    given = {
        "confidence": [np.nan if x in {None, "Unknown"} else 0.8 for x in labels],
        "confidence_kind": "graded",
        "error": ["Too few counts." if x is None else None for x in labels],
        "alternatives": TextLists.of([["Other cell"] if x else [] for x in labels]),
        "supporting": TextLists.of([["CD3D"] if x == "T cell" else [] for x in labels]),
        "ontology": {"T cell": ("CL:0000084", "T cell"), "B cell": ("CL:0000236", "B cell")},
        "engine": "local",
        **columns,
    }
    return CellAnnotations.of([f"cell-{i}" for i in range(n)], labels, status=states, **given)


__all__ = ["GENES", "MARKERS", "OTHERS", "Texts", "answer", "cells"]
