"""A reproducible expression matrix of any number of cells, made block by block.

The same seed and block give the same cells whatever the total, so the 500,000 cells of the
backed benchmark begin with the 50,000 of the benchmark in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    import anndata
    import pandas as pd

SEED = 4
BLOCK_CELLS = 2_500
N_GENES = 20_000
N_CLUSTERS = 20
DENSITY = 0.07
TOTAL = 1e4


def _profiles(n_genes: int) -> np.ndarray:
    """Return the mean counts of each gene in each cluster, scaled to the wanted density."""
    random = np.random.default_rng([SEED, 0])
    gene = random.lognormal(-3.4, 1.9, n_genes)
    means = gene * random.lognormal(0, 0.5, (N_CLUSTERS, n_genes))
    low, high = 1e-4, 1e4
    for _ in range(60):
        middle = np.sqrt(low * high)
        if np.mean(1 - np.exp(-middle * means)) < DENSITY:
            low = middle
        else:
            high = middle
    return (low * means).astype(np.float32)


def blocks(
    n_cells: int, n_genes: int = N_GENES
) -> Iterator[tuple[sparse.csr_matrix, sparse.csr_matrix, np.ndarray]]:
    """Yield raw counts, log-normalized values (both float32 CSR) and cluster of each cell."""
    means = _profiles(n_genes)
    for number, start in enumerate(range(0, n_cells, BLOCK_CELLS)):
        random = np.random.default_rng([SEED, 1, number])
        clusters = random.integers(0, N_CLUSTERS, BLOCK_CELLS)
        depth = random.lognormal(0, 0.35, BLOCK_CELLS).astype(np.float32)
        n = min(BLOCK_CELLS, n_cells - start)
        rows = []
        for first in range(0, n, 500):
            here = slice(first, min(first + 500, n))
            mean = means[clusters[here]] * depth[here, None]
            # A count is above zero with probability 1 - exp(-mean), as for Poisson counts.
            found = random.random(mean.shape, dtype=np.float32) < -np.expm1(-mean)
            row, gene = np.nonzero(found)
            values = 1 + random.poisson(mean[row, gene] * 0.6)
            indptr = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32)
            rows.append(
                sparse.csr_matrix(
                    (values.astype(np.float32), gene.astype(np.int32), indptr), mean.shape
                )
            )
        counts = sparse.csr_matrix(sparse.vstack(rows, format="csr"))
        total = np.asarray(counts.sum(axis=1)).ravel()
        scale = np.repeat((TOTAL / np.maximum(total, 1)), np.diff(counts.indptr))
        values = np.log1p(counts.data * scale).astype(np.float32)
        normal = sparse.csr_matrix((values, counts.indices.copy(), counts.indptr.copy()))
        normal.resize(n, n_genes)
        yield counts, normal, clusters[:n]


def _obs(clusters: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    n = len(clusters)
    random = np.random.default_rng([SEED, 2])
    names = [f"c{i}" for i in range(N_CLUSTERS)]
    return pd.DataFrame(
        {
            "leiden": pd.Categorical.from_codes(clusters, names),
            "donor": pd.Categorical.from_codes(
                random.integers(0, 8, n), [f"d{i}" for i in range(8)]
            ),
            "condition": random.choice(["control", "treated"], n).astype(object),
            "total_counts": random.lognormal(8, 0.4, n).astype(np.float32),
            "n_genes": random.integers(500, 4000, n),
            "doublet": random.random(n) < 0.05,
        },
        index=[f"cell{i:07d}-1" for i in range(n)],
    )


def _var(n_genes: int) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "gene_symbols": [f"GENE{i}" for i in range(n_genes)],
            "highly_variable": np.arange(n_genes) % 10 == 0,
        },
        index=[f"GENE{i}" for i in range(n_genes)],
    )


def in_memory(n_cells: int, n_genes: int = N_GENES) -> anndata.AnnData:
    """Return the AnnData: X log-normalized, layers["counts"], clusters, an embedding."""
    import anndata

    made = list(blocks(n_cells, n_genes))
    clusters = np.concatenate([c for _, _, c in made])
    random = np.random.default_rng([SEED, 3])
    embedding = random.normal(size=(n_cells, 2)).astype(np.float32)
    return anndata.AnnData(
        X=sparse.csr_matrix(sparse.vstack([n for _, n, _ in made], format="csr")),
        layers={"counts": sparse.csr_matrix(sparse.vstack([c for c, _, _ in made], format="csr"))},
        obs=_obs(clusters),
        var=_var(n_genes),
        obsm={"X_umap": embedding + clusters[:, None]},
    )


def write_h5ad(path: Path, n_cells: int, n_genes: int = N_GENES, *, counts: bool = True) -> None:
    """Write the same AnnData block by block, so that any size fits into memory."""
    import anndata
    import h5py

    random = np.random.default_rng([SEED, 3])
    embedding = random.normal(size=(n_cells, 2)).astype(np.float32)
    clusters = np.empty(n_cells, dtype=np.int64)
    partial = path.with_suffix(".partial")
    keys = {"X": 1, **({"layers/counts": 0} if counts else {})}
    with h5py.File(partial, "w") as file:
        for key in keys:
            group = file.create_group(key)
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0"})
            group.attrs["shape"] = np.array([n_cells, n_genes], dtype=np.int64)
            for name, dtype in (("indices", "i4"), ("data", "f4")):
                group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(1 << 20,))
        pointers: dict[str, list[np.ndarray]] = {key: [np.zeros(1, dtype=np.int64)] for key in keys}
        start = 0
        for made in blocks(n_cells, n_genes):
            for key, which in keys.items():
                block, group = made[which], file[key]
                end = int(pointers[key][-1][-1])
                for name in ("indices", "data"):
                    group[name].resize((end + block.nnz,))
                    group[name][end:] = getattr(block, name)
                pointers[key].append(block.indptr[1:].astype(np.int64) + end)
            clusters[start : start + len(made[2])] = made[2]
            start += len(made[2])
        for key in keys:
            file[key].create_dataset("indptr", data=np.concatenate(pointers[key]))
    empty = anndata.AnnData(
        obs=_obs(clusters), var=_var(n_genes), obsm={"X_umap": embedding + clusters[:, None]}
    )
    empty.write_h5ad(path)
    with h5py.File(path, "a") as target, h5py.File(partial, "r") as source:
        for key in keys:
            if key in target:
                del target[key]
            source.copy(key, target, name=key)
    partial.unlink()


def subset_h5ad(source: Path, path: Path, n_cells: int) -> None:
    """Write the first cells of a file that :func:`write_h5ad` made."""
    import anndata
    import h5py
    from anndata.io import read_elem

    with h5py.File(source, "r") as whole:
        anndata.AnnData(
            obs=read_elem(whole["obs"]).iloc[:n_cells],
            var=read_elem(whole["var"]),
            obsm={"X_umap": whole["obsm/X_umap"][:n_cells]},
        ).write_h5ad(path)
        with h5py.File(path, "a") as target:
            for key in ("X", "layers/counts"):
                if key in target:
                    del target[key]
                made = target.create_group(key)
                made.attrs.update(whole[key].attrs)
                made.attrs["shape"] = np.array([n_cells, whole[key].attrs["shape"][1]])
                indptr = whole[key]["indptr"][: n_cells + 1]
                made.create_dataset("indptr", data=indptr)
                for name in ("indices", "data"):
                    given, end = whole[key][name], int(indptr[-1])
                    kept = made.create_dataset(name, (end,), given.dtype, chunks=given.chunks)
                    for start in range(0, end, 1 << 24):
                        stop = min(start + (1 << 24), end)
                        kept[start:stop] = given[start:stop]
