"""Questions over both artifacts, against the plain computation."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from cellferry.server.failures import Failure
from cellferry.server.lookup.obs_duckdb import counts
from cellferry.server.lookup.queries import expression, prevalence
from server_files import GENES, N_CELLS, matrix, write_obs_duckdb, write_vars_h5

LABELS = ["cluster 0", "cluster 1", "cluster 2"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    values = matrix()
    return (
        values.toarray(),
        str(write_vars_h5(folder / "vars.h5", values)),
        str(write_obs_duckdb(folder / "obs.duckdb")),
    )


@pytest.mark.parametrize("most", [1, 7, 89, 90, 1000])
def test_a_gene_over_the_embedding(files, most):
    values, vars_path, obs_path = files
    found = expression(vars_path, obs_path, "CD3D", most)
    column = values[:, GENES.index("CD3D")]
    assert len(found["cells"]) <= most
    np.testing.assert_allclose(found["values"], column[found["cells"]], atol=1e-4)
    assert found["x"] == found["cells"]
    assert found["n_expressing"] == (column > 0).sum()
    assert found["mean"] == pytest.approx(column.mean(), rel=1e-5)


def test_without_metadata_there_are_values_and_no_embedding(files):
    found = expression(files[1], None, "CD3D", 10)
    assert found["embedding"] is None
    assert "x" not in found
    assert len(found["values"]) == len(found["cells"]) <= 10


def test_prevalence_of_each_label(files):
    values, vars_path, obs_path = files
    found = prevalence(vars_path, obs_path, "leiden", LABELS, [*GENES, "no such gene"])
    assert set(found) == set(GENES)
    of_cell = np.arange(N_CELLS) % 3
    for i, gene in enumerate(GENES):
        for code in range(3):
            inside = values[of_cell == code, i]
            assert found[gene]["cells"][code] == (inside > 0).sum()
            assert found[gene]["sums"][code] == pytest.approx(inside.sum(), abs=1e-3)


def test_files_of_different_objects_are_not_joined(files, tmp_path):
    other = write_obs_duckdb(tmp_path / "o.duckdb", n_cells=N_CELLS + 1)
    with pytest.raises(Failure, match="not of the same object"):
        expression(files[1], str(other), "CD3D", 10)


def test_artifacts_of_this_package_are_read_whole_way(ranked_blood, tmp_path):
    """What `build_artifacts` writes passes the checks, and each gene is the object's own."""
    from cellferry import build_artifacts
    from cellferry.server.lookup import obs_duckdb, vars_h5

    adata = ranked_blood.raw.to_adata()
    built = build_artifacts(
        adata,
        group_key="louvain",
        vars_h5_path=tmp_path / "vars.h5",
        obs_duckdb_path=tmp_path / "obs.duckdb",
        progress=False,
    )
    vars_path, obs_path = str(built.vars_h5), str(built.obs_duckdb)
    assert vars_h5.inspect(vars_path) == {"n_cells": adata.n_obs, "n_genes": adata.n_vars}
    assert obs_duckdb.inspect(obs_path)["n_cells"] == adata.n_obs
    labels = list(adata.obs["louvain"].cat.categories)
    assert obs_duckdb.group_column(obs_path, labels)["column"] == "louvain"
    found = expression(vars_path, obs_path, "CD3D", adata.n_obs)
    column = adata[:, "CD3D"].X.toarray().ravel()
    np.testing.assert_allclose(found["values"], column, atol=1e-4)
    np.testing.assert_allclose(found["x"], adata.obsm["X_umap"][:, 0], atol=1e-3)


def bytes_read():
    """Bytes that this process has read so far from anything (Linux)."""
    return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="reads /proc, which is Linux")
def test_a_gene_and_a_filter_are_answered_without_reading_the_files_whole(files, tmp_path):
    expression(files[1], files[2], "CD3D", 10)  # loads what it needs of our own
    counts(files[2], [], None)
    genes = [f"GENE{i}" for i in range(60)]
    values = matrix(100_000, 60)
    vars_path = write_vars_h5(tmp_path / "vars.h5", values, genes=genes)
    obs_path = tmp_path / "obs.duckdb"
    columns = ", ".join(f"random() AS amount_{i}" for i in range(40))
    with duckdb.connect(str(obs_path)) as sql:
        sql.execute(f"CREATE TABLE obs AS SELECT {columns} FROM range(200000)")
    before = bytes_read()
    found = expression(str(vars_path), None, "GENE7", 10)
    of_gene = bytes_read() - before
    before = bytes_read()
    filters = [{"column": "amount_3", "op": "lt", "value": 0.5}]
    counted = counts(str(obs_path), filters, None)
    of_filter = bytes_read() - before
    assert found["n_expressing"] == (values[:, [7]] > 0).sum()
    assert counted["count"] == pytest.approx(100_000, rel=0.02)
    assert 0 < of_gene < vars_path.stat().st_size / 8
    assert 0 < of_filter < obs_path.stat().st_size / 8
