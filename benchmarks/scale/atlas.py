"""An .h5ad of any number of cells, made block by block: counts, log-normalised values, clusters.

A cell is as many transcripts as its depth says, drawn from the genes of its cluster; a count is how
often a gene was drawn. The work of a block is that of its transcripts, whatever the number of
genes, and the same block gives the same cells whatever the total.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from cellferry.biology.gene_tables import known_symbols
from cellferry.engines.local import Local

SEED = 24
BLOCK_CELLS = 2_500
N_GENES = 20_000
N_CLUSTERS = 20
TOTAL = 1e4
DRAWS = 1 << 20
"""Parts into which the probability of all genes is cut, so that a draw is a look into a table."""
DENSE = 2_100
"""Transcripts of a cell with which it has about 1,400 genes, 7 % of all."""
SPARSE = 300
"""Transcripts of a cell with which it has about 280 genes."""


def _table() -> np.ndarray:
    """Return clusters x draws: the gene of each draw."""
    random = np.random.default_rng([SEED, 0])
    weights = random.lognormal(-3.4, 1.9, N_GENES) * random.lognormal(0, 0.5, (N_CLUSTERS, N_GENES))
    ends = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    middles = (np.arange(DRAWS) + 0.5) / DRAWS
    found = [np.searchsorted(row, middles) for row in ends]
    return np.minimum(np.array(found), N_GENES - 1).astype(np.uint16)


def blocks(
    n_cells: int, transcripts: int
) -> Iterator[tuple[sparse.csr_matrix, np.ndarray, np.ndarray]]:
    """Yield counts (float32 CSR), the log-normalised values of the same places, and clusters."""
    table = _table().ravel()
    for number, start in enumerate(range(0, n_cells, BLOCK_CELLS)):
        random = np.random.default_rng([SEED, 1, number])
        clusters = random.integers(0, N_CLUSTERS, BLOCK_CELLS)
        depth = random.poisson(transcripts * random.lognormal(0, 0.35, BLOCK_CELLS))
        cell = np.repeat(np.arange(BLOCK_CELLS, dtype=np.int32), depth)
        draws = random.integers(0, DRAWS, len(cell), dtype=np.int32)
        draws += np.repeat((clusters * DRAWS).astype(np.int32), depth)
        place = cell * np.int32(N_GENES) + table[draws]
        place.sort()
        begins = np.flatnonzero(np.diff(place, prepend=-1))
        count = np.diff(begins, append=len(place)).astype(np.float32)
        row, gene = np.divmod(place[begins], np.int32(N_GENES))
        indptr = np.searchsorted(row, np.arange(BLOCK_CELLS + 1)).astype(np.int64)
        n = min(BLOCK_CELLS, n_cells - start)
        end = int(indptr[n])
        counts = sparse.csr_matrix((count[:end], gene[:end], indptr[: n + 1]), (n, N_GENES))
        scale = np.repeat(TOTAL / np.maximum(depth[:n], 1), np.diff(indptr[: n + 1]))
        yield counts, np.log1p(count[:end] * scale).astype(np.float32), clusters[:n]


def _obs(clusters: np.ndarray) -> pd.DataFrame:
    n = len(clusters)
    random = np.random.default_rng([SEED, 2])
    names = [f"c{i}" for i in range(N_CLUSTERS)]
    labels = np.array(["T cell", "CD4 T cell", "B cell", "Monocyte", "NK cell", "Unknown"])
    return pd.DataFrame(
        {
            "leiden": pd.Categorical.from_codes(clusters, names),
            "donor": pd.Categorical.from_codes(
                random.integers(0, 8, n), [f"d{i}" for i in range(8)]
            ),
            "total_counts": random.lognormal(8, 0.4, n).astype(np.float32),
            # Labels of two tools, as text: what a consensus reads.
            "predicted_labels": labels[random.integers(0, 6, n)].astype(object),
            "SingleR.labels": labels[random.integers(0, 6, n)].astype(object),
        },
        index=[f"cell{i:07d}-1" for i in range(n)],
    )


def _genes() -> list[str]:
    """Return symbols, those first that the engine knows."""
    symbols = known_symbols("human")
    first = [gene for gene in Local()._gene_names if gene in symbols]
    return [*first, *sorted(symbols - set(first))][:N_GENES]


def write_atlas(path: Path, n_cells: int, transcripts: int) -> None:
    """Write the file; what is in memory at once is a block and the metadata."""
    random = np.random.default_rng([SEED, 3])
    partial = path.with_suffix(".partial.h5ad")
    keys = ("X", "layers/counts")
    clusters = np.empty(n_cells, dtype=np.int64)
    with h5py.File(partial, "w") as file:
        for key in keys:
            group = file.create_group(key)
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
            group.attrs["shape"] = np.array([n_cells, N_GENES], dtype=np.int64)
            for name, dtype in (("indices", "i4"), ("data", "f4")):
                group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(1 << 20,))
        pointers = [np.zeros(1, dtype=np.int64)]
        start = 0
        for counts, values, of_cells in blocks(n_cells, transcripts):
            end = int(pointers[-1][-1])
            for key, data in zip(keys, (values, counts.data), strict=True):
                for name, array in (("indices", counts.indices), ("data", data)):
                    file[key][name].resize((end + counts.nnz,))
                    file[key][name][end:] = array
            pointers.append(counts.indptr[1:].astype(np.int64) + end)
            clusters[start : start + len(of_cells)] = of_cells
            start += len(of_cells)
        for key in keys:
            file[key].create_dataset("indptr", data=np.concatenate(pointers))
    empty = anndata.AnnData(
        obs=_obs(clusters),
        var=pd.DataFrame(index=_genes()),
        obsm={"X_umap": random.normal(size=(n_cells, 2)).astype(np.float32) + clusters[:, None]},
    )
    metadata = path.with_suffix(".metadata.h5ad")
    empty.write_h5ad(metadata)
    with h5py.File(partial, "a") as target, h5py.File(metadata, "r") as source:
        target.attrs.update(source.attrs)
        for key in source:
            if key not in {"X", "layers"}:
                source.copy(key, target, name=key)
        target["layers"].attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
    metadata.unlink()
    partial.replace(path)
