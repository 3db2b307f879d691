"""Synthetic cells that are made block by block, so that no matrix is ever whole."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.study.expression.source import ExpressionSource
from cellferry.study.study import Clusters, Context, Study

GENES, VALUES, BLOCK = 20_000, 1_500, 5_000


def gene_names():
    """20,000 genes, of which those of the knowledge table are spread among the others."""
    known = list(packaged_knowledge().names_of_genes("human"))
    names = (known + [f"OTHER{i}" for i in range(GENES)])[:GENES]
    return tuple(np.random.default_rng(0).permutation(names).tolist())


class Generated(ExpressionSource):
    """An expression source of n cells with 1,500 values each; the same whenever it is read."""

    def __init__(self, n_cells, *, counts):
        self.genes, self.shape, self.counts = gene_names(), (n_cells, GENES), counts

    @property
    def stored_values(self):
        return self.shape[0] * VALUES

    def __iter__(self):
        base = np.sort(np.random.default_rng(1).choice(GENES, VALUES, replace=False))
        for start in range(0, self.shape[0], BLOCK):
            n = min(BLOCK, self.shape[0] - start)
            random = np.random.default_rng(start + 2)
            columns = (base[None, :] + random.integers(0, GENES, size=(n, 1))) % GENES
            columns.sort(axis=1)
            values = (
                np.minimum(random.geometric(0.6, size=n * VALUES), 200).astype(np.float32)
                if self.counts
                else random.random(n * VALUES, dtype=np.float32) * 3 + 0.1
            )
            pointers = np.arange(n + 1, dtype=np.int64) * VALUES
            block = csr_matrix((values, columns.ravel().astype(np.int32), pointers), (n, GENES))
            block.has_canonical_format = True
            yield start, block

    def places(self):
        """A map of the cells, by its name."""
        return "umap", np.random.default_rng(4).normal(size=(self.shape[0], 2))

    def neighbours(self):
        """A graph with the 15 nearest cells of each on the map, weighted at random."""
        places = self.places()[1]
        _, near = cKDTree(places).query(places, k=16)
        n = len(places)
        weights = np.random.default_rng(5).random(15 * n, dtype=np.float32) + 0.01
        rows = np.repeat(np.arange(n), 15)
        return "connectivities", csr_matrix((weights, (rows, near[:, 1:].ravel())), shape=(n, n))


def study(n_cells, *, counts, source=None):
    """A study of synthetic cells without clusters."""
    made = source if source is not None else Generated(n_cells, counts=counts)
    return Study(
        Clusters((), np.full(n_cells, -1, dtype=np.int32)),
        cells=tuple(f"cell{i}" for i in range(n_cells)),
        genes=made.genes,
        context=Context(species="human"),
        **{"counts" if counts else "normalized": made},
    )
