"""AnnData of every kind that the payload of the CyteType engine depends on.

Used by the tests and, under another Python, by ``scripts/record_cytetype_payloads.py``, which
asks the published client for its payloads; so nothing here may need cellferry.
"""

import anndata
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

N_CELLS, N_GENES = 240, 60


def ranking(genes, groups, n, key="cluster", seed=7):
    """A stored ranking as scanpy makes it, with a gene order of our own."""
    random = np.random.RandomState(seed)
    names = [random.permutation(genes)[:n] for _ in groups]
    fields = [str(g) for g in groups]
    number = list(zip(*[np.linspace(9, 1, n) for _ in groups], strict=True))
    small = list(zip(*[np.linspace(0, 0.1, n) for _ in groups], strict=True))
    real = [(f, "f8") for f in fields]
    return {
        "params": {"groupby": key, "reference": "rest", "method": "t-test", "use_raw": False},
        "names": np.array(list(zip(*names, strict=True)), dtype=[(f, "O") for f in fields]),
        "scores": np.array(number, dtype=real),
        "logfoldchanges": np.array(number, dtype=real),
        "pvals": np.array(small, dtype=real),
        "pvals_adj": np.array(small, dtype=real),
    }


def plain(labels=("0", "1", "10", "2"), seed=1):
    random = np.random.RandomState(seed)
    counts = random.poisson(0.7, (N_CELLS, N_GENES)).astype(np.float32)
    genes = [f"GENE{i}A" for i in range(N_GENES)]
    group = random.choice(len(labels), N_CELLS, p=[0.5, 0.3, 0.15, 0.05])
    donors = np.array(["d1", "d2", "d3"])[random.choice(3, N_CELLS, p=[0.6, 0.3, 0.1])]
    rare = np.where(random.rand(N_CELLS) < 0.04, "odd", "usual")
    holes = pd.Series(np.where(random.rand(N_CELLS) < 0.3, None, donors), dtype=object)
    obs = pd.DataFrame(
        {
            "cluster": pd.Categorical(np.array(labels)[group], categories=sorted(labels)),
            "donor": pd.Categorical(donors),
            "rare": rare,
            "holes": holes.to_numpy(),
            "n_counts": counts.sum(1),
            "flag": random.rand(N_CELLS) < 0.5,
            "barcode": [f"c{i}" for i in range(N_CELLS)],
        },
        index=[f"cell-{i}" for i in range(N_CELLS)],
    )
    adata = anndata.AnnData(csr_matrix(np.log1p(counts)), obs=obs, var=pd.DataFrame(index=genes))
    adata.obsm["X_umap"] = random.randn(N_CELLS, 2)
    adata.uns["rank_genes_groups"] = ranking(genes, sorted(labels), 12)
    return adata


def long_labels():
    return plain(("B cells", "CD4 T", "NK cells 10", "NK cells 2"))


def short_text_labels():
    return plain(("NK", "B", "T/B", "1"))


def symbols_in_a_column():
    adata = plain()
    symbols = [f"SYMB{i}" for i in range(N_GENES)]
    adata.var["gene_symbols"] = symbols
    adata.var["biotype"] = "protein_coding"
    identifiers = [f"ENSG{i:011d}" for i in range(N_GENES)]
    adata.var_names = identifiers
    adata.uns["rank_genes_groups"] = ranking(identifiers, sorted(("0", "1", "10", "2")), 12)
    return adata


def composite_names():
    adata = plain()
    names = [f"SYMB{i}_ENSG{i:011d}" for i in range(N_GENES)]
    adata.var_names = names
    adata.uns["rank_genes_groups"] = ranking(names, sorted(("0", "1", "10", "2")), 12)
    return adata


def other_embedding():
    adata = plain()
    adata.obsm["X_UMAP"] = np.column_stack([adata.obsm.pop("X_umap"), np.ones(N_CELLS)])
    return adata


def dense():
    adata = plain()
    adata.X = adata.X.toarray()
    return adata


OBJECTS = {
    make.__name__: make
    for make in (
        plain, long_labels, short_text_labels, symbols_in_a_column, composite_names,
        other_embedding, dense,
    )
}  # fmt: skip

OPTIONS = {
    "plain": {},
    "few": {"n_top_genes": 5, "max_cells_per_group": 7, "min_percentage": 30},
    "without": {"aggregate_metadata": False, "max_metadata_categories": 2},
    "categories": {"max_metadata_categories": 2},
}
"""Options of the constructor, by name; each is tried with the first object."""
