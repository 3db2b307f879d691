"""A sparse matrix of a file read without anndata: its ranges are those that anndata gives."""

import anndata
import h5py
import numpy as np
import pytest
from anndata.io import sparse_dataset
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random

from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.expression.origin import Origin, fingerprint_of
from cellferry.study.expression.reopened import opened_origin
from cellferry.study.expression.stored import StoredMatrix


def written(path, made, dtype=np.float32):
    values = random(23, 11, 0.3, made, dtype, np.random.default_rng(1))
    anndata.AnnData(values).write_h5ad(path)
    return Origin(str(path), "/X", fingerprint_of(path))


@given(st.sampled_from(["csr", "csc"]), st.integers(0, 23), st.integers(0, 23))
def test_ranges_are_those_of_anndata(tmp_path_factory, made, one, other):
    path = tmp_path_factory.mktemp("stored") / "x.h5ad"
    written(path, made)
    start, stop = sorted((one, other))
    here = (
        slice(start, stop) if made == "csr" else (slice(None), slice(min(start, 11), min(stop, 11)))
    )
    with h5py.File(path) as file:
        found, expected = StoredMatrix(file["X"])[here], sparse_dataset(file["X"])[here]
    assert found.shape == expected.shape
    for name in ("data", "indices", "indptr"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


@pytest.mark.parametrize("made", ["csr", "csc"])
@pytest.mark.parametrize("columns", [None, (4, 0, 9)])
def test_a_source_that_is_opened_again_gives_the_same(tmp_path, made, columns):
    origin = written(tmp_path / "x.h5ad", made)
    origin = Origin(origin.path, origin.place, origin.fingerprint, columns)
    names = [f"g{i}" for i in range(11)]
    wanted = None if columns is None else [names[i] for i in columns]
    with h5py.File(origin.path) as file:
        near = MatrixSource(sparse_dataset(file["X"]), names, wanted)
        genes = near.genes
        expected = [block.toarray() for _, block in near.rows_between(5, 20)]
    with opened_origin(origin, genes) as far:
        assert far.axis == ("genes" if made == "csc" and columns is None else "cells")
        if far.axis == "cells":
            found = [block.toarray() for _, block in far.rows_between(5, 20)]
            assert np.array_equal(np.vstack(found), np.vstack(expected))
        else:
            whole = far.columns_between(0, 11).toarray()[5:20]
            assert np.array_equal(whole, np.vstack(expected))


def test_what_is_encoded_otherwise_is_left_to_anndata(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        old = file.create_group("X")
        old.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": (2, 2)})
        with pytest.raises(ValueError, match="no sparse matrix of anndata"):
            StoredMatrix(old)
