"""Small artifacts for tests of the server, sound and hostile, in both published flavours."""

import duckdb
import h5py
import hdf5plugin
import numpy as np
from scipy.sparse import csc_matrix
from scipy.sparse import random as random_matrix

GENES = ["CD79A", "MS4A1", "CD3D", "LYZ", "NKG7", "PPBP"]
N_CELLS = 90


N_GENES = len(GENES)


def matrix(n_cells=N_CELLS, n_genes=N_GENES, seed=1):
    """Return cells x genes, float32, half of it zero."""
    found = random_matrix(n_cells, n_genes, 0.5, "csc", rng=np.random.default_rng(seed))
    return csc_matrix(found, dtype=np.float32)


def write_vars_h5(path, values=None, genes=GENES, flavour="python"):
    """Write vars.h5 as the Python or the R client does."""
    values = matrix(n_genes=len(genes)) if values is None else values
    python = flavour == "python"
    filters = hdf5plugin.LZ4() if python else hdf5plugin.Blosc(cname="lz4")
    integer = np.int64 if python else np.int32
    with h5py.File(path, "w") as file:
        group = file.create_group("vars")
        for name, count in zip(("n_obs", "n_vars"), values.shape, strict=True):
            group.attrs[name] = integer(count)
        group.create_dataset("indices", data=values.indices.astype("i4"), chunks=True, **filters)
        group.create_dataset("data", data=values.data.astype("f4"), chunks=True, **filters)
        group.create_dataset("indptr", data=values.indptr.astype(integer))
        table = file.create_group("info/var")
        kind = h5py.string_dtype() if python else f"S{max(map(len, genes))}"
        if python:
            table.attrs["gene_symbols_column"] = "__cytetype_gene_symbols"
            table["var_names"] = np.array([f"ENSG{i:011d}" for i in range(len(genes))], dtype=kind)
            column = table.create_dataset(
                "columns/cytetype_gene_symbols", data=np.array(genes, dtype=kind)
            )
            column.attrs["source_name"] = "__cytetype_gene_symbols"
        else:
            table["var_names"] = np.array(genes, dtype=kind)
        table["index"] = table["var_names"][:]
    return path


def write_obs_duckdb(path, n_cells=N_CELLS, statements=()):
    """Write obs.duckdb: three clusters, a donor, an amount, an embedding."""
    with duckdb.connect(str(path)) as sql:
        sql.execute(
            "CREATE TABLE obs AS SELECT 'cluster ' || (i % 3) AS leiden, "
            "CASE WHEN i % 10 = 9 THEN NULL ELSE 'd' || (i % 2) END AS donor, "
            "CAST(i AS DOUBLE) AS amount, i % 2 = 0 AS even, "
            "CAST(i AS FLOAT) AS __vis_coordinates_X_umap_1, "
            f"CAST(-i AS FLOAT) AS __vis_coordinates_X_umap_2 FROM range({n_cells}) t(i)"
        )
        for statement in statements:
            sql.execute(statement)
    return path
