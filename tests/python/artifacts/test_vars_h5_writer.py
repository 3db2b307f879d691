import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from artifact_data import counts_matrix, log_normalised, make_adata, read_group
from cellferry.artifacts import by_gene, gene_ranges
from cellferry.artifacts.inputs import Candidate, Inputs, open_inputs
from cellferry.artifacts.vars_h5 import chunks, transpose
from cellferry.artifacts.vars_h5 import matrix as matrix_module
from cellferry.artifacts.vars_h5 import writer as module
from cellferry.artifacts.vars_h5.writer import VarsWriter
from cellferry.runs.worker import CancelledWork, Events
from cellferry.study.expression import kinds
from cellferry.study.expression import matrix as expression
from cellferry.study.expression.blocks import BlockSource
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.expression.statistics import ExpressionStatistics
from cellferry.study.study import Clusters, Study


def write(data, folder, batch=7, events=None, **options):
    """Write a vars.h5 and return its path, the verdicts and the statistics."""
    with open_inputs(
        data, group_key="leiden", coordinates_key="X_umap", rank_key="rank_genes_groups"
    ) as inputs:
        study = inputs.study
        statistics = ExpressionStatistics(study.normalized.genes, study.clusters, study.cells)
        path = folder / "vars.h5"
        writer = VarsWriter(inputs, statistics, folder, batch, events or Events(), **options)
        return path, {v.name: v for v in writer.write(path)}, statistics


FORMS = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "csr_array": sparse.csr_array,
    "csr64": lambda m: with_wide_indices(sparse.csr_matrix(m)),
    "dense": np.asarray,
    "fortran": np.asfortranarray,
    "float64": lambda m: sparse.csr_matrix(m.astype(np.float64)),
    "dense64": lambda m: m.astype(np.float64),
}


def with_wide_indices(matrix):
    matrix.indices, matrix.indptr = matrix.indices.astype("i8"), matrix.indptr.astype("i8")
    return matrix


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["memory", "file", "backed"])
def test_every_form_in_every_place_gives_the_same_file(form, where, tmp_path, monkeypatch):
    import anndata

    monkeypatch.setattr(transpose, "GROUP_VALUES", 20)
    monkeypatch.setattr(module, "PIECES_OF_A_FILE", 200)
    adata = make_adata(form=FORMS[form])
    truth = {"vars": make_adata().X.toarray(), "raw": make_adata().layers["counts"].toarray()}
    data = adata
    if where != "memory":
        data = tmp_path / "a.h5ad"
        adata.write_h5ad(data)
    if where == "backed":
        data = anndata.read_h5ad(data, backed="r")
    path, verdicts, statistics = write(data, tmp_path)
    for name, expected in truth.items():
        np.testing.assert_array_equal(read_group(path, name), expected)
    assert verdicts['layers["counts"]'].are_counts
    groups = adata.obs["leiden"].cat.codes.to_numpy()
    for code in range(3):
        expected = np.round(100 * (truth["vars"][groups == code] != 0).mean(axis=0), 2)
        np.testing.assert_allclose(statistics.percentages()[code], expected, atol=1e-9)


@pytest.mark.parametrize("form", ["csr", "csr64", "float64"])
@pytest.mark.parametrize("chunk", [16, 1 << 18])
def test_a_matrix_read_by_ranges_of_genes_gives_the_same_file(form, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", chunk)
    monkeypatch.setattr(by_gene, "FEW_VALUES", 0)
    monkeypatch.setattr(gene_ranges, "RANGE_VALUES", 30)
    adata = make_adata(form=FORMS[form])
    path, verdicts, statistics = write(adata, tmp_path)
    truth = make_adata()
    np.testing.assert_array_equal(read_group(path, "vars"), truth.X.toarray())
    np.testing.assert_array_equal(read_group(path, "raw"), truth.layers["counts"].toarray())
    assert verdicts['layers["counts"]'].are_counts
    assert statistics.expressed.sum() == np.count_nonzero(truth.X.toarray())


@pytest.mark.parametrize("chunk", [4, 16, 1 << 18])
def test_the_bytes_depend_neither_on_processors_nor_on_the_way_of_reading(
    chunk, tmp_path, monkeypatch
):
    monkeypatch.setattr(chunks, "CHUNK", chunk)
    monkeypatch.setattr(gene_ranges, "RANGE_VALUES", 30)
    monkeypatch.setattr(transpose, "GROUP_VALUES", 20)
    made = {"csr": make_adata(), "csc": make_adata(form=sparse.csc_matrix)}
    made["file"] = tmp_path / "a.h5ad"
    made["csr"].write_h5ad(made["file"])
    found = set()
    for n, few, which, batch in [
        (1, 0, "csr", 7), (3, 0, "csr", 100), (8, 10**9, "csr", 3), (2, 0, "file", 5),
        (3, 0, "csc", 4),
    ]:  # fmt: skip
        monkeypatch.setattr(by_gene, "FEW_VALUES", few)
        for where in (by_gene, module, transpose, matrix_module):
            monkeypatch.setattr(where, "processors", lambda n=n: n)
        path, _, _ = write(made[which], tmp_path, batch)
        found.add(path.read_bytes())
        path.unlink()
    assert len(found) == 1


@pytest.mark.parametrize("which", ["counts", "values"])
def test_rows_in_memory_that_are_not_in_order_give_the_same(which, tmp_path, monkeypatch):
    monkeypatch.setattr(by_gene, "FEW_VALUES", 0)
    adata = make_adata()
    truth = {"vars": adata.X.toarray(), "raw": adata.layers["counts"].toarray()}
    mixed = adata.layers["counts"] if which == "counts" else adata.X
    # Only in the last row, where others have been written already.
    last = slice(int(mixed.indptr[-2]), int(mixed.indptr[-1]))
    for values in (mixed.data, mixed.indices):
        values[last] = values[last][::-1].copy()
    assert not sparse.csr_matrix(mixed[-1:]).has_sorted_indices
    path, verdicts, statistics = write(adata, tmp_path)
    for name, expected in truth.items():
        np.testing.assert_array_equal(read_group(path, name), expected)
    assert verdicts['layers["counts"]'].are_counts
    assert statistics.expressed.sum() == np.count_nonzero(truth["vars"])


def test_the_layout_is_the_documented_one(tmp_path):
    adata = make_adata()
    adata.var["__cytetype_gene_symbols"] = list(adata.var_names)
    path, _, _ = write(adata, tmp_path, gene_symbols_column="__cytetype_gene_symbols")
    with h5py.File(path, "r") as file:
        assert set(file) == {"vars", "raw", "info"}
        assert not file.attrs
        for name, dtype in (("vars", "f4"), ("raw", "i4")):
            group = file[name]
            assert set(group) == {"indices", "data", "indptr"}
            assert {k: (v, v.dtype) for k, v in group.attrs.items()} == {
                "n_obs": (30, np.int64),
                "n_vars": (12, np.int64),
            }
            assert (group["indices"].dtype, group["indptr"].dtype) == (np.int32, np.int64)
            assert group["data"].dtype == dtype
            for part in ("indices", "data"):
                assert set(group[part]._filters) == {"32004"}
            assert group["indptr"].chunks is None
        info = file["info/var"]
        assert dict(info.attrs) == {"gene_symbols_column": "__cytetype_gene_symbols"}
        assert set(info) == {"var_names", "index", "columns"}
        assert list(info["columns"]) == ["cytetype_gene_symbols"]
        assert h5py.check_string_dtype(info["var_names"].dtype).length is None


def test_x_that_is_itself_the_counts_is_read_once(tmp_path, monkeypatch):
    adata = make_adata(counts=False)
    adata.X = sparse.csr_matrix(counts_matrix(30, 12))
    reads = []
    real = MatrixSource.blocks
    monkeypatch.setattr(MatrixSource, "blocks", lambda s, most: reads.append(1) or real(s, most))
    path, verdicts, statistics = write(adata, tmp_path)
    assert len(reads) == 1
    assert verdicts["X"].are_counts
    np.testing.assert_array_equal(read_group(path, "raw"), adata.X.toarray())
    np.testing.assert_array_equal(read_group(path, "vars"), adata.X.toarray())
    assert statistics.normalisation().kind == "raw_counts"


@pytest.mark.parametrize("place", ["layer", "X"])
def test_a_fraction_that_the_sample_missed_is_found_while_writing(place, tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "LOOKED_AT", 1)
    values = sparse.csr_matrix(np.ones((600, 3), dtype=np.float32))
    values.data[-2] = 0.5
    adata = make_adata(600, 3, counts=False)
    if place == "layer":
        adata.layers["counts"] = values
    else:
        adata.X = values
    path, verdicts, _ = write(adata, tmp_path, batch=50)
    assert read_group(path, "raw") is None
    name = 'layers["counts"]' if place == "layer" else "X"
    assert not verdicts[name].are_counts
    assert verdicts[name].refused_while_writing
    assert "it holds 0.5" in verdicts[name].explanation
    assert read_group(path, "vars").shape == (600, 3)


def test_after_a_refused_place_the_next_one_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "LOOKED_AT", 1)
    adata = make_adata(600, 3)
    adata.raw = adata.copy()
    adata.raw._X = adata.layers["counts"].copy()
    adata.layers["counts"] = sparse.csr_matrix(np.ones((600, 3), dtype=np.float32))
    adata.layers["counts"].data[-2] = 0.5
    path, verdicts, _ = write(adata, tmp_path, batch=50)
    assert verdicts["raw.X"].are_counts
    np.testing.assert_array_equal(read_group(path, "raw"), adata.raw.X.toarray())


SMALL = {
    "one cell": np.array([[0.5, 0.0, 1.5]]),
    "one gene": np.array([[0.5], [0.0], [1.5]]),
    "one value": np.array([[0.5]]),
    "nothing stored": np.zeros((3, 2)),
    "empty gene and cell": np.array([[0.5, 0.0], [0.0, 0.0]]),
    "zero variance": np.full((4, 3), 0.25),
    "negative": np.array([[-0.5, 0.5]]),
}


@pytest.mark.parametrize("form", ["csr", "csc", "dense"])
@pytest.mark.parametrize("case", SMALL)
def test_small_and_odd_matrices_are_written(case, form, tmp_path):
    values = SMALL[case].astype(np.float32)
    adata = make_adata(*values.shape, form=FORMS[form])
    adata.X = FORMS[form](values)
    path, _, _ = write(adata, tmp_path)
    np.testing.assert_array_equal(read_group(path, "vars"), values)


def test_a_matrix_without_genes_is_written(tmp_path):
    path, _, statistics = write(make_adata(5, 0), tmp_path)
    assert read_group(path, "vars").shape == (5, 0)
    assert statistics.percentages().shape[1] == 0


def test_explicit_zeros_are_kept_and_not_counted(tmp_path):
    adata = make_adata(3, 2)
    adata.X = sparse.csr_matrix(
        (np.array([0.0, 1.5], "f4"), np.array([0, 1]), np.array([0, 2, 2, 2])), shape=(3, 2)
    )
    path, _, statistics = write(adata, tmp_path)
    with h5py.File(path, "r") as file:
        assert len(file["vars/data"]) == 2
    assert statistics.percentages()[:, 0].max() == 0


def test_duplicated_and_unsorted_entries_are_put_in_order_without_touching_the_users(tmp_path):
    adata = make_adata(2, 3)
    arrays = (np.array([1, 2, 0.5, 4], "f4"), np.array([2, 0, 2, 1]), np.array([0, 3, 4]))
    adata.X = sparse.csr_matrix(arrays, shape=(2, 3))
    before = adata.X.data.copy(), adata.X.indices.copy()
    path, _, _ = write(adata, tmp_path)
    np.testing.assert_array_equal(read_group(path, "vars"), [[2, 0, 1.5], [0, 4, 0]])
    np.testing.assert_array_equal(adata.X.data, before[0])
    np.testing.assert_array_equal(adata.X.indices, before[1])


def test_blocks_from_r_are_written(tmp_path):
    counts = counts_matrix(20, 6)
    values = log_normalised(counts).astype(np.float64)
    genes = [f"g{i}" for i in range(6)]
    sources = []
    for matrix in (values, counts):
        source = BlockSource(20, genes)
        for start in range(0, 20, 8):
            part = sparse.csr_matrix(matrix[start : start + 8])
            source.append(start, part.indptr, part.indices, part.data.astype(np.float64))
        sources.append(source)
    study = Study(
        Clusters.from_labels(["a", "b"] * 10), "leiden", tuple(map(str, range(20))),
        normalized=sources[0],
    )  # fmt: skip
    inputs = Inputs(study, pd.DataFrame(index=genes), (Candidate("counts", sources[1]),))
    path, verdicts, _ = write(inputs, tmp_path)
    np.testing.assert_array_equal(read_group(path, "vars"), values.astype(np.float32))
    np.testing.assert_array_equal(read_group(path, "raw"), counts)
    assert verdicts["counts"].are_counts


def test_progress_is_told_and_an_interrupt_is_seen(tmp_path):
    events, seen, again = Events(), [], []
    write(make_adata(form=np.asarray), tmp_path, events=events)
    events.drain(seen.append)
    assert {e.text for e in seen} == {
        "Reading the normalised values", "Writing the normalised values",
        "Reading the raw counts", "Writing the raw counts",
    }  # fmt: skip
    read = [e.done for e in seen if e.text == "Reading the normalised values"]
    assert read == sorted(read)
    assert read[-1] == 30
    write(make_adata(), tmp_path, events=events)
    events.drain(again.append)
    assert {e.text for e in again} == {
        "Writing the normalised values", "Reading the raw counts", "Writing the raw counts",
    }  # fmt: skip
    events.cancel()
    for form in (sparse.csr_matrix, np.asarray):
        with pytest.raises(CancelledWork):
            write(make_adata(form=form), tmp_path, events=events)


def test_blocks_never_exceed_the_limit_of_values(monkeypatch):
    monkeypatch.setattr(expression, "BLOCK_VALUES", 10)
    dense = counts_matrix(40, 6)
    for form in (sparse.csr_matrix, sparse.csc_matrix, np.asarray):
        source = MatrixSource(form(dense), list("abcdef"))
        sizes = [b.nnz for _, b in source.blocks(1000)]
        alone = {int(n) for n in (dense != 0).sum(axis=0 if source.axis == "genes" else 1)}
        assert all(n <= 10 or n in alone for n in sizes)
        assert sum(sizes) == np.count_nonzero(dense)
