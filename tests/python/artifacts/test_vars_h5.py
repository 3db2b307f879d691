import h5py
import hdf5plugin
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from artifact_data import counts_matrix, log_normalised, make_adata
from cellferry import build_artifacts
from cellferry.artifacts.vars_h5.reader import VarsFile
from cellferry.errors import ArtifactFormatError, InvalidOptionError

COUNTS = counts_matrix(20, 8)
VALUES = log_normalised(COUNTS)
GENES = [f"GENE{i}" for i in range(8)]


def from_python(path):
    """As cellferry writes it, which test_artifacts_vars_h5_writer holds to the layout."""
    adata = make_adata(20, 8)
    adata.var["a b"] = pd.array([True, None] * 4, dtype="boolean")
    adata.var["n"] = np.arange(8, dtype=np.int16)
    adata.var["kind"] = pd.Categorical(["x", "y"] * 4)
    adata.var["gap"] = pd.array([1, None] * 4, dtype="Int64")
    adata.var["gene_symbols"] = [f"S{i}" for i in range(8)]
    build_artifacts(
        adata, group_key="leiden", vars_h5_path=path, obs_duckdb_path=path.with_name("o"),
        progress=False,
    )  # fmt: skip


def from_r(path):
    """The flavour of CyteTypeR 0.4.2, restated from the protocol reference §2.3."""
    blosc = hdf5plugin.Blosc("lz4")
    with h5py.File(path, "w") as file:
        for name, matrix, kind in (
            ("vars", sparse.csc_matrix(VALUES), "f4"),
            ("raw", sparse.csr_matrix(COUNTS), "i4"),
        ):
            matrix.sort_indices()
            group = file.create_group(name)
            group.attrs["n_obs"], group.attrs["n_vars"] = np.array([20], "i4"), np.array([8], "i4")
            for part, dtype in (("indices", "i4"), ("data", kind), ("indptr", "i4")):
                values = getattr(matrix, part).astype(dtype)
                group.create_dataset(
                    part, data=values, maxshape=(None,), chunks=(min(200, len(values)),), **blosc
                )
        info = file.create_group("info/var")
        fixed = np.array(GENES, dtype="S10")
        for name in ("var_names", "index"):
            info.create_dataset(name, data=fixed, chunks=(8,), compression=5)
        columns = info.create_group("columns")
        for name, source, dtype, values in (
            ("a_b", "a b", "bool", np.array([1, -1] * 4, "i4")),
            ("n", "n", "int32", np.arange(8.0)),
            ("kind", "kind", "category", np.array([b"x", b"y"] * 4)),
            ("gap", "gap", "int32", np.array([1, np.nan] * 4)),
            ("gene_symbols", "gene_symbols", "object", np.array([f"S{i}" for i in range(8)], "S")),
        ):
            dataset = columns.create_dataset(name, data=values)
            dataset.attrs["source_name"], dataset.attrs["source_dtype"] = source, dtype


@pytest.fixture(params=[from_python, from_r])
def path(request, tmp_path):
    request.param(tmp_path / "vars.h5")
    return tmp_path / "vars.h5"


def test_both_flavours_are_read_gene_by_gene(path):
    with VarsFile(path) as file:
        assert (file.n_obs, file.n_vars, file.has_counts) == (20, 8, True)
        assert list(file.var_names) == list(file.index) == GENES
        for position, gene in enumerate(GENES):
            cells, values = file.gene(gene)
            np.testing.assert_array_equal(cells, np.flatnonzero(VALUES[:, position]))
            np.testing.assert_array_equal(values, VALUES[cells, position])
            np.testing.assert_array_equal(file.gene(position)[0], cells)
        for cell in range(20):
            genes, counts = file.cell_counts(cell)
            np.testing.assert_array_equal(genes, np.flatnonzero(COUNTS[cell]))
            np.testing.assert_array_equal(counts, COUNTS[cell, genes])


def test_both_flavours_give_columns_by_their_own_name_and_kind(path):
    with VarsFile(path) as file:
        assert set(file.columns) == {"a b", "n", "kind", "gap", "gene_symbols"}
        assert file.column("a b").tolist() == [True, pd.NA] * 4
        assert file.column("n").tolist() == list(range(8))
        assert file.column("kind").dtype == "category"
        assert file.column("gap").isna().tolist() == [False, True] * 4
        assert file.column("gene_symbols").tolist() == [f"S{i}" for i in range(8)]
        assert file.column("n").index.tolist() == GENES
        with pytest.raises(InvalidOptionError, match='no column "a_b"'):
            file.column("a_b")


def test_the_column_of_symbols_is_known_where_the_file_names_it(tmp_path):
    from_python(tmp_path / "p.h5")
    from_r(tmp_path / "r.h5")
    with VarsFile(tmp_path / "p.h5") as python, VarsFile(tmp_path / "r.h5") as r:
        assert python.gene_symbols_column == "gene_symbols"
        assert r.gene_symbols_column is None


def test_what_is_not_there_is_named(path):
    with VarsFile(path) as file:
        with pytest.raises(InvalidOptionError, match='no gene "GENE99"'):
            file.gene("GENE99")
        for wrong in (-1, 8):
            with pytest.raises(InvalidOptionError, match="genes 0 to 7"):
                file.gene(wrong)
        with pytest.raises(InvalidOptionError, match="cells 0 to 19"):
            file.cell_counts(20)


DAMAGE = {
    "no vars": (lambda f: f.move("vars", "x"), 'no "/vars"'),
    "no attribute": (lambda f: f["vars"].attrs.pop("n_obs"), "no whole number"),
    "other n_vars": (lambda f: f["vars"].attrs.modify("n_vars", 9), "for 9 rows"),
    "pointers": (lambda f: f["vars/indptr"].__setitem__(1, 10**6), "do not fit"),
    "negative": (lambda f: f["vars/indptr"].__setitem__(0, -1), "do not fit"),
    "short": (lambda f: f["vars/data"].resize((3,)), "do not fit"),
    "names": (lambda f: replace(f["info/var"], "var_names", np.array([b"a"])), "1 values for 8"),
    "column": (lambda f: replace(f["info/var/columns"], "n", np.ones(3)), "3 values for 8"),
}


def replace(group, name, values):
    del group[name]
    group[name] = values


def relink(file):
    del file["vars/data"]
    file["vars/data"] = h5py.ExternalLink("/etc/other.h5", "/x")


DAMAGE["link"] = (relink, "link to another place")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_before_anything_is_read(path, damage):
    change, words = DAMAGE[damage]
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(ArtifactFormatError, match=words):
        VarsFile(path)
    path.unlink()  # it is closed, also on Windows


def test_a_cell_outside_of_the_matrix_is_refused_when_it_is_met(path):
    with h5py.File(path, "a") as file:
        file["vars/indices"][0] = 20
    with VarsFile(path) as file, pytest.raises(ArtifactFormatError, match=r"outside of 0\.\.19"):
        file.gene(0)


def test_a_file_without_counts_and_metadata_is_read(path):
    with h5py.File(path, "a") as file:
        del file["raw"], file["info"]
    with VarsFile(path) as file:
        assert not file.has_counts
        assert file.var_names == tuple("01234567")
        assert file.columns == ()
        assert file.gene_symbols_column is None
        with pytest.raises(InvalidOptionError, match="no raw counts"):
            file.cell_counts(0)
