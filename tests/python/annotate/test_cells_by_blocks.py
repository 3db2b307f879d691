"""Cells of zarr and of a 10x .h5 are annotated by blocks, as the same object is in memory."""

import warnings

import anndata
import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cell_data import cells
from cellferry import annotate_cells
from cellferry.annotate import files
from cellferry.study.expression import matrix as expression
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.expression.reopened import opened_origin
from cellferry.study.inputs.objects import opened_object, read_object


def write_10x(path, matrices, genes, barcodes, kinds=None):
    """Write an .h5 of Cell Ranger; several matrices of the same cells are several genomes."""
    with h5py.File(path, "w") as file:
        for number, matrix in enumerate(matrices):
            group = file.create_group("matrix" if len(matrices) == 1 else f"genome{number}")
            for name in ("data", "indices", "indptr"):
                group[name] = getattr(matrix, name).astype("i4" if name == "data" else "i8")
            group["shape"] = matrix.shape[::-1]
            group["barcodes"] = [b.encode() for b in barcodes]
            features = group.create_group("features")
            own = [g.encode() for g in genes[number]]
            features["id"], features["name"] = own, own
            features["feature_type"] = [
                k.encode() for k in kinds or ["Gene Expression"] * matrix.shape[1]
            ]


def stored(adata, folder, kind):
    if kind == "10x":
        counts = sparse.csr_matrix(adata.layers["counts"])
        write_10x(folder / "x.h5", [counts], [adata.var_names], adata.obs_names)
        return folder / "x.h5"
    pytest.importorskip("zarr")
    path = folder / "x.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_zarr(path)
    return path


@pytest.mark.parametrize("kind", ["10x", "zarr"])
def test_cells_in_a_file_get_the_labels_of_the_same_object(kind, tmp_path, monkeypatch):
    adata = cells()
    path = stored(adata, tmp_path, kind)
    expected = annotate_cells(read_object(path), progress=False)
    # Nothing is read whole, and what is read comes in small blocks.
    monkeypatch.setattr(files, "read_object", None)
    monkeypatch.setattr(expression, "BLOCK_VALUES", 100)
    found = annotate_cells(path, progress=False)
    assert found.to_frame().equals(expected.to_frame())


def test_what_is_written_is_the_whole_object(tmp_path):
    path, output = stored(cells(), tmp_path, "10x"), tmp_path / "labelled.h5ad"
    found = annotate_cells(path, output=output, progress=False)
    written = anndata.read_h5ad(output)
    assert (written.X != read_object(path).X).nnz == 0
    assert written.obs["cell_type_cell"].tolist() == found.to_frame()["label"].tolist()


@settings(max_examples=30, deadline=None)
@given(
    n_cells=st.integers(0, 12),
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    antibodies=st.integers(0, 3),
    most=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_blocks_of_a_10x_file_are_its_matrix(
    tmp_path_factory, n_cells, widths, antibodies, most, seed
):
    random = np.random.default_rng(seed)
    dense = [random.poisson(0.7, (n_cells, width)) for width in widths]
    kinds = None
    if len(widths) == 1:
        kinds = ["Gene Expression"] * widths[0] + ["Antibody Capture"] * antibodies
        kinds = random.permutation(kinds).tolist()
        dense = [random.poisson(0.7, (n_cells, len(kinds)))]
    genes = [[f"G{n}-{i}" for i in range(d.shape[1])] for n, d in enumerate(dense)]
    path = tmp_path_factory.mktemp("tenx") / "x.h5"
    barcodes = [f"c{i}" for i in range(n_cells)]
    write_10x(path, list(map(sparse.csr_matrix, dense)), genes, barcodes, kinds)
    expected = np.hstack(dense)
    if kinds is not None:
        expected = expected[:, [kind == "Gene Expression" for kind in kinds]]
    with opened_object(path) as opened:
        source = MatrixSource(opened.X, list(opened.var.index))
        assert source.shape == expected.shape
        nothing = np.zeros((0, expected.shape[1]))
        # What a worker of a cluster opens by itself is the same.
        with opened_origin(source.origin, source.genes) as again:
            found = [block.toarray() for _, block in again.rows_between(0, n_cells)]
        np.testing.assert_array_equal(np.vstack([nothing, *found]), expected)
        made = [block.toarray() for _, block in source.blocks(most)]
        np.testing.assert_array_equal(np.vstack([nothing, *made]), expected)
        assert list(opened.obs.index) == barcodes
    np.testing.assert_array_equal(read_object(path).X.toarray(), expected)
