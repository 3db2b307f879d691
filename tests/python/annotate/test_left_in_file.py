"""An .h5ad that is annotated: its matrices stay in the file, and what is written is the same."""

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import cellferry
from cell_data import cells
from cellferry.annotate.files import write_h5ad
from cellferry.study.h5ad import left_h5ad, read_h5ad
from cellferry.study.layers import choose_matrices

pytestmark = [
    pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def whole(kind=sp.csr_matrix):
    """Return an object with something in every place of an AnnData."""
    adata = cells(60)
    adata.obs["leiden"] = pd.Categorical(adata.obs["truth"])
    adata.obs["text"] = [f"t{i % 3}" for i in range(60)]
    values = adata.X.toarray() if sp.issparse(adata.X) else np.asarray(adata.X)
    adata.X = kind(values)
    adata.layers["dense"] = values.astype("f8")
    adata.layers["empty"] = sp.csr_matrix(values.shape, dtype="f4")
    adata.raw = adata.copy()
    adata.raw.var["kind"] = ["a", "b"] * (adata.n_vars // 2) + ["a"] * (adata.n_vars % 2)
    adata.obsm["X_umap"] = np.arange(120, dtype="f4").reshape(60, 2)
    adata.obsp["connectivities"] = sp.random(60, 60, 0.1, format="csr", random_state=0)
    adata.varm["PCs"] = np.ones((adata.n_vars, 3))
    adata.uns["nested"] = {"a": np.arange(3), "b": "text"}
    return adata


def plain(matrix):
    """Return a matrix as ``.h5ad`` may hold it, as an array."""
    return np.asarray(matrix)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, plain])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_what_is_written_is_what_was_read(tmp_path, kind, compression):
    source, one, other = (tmp_path / f"{name}.h5ad" for name in ("x", "one", "other"))
    whole(kind).write_h5ad(source, compression=compression)
    write_h5ad(read_h5ad(source), one)
    with left_h5ad(source) as left:
        left.obs["added"] = pd.Categorical(["a", "b"] * 30)
        left.uns["note"] = {"json": "{}"}
        write_h5ad(left, other)
    found, wanted = anndata.read_h5ad(other), anndata.read_h5ad(one)
    wanted.obs["added"] = pd.Categorical(["a", "b"] * 30)
    wanted.uns["note"] = {"json": "{}"}
    assert_equal(found, wanted)
    assert_equal(found.raw.to_adata(), wanted.raw.to_adata())


def assert_equal(found, wanted):
    """Compare two matrices, or two objects in all their places."""
    if isinstance(wanted, anndata.AnnData):
        assert_equal(found.X, wanted.X)
        pd.testing.assert_frame_equal(found.obs, wanted.obs)
        pd.testing.assert_frame_equal(found.var, wanted.var)
        for name in ("layers", "obsm", "varm", "obsp", "varp"):
            one, other = getattr(found, name), getattr(wanted, name)
            assert list(one) == list(other)
            for key in other:
                assert_equal(one[key], other[key])
        assert str(found.uns) == str(wanted.uns)
        return
    assert type(found) is type(wanted)
    assert found.dtype == wanted.dtype
    if sp.issparse(wanted):
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(found, part), getattr(wanted, part))
            assert getattr(found, part).dtype == getattr(wanted, part).dtype
    else:
        np.testing.assert_array_equal(found, wanted)


def attributes(path):
    """Return name -> attributes of everything in a file."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: dict(item.attrs)}))
        found["/"] = dict(file.attrs)
    return {n: {k: str(v) for k, v in a.items()} for n, a in found.items()}


def test_the_file_has_the_same_names_and_encodings(tmp_path):
    source, one, other = (tmp_path / f"{name}.h5ad" for name in ("x", "one", "other"))
    whole().write_h5ad(source)
    write_h5ad(read_h5ad(source), one)
    with left_h5ad(source) as left:
        write_h5ad(left, other)
    assert attributes(other) == attributes(one)


def test_matrices_stay_in_the_file(tmp_path):
    whole().write_h5ad(tmp_path / "x.h5ad")
    with left_h5ad(tmp_path / "x.h5ad") as left:
        assert not hasattr(left.X, "nnz")
        assert not hasattr(left.raw.X, "nnz")
        assert isinstance(left.layers["dense"], h5py.Dataset)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, plain])
def test_the_same_matrix_is_chosen_in_a_file_and_in_memory(tmp_path, kind):
    adata = whole(kind)
    values = adata.layers["dense"].astype("f4")
    few = values * (values > np.quantile(values, 0.7))
    filled = adata.copy()
    filled.X = kind(values + np.float32(0.25))  # imputed: it has values where raw has none
    filled.raw = anndata.AnnData(sp.csr_matrix(few), var=adata.var)
    for name, each in (("x", adata), ("filled", filled)):
        path = tmp_path / f"{name}.h5ad"
        each.write_h5ad(path)
        chosen = choose_matrices(read_h5ad(path), any_kind=True)
        with left_h5ad(path) as left:
            found = choose_matrices(left, any_kind=True)
            assert found.normalized.name == chosen.normalized.name
            assert (found.counts and found.counts.name) == (chosen.counts and chosen.counts.name)
    assert chosen.normalized.name == "raw.X"


def test_a_path_is_labelled_as_its_object_is(tmp_path):
    source, output = tmp_path / "x.h5ad", tmp_path / "y.h5ad"
    adata = whole()
    adata.write_h5ad(source)
    adata = anndata.read_h5ad(source)
    cellferry.annotate_clusters(adata, group_key="leiden", progress=False)
    found = cellferry.annotate_clusters(source, group_key="leiden", output=output, progress=False)
    written = anndata.read_h5ad(output)
    pd.testing.assert_frame_equal(written.obs, adata.obs)
    assert_equal(written.X, adata.X)
    assert [row.label for row in found] == [row.label for row in cellferry.read_annotations(adata)]
