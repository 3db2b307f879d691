from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from artifact_data import read_group
from cellferry.artifacts.vars_h5 import chunks
from cellferry.artifacts.vars_h5.matrix import MatrixWriter
from cellferry.artifacts.vars_h5.transpose import Pieces
from cellferry.errors import InvalidObjectError


def as_float32(values, _out):
    return values.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["cells", "genes"]),
    st.sampled_from(["vars", "raw"]),
    st.integers(1, 20),
    st.integers(1, 9),
    st.integers(1, 7),
    st.integers(0, 2**16),
)
def test_blocks_along_either_axis_become_scipys_matrix(
    tmp_path_factory, axis, name, n_cells, n_genes, step, seed
):
    folder = tmp_path_factory.mktemp("matrix")
    random = np.random.default_rng(seed)
    dense = random.integers(0, 3, (n_cells, n_genes)).astype(np.float32)
    whole = (sparse.csr_matrix if axis == "cells" else sparse.csc_matrix)(dense)
    own = "genes" if name == "vars" else "cells"
    with (
        pytest.MonkeyPatch.context() as patch,
        h5py.File(folder / "f.h5", "w") as file,
        ThreadPoolExecutor(2) as pool,
    ):
        patch.setattr(chunks, "CHUNK", 8)
        pieces = Pieces(100, folder / "pieces")
        writer = MatrixWriter(
            file.create_group(name), whole.shape, own, axis, as_float32, pieces=pieces, pool=pool
        )
        for start in range(0, whole.shape[0 if axis == "cells" else 1], step):
            rows = slice(start, start + step)
            writer.add(writer.prepare(whole[rows] if axis == "cells" else whole[:, rows]))
        writer.finish(lambda _: None)
        truth = whole.tocsc() if name == "vars" else whole.tocsr()
        truth.sort_indices()
        for part, dtype in (("indptr", "i8"), ("indices", "i4"), ("data", "f4")):
            assert file[name][part].dtype == dtype
            np.testing.assert_array_equal(file[name][part][:], getattr(truth, part))
    np.testing.assert_array_equal(read_group(folder / "f.h5", name), dense)


def test_more_cells_than_the_layout_can_count_are_refused():
    with (
        h5py.File("x", "w", driver="core", backing_store=False) as file,
        ThreadPoolExecutor(1) as pool,
        pytest.raises(InvalidObjectError, match=r"vars\.h5 counts to 2147483647"),
    ):
        MatrixWriter(
            file.create_group("vars"), (2**31, 1), "genes", "cells", as_float32,
            pieces=Pieces(0, None), pool=pool,
        )  # fmt: skip
