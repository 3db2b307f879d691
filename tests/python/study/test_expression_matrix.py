import anndata
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellferry.errors import InvalidObjectError
from cellferry.study.expression import matrix as expression
from cellferry.study.expression.blocks import BlockSource, canonical
from cellferry.study.expression.matrix import MatrixSource, row_ranges
from cellferry.study.expression.source import BlockRun
from cellferry.study.expression.statistics import fraction_expressed
from cellferry.study.study import Clusters


def dense(source):
    return np.vstack([block.toarray() for _, block in source])


FORMS = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "coo_array_as_csr": lambda m: sparse.csr_array(sparse.coo_array(m)),
    "dense": np.asarray,
    "fortran": np.asfortranarray,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_matrix_gives_the_same_blocks_again_and_again(form, monkeypatch):
    monkeypatch.setattr(expression, "BLOCK_ROWS", 3)
    truth = np.round(np.random.default_rng(0).random((10, 4)) * 2, 1)
    truth[truth < 1] = 0
    source = MatrixSource(FORMS[form](truth), ["a", "b", "c", "d"])
    for _ in range(2):
        np.testing.assert_array_equal(dense(source), truth)
    assert [start for start, _ in source] == [0, 3, 6, 9]
    some = source.only(["d", "absent", "b"])
    assert some.genes == ("d", "b")
    np.testing.assert_array_equal(dense(some), truth[:, [3, 1]])


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix])
def test_blocks_of_a_matrix_in_memory_share_its_arrays(form, monkeypatch):
    # SciPy copies a view of arrays of twice its size.
    monkeypatch.setattr(expression, "BLOCK_VALUES", 8)
    matrix = form(np.arange(80.0).reshape(20, 4))
    blocks = [block for _, block in MatrixSource(matrix, list("abcd")).blocks()]
    assert len(blocks) > 3
    for block in blocks:
        assert np.shares_memory(block.data, matrix.data)
        assert np.shares_memory(block.indices, matrix.indices)
        block.check_format()


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(0, 2**16))
def test_the_fraction_of_expressing_cells_equals_the_dense_truth(n_cells, n_genes, seed):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, (n_cells, n_genes)).astype(float)
    codes = random.integers(-1, 3, n_cells).astype(np.int32)
    clusters = Clusters(("a", "b", "c"), codes)
    matrix = sparse.csr_matrix(truth)
    matrix.data[::2] = matrix.data[::2]
    genes = [f"g{i}" for i in range(n_genes)]
    found = fraction_expressed(MatrixSource(matrix, genes), clusters)
    for code in range(3):
        cells = truth[codes == code]
        expected = (cells > 0).mean(axis=0) if len(cells) else np.zeros(n_genes)
        np.testing.assert_allclose(found[code], expected)


def test_explicit_zeros_do_not_count_as_expressed():
    matrix = sparse.csr_matrix((np.array([0.0, 1.0]), np.array([0, 1]), np.array([0, 2])), (1, 2))
    found = fraction_expressed(MatrixSource(matrix, ["a", "b"]), Clusters.from_labels(["x"]))
    np.testing.assert_array_equal(found, [[0, 1]])


def test_scaled_data_have_no_fraction():
    matrix = sparse.csr_matrix(np.array([[-1.0, 2.0]]))
    clusters = Clusters.from_labels(["x"])
    assert fraction_expressed(MatrixSource(matrix, ["a", "b"]), clusters) is None


def block(row_start, matrix):
    csr = sparse.csr_matrix(matrix)
    return row_start, csr.indptr, csr.indices, csr.data


def test_blocks_that_arrive_in_order_are_the_matrix():
    truth = np.arange(12.0).reshape(6, 2)
    source = BlockSource(6, ["a", "b"])
    source.append(*block(0, truth[:4]))
    source.append(*block(4, truth[4:]))
    np.testing.assert_array_equal(dense(source), truth)


@pytest.mark.parametrize(
    "wrong",
    [
        (1, [0, 1], [0], [1.0]),
        (0, [0, 2], [0], [1.0]),
        (0, [0, 1], [2], [1.0]),
        (0, [0, 1], [-1], [1.0]),
        (0, [0, 2, 1, 2], [0, 1], [1.0, 1.0]),
        (0, [0] * 8, [], []),
    ],
)
def test_a_block_that_does_not_fit_is_refused(wrong):
    source = BlockSource(6, ["a", "b"])
    start, indptr, indices, data = wrong
    with pytest.raises(InvalidObjectError, match="does not fit"):
        source.append(start, np.array(indptr), np.array(indices, dtype=int), np.array(data))


def test_a_matrix_needs_one_name_for_each_column():
    with pytest.raises(InvalidObjectError, match="2 columns and 1 gene names"):
        MatrixSource(np.ones((1, 2)), ["a"])


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 12), st.integers(1, 7))
def test_runs_cover_every_row_once_and_keep_both_limits(sizes, values, most):
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    runs = list(row_ranges(indptr, values, most))
    assert [row for start, stop in runs for row in range(start, stop)] == list(range(len(sizes)))
    for start, stop in runs:
        assert stop - start <= most
        assert indptr[stop] - indptr[start] <= values or stop - start == 1


def test_a_block_is_put_in_order_only_if_it_has_to():
    tidy = sparse.csr_matrix(np.eye(2))
    assert canonical(tidy) is tidy
    arrays = (np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([0, 3]))
    untidy = sparse.csr_matrix(arrays, shape=(1, 2))
    assert canonical(untidy).toarray().tolist() == [[2, 4]]
    assert untidy.indices.tolist() == [1, 0, 1]


def test_blocks_that_follow_each_other_are_put_together():
    truth = sparse.random(9, 4, 0.5, format="csr", random_state=1)
    rows = BlockRun(tuple(sparse.csr_matrix(truth[i : i + 4]) for i in (0, 4, 8)))
    np.testing.assert_array_equal(canonical(rows).toarray(), truth.toarray())
    alone = sparse.csr_matrix(truth)
    assert BlockRun((alone,)).concat() is alone


@pytest.mark.parametrize("form", ["csr", "csc", "dense", "some genes", "a file"])
def test_it_says_whether_blocks_are_parts_of_the_matrix(form, tmp_path):
    matrix = sparse.random(20, 6, 0.4, format="csr", random_state=1)
    names = list("abcdef")
    if form == "csc":
        matrix = matrix.tocsc()
    elif form == "dense":
        matrix = matrix.toarray()
    elif form == "a file":
        anndata.AnnData(matrix).write_h5ad(tmp_path / "a.h5ad")
        matrix = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r").X
    source = MatrixSource(matrix, names, ["c", "a"] if form == "some genes" else None)
    assert source.shares_memory is (form in {"csr", "csc"})
    assert source.renamed(source.genes).shares_memory is source.shares_memory
    if source.shares_memory:
        assert all(np.shares_memory(block.data, matrix.data) for _, block in source.blocks(7))
