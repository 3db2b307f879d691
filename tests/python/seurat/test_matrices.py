import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry import errors
from r_session import needs_rpy2, r, r_true, r_with

pytestmark = needs_rpy2


@st.composite
def matrices(draw):
    rows, columns = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    values = st.sampled_from([0.0, 0.0, 1.0, -2.5, np.inf, np.nan, 1e-300])
    cells = draw(st.lists(values, min_size=rows * columns, max_size=rows * columns))
    return np.array(cells, dtype="f8").reshape(rows, columns)


def sparse_of(dense, form):
    """Sparse with its infinite and missing values, which scipy keeps."""
    made = sp.coo_matrix(dense)
    return made.asformat(form)


@settings(max_examples=60, deadline=None)
@given(matrices(), st.sampled_from(["csr", "csc", "coo"]), st.sampled_from(["f8", "f4", "i8"]))
def test_sparse_to_r_is_the_transpose_and_back_is_the_same(dense, form, dtype):
    from cellferry.seurat.matrices import shared_matrix, transposed_to_r

    if dtype == "i8":
        dense = np.nan_to_num(dense, nan=7, posinf=9)
    given_matrix = sparse_of(dense.astype(dtype), form)
    made = transposed_to_r(given_matrix, "x")
    dense = given_matrix.toarray().astype("f8")
    flat = r_with("as.double(as.matrix(m))", m=made)
    np.testing.assert_array_equal(np.array(list(flat)), dense.ravel())
    back = shared_matrix(made)
    assert back.shape == dense.shape
    np.testing.assert_array_equal(back.toarray(), dense)


@settings(max_examples=30, deadline=None)
@given(matrices(), st.sampled_from(["C", "F"]))
def test_dense_to_r_is_the_transpose_and_back_is_the_same(dense, order):
    from cellferry.seurat.matrices import shared_matrix, transposed_to_r

    made = transposed_to_r(np.asarray(dense, order=order), "x")
    assert r_true(f"identical(dim(m), c({dense.shape[1]}L, {dense.shape[0]}L))", m=made)
    np.testing.assert_array_equal(shared_matrix(made), dense)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.floats(0, 1), min_size=n * n, max_size=n * n))
)
def test_a_graph_keeps_its_direction(cells):
    from cellferry.seurat.matrices import graph_from_r, graph_to_r

    n = int(len(cells) ** 0.5)
    dense = np.array(cells).reshape(n, n)
    made = graph_to_r(sp.csr_matrix(dense), "graph")
    assert r_true("identical(as.matrix(m), d)", m=made, d=_plain(dense))
    np.testing.assert_array_equal(graph_from_r(made).toarray(), dense)


def _plain(dense):
    from cellferry.seurat.matrices import dense_to_r

    return dense_to_r(dense)


def test_plain_matrices_keep_rows_as_rows():
    from cellferry.seurat.matrices import plain_matrix, row_names

    made = r("matrix(c(1, 2, 3, 4, 5, 6), 2, dimnames = list(c('a', 'b'), NULL))")
    np.testing.assert_array_equal(plain_matrix(made), [[1, 3, 5], [2, 4, 6]])
    assert row_names(made) == ["a", "b"]
    assert row_names(r("matrix(1)")) == []


SPARSE = "{ library(Matrix); m <- as(matrix(c(0, 1.5, 2, 0, 0, 3), 3), 'CsparseMatrix'); m }"


def test_a_sparse_matrix_of_r_is_shared_read_only_and_canonical():
    from cellferry.seurat.matrices import shared_matrix
    from cellferry.seurat.vectors import slot
    from cellferry.seurat.views import view

    stored = r(SPARSE)
    shared = shared_matrix(stored)
    assert shared.data.ctypes.data == view(slot(stored, "x")).ctypes.data
    assert shared.indices.ctypes.data == view(slot(stored, "i")).ctypes.data
    assert (shared.format, shared.shape) == ("csr", (2, 3))
    assert shared.has_sorted_indices
    assert shared.has_canonical_format
    with pytest.raises(ValueError, match="read-only"):
        shared.data *= 2
    editable = shared.copy()
    editable.data *= 2
    np.testing.assert_array_equal(shared.toarray() * 2, editable.toarray())


def test_a_matrix_stored_by_rows_is_shared_as_csc():
    from cellferry.seurat.matrices import shared_matrix

    shared = shared_matrix(r("as(" + SPARSE + ", 'RsparseMatrix')"))
    assert shared.format == "csc"
    np.testing.assert_array_equal(shared.toarray(), [[0, 1.5, 2], [0, 0, 3]])


@pytest.mark.parametrize("code", ["matrix(1:4, 2)", "Matrix::Matrix(c(TRUE, FALSE), 2)"])
def test_other_kinds_are_not_shared(code):
    from cellferry.seurat.matrices import shared_matrix

    assert shared_matrix(r(code)) is None


def parts_in_r(pieces):
    """R code of a list of parts with cells and genes by name."""
    made = [
        f"list(mat = {mat}, genes = {genes}, cells = {cells}, layer = 'data')"
        for mat, genes, cells in pieces
    ]
    return r(f"{{ library(Matrix); list({', '.join(made)}) }}")


def test_ragged_parts_in_another_order_are_put_together_exactly():
    from cellferry.seurat.matrices import matrix_from_parts

    sparse = "as(matrix(c({}), 2), 'CsparseMatrix')"
    found = parts_in_r(
        [(sparse.format("1, 2, 0, 4"), "c('g3', 'g1')", "c('c4', 'c1')"),
         (sparse.format("5, 0, 7, 8"), "c('g1', 'g2')", "c('c2', 'c3')")]
    )  # fmt: skip
    cells, genes = r("paste0('c', 1:4)"), r("paste0('g', 1:3)")
    made = matrix_from_parts(found, cells, genes)
    assert not made.is_shared
    np.testing.assert_array_equal(
        made.values.toarray(), [[4, 0, 0], [5, 0, 0], [7, 8, 0], [2, 0, 1]]
    )


@pytest.mark.parametrize("kind", ["matrix(1:6, 2)", "Matrix::Matrix(1:6 > 2, 2, sparse = TRUE)"])
def test_other_storage_is_read_block_by_block(kind):
    from cellferry.seurat.matrices import matrix_from_parts

    found = parts_in_r([(kind, "c('g1', 'g2')", "c('c1', 'c2', 'c3')")])
    made = matrix_from_parts(found, r("paste0('c', 1:3)"), r("paste0('g', 1:2)"))
    expected = np.array(list(r(f"as.double(as.matrix({kind}))"))).reshape(3, 2)
    np.testing.assert_array_equal(made.values.toarray(), expected)


def test_unsorted_and_doubled_indices_are_put_in_order_on_a_copy():
    from cellferry.seurat.matrices import canonical

    given_matrix = sp.csr_matrix((np.array([1.0, 2.0, 3.0]), [2, 0, 2], [0, 3]), shape=(1, 3))
    made = canonical(given_matrix, "csr", "x")
    np.testing.assert_array_equal(made.indices, [0, 2])
    np.testing.assert_array_equal(made.data, [2.0, 4.0])
    np.testing.assert_array_equal(given_matrix.indices, [2, 0, 2])


@pytest.mark.parametrize("indices", [[0, 9], [-1, 1]])
def test_a_damaged_matrix_is_refused(indices):
    from cellferry.seurat.matrices import transposed_to_r

    broken = sp.csr_matrix(np.array([[1.0, 2.0]]))
    broken.indices = np.array(indices, dtype="i4")
    with pytest.raises(errors.InvalidObjectError, match="X is damaged"):
        transposed_to_r(broken, "X")


def test_more_values_than_r_can_hold_are_refused_with_the_recipe(monkeypatch):
    from cellferry.seurat import matrices

    assert matrices.MOST_VALUES == 2**31 - 1
    monkeypatch.setattr(matrices, "MOST_VALUES", 3)
    matrices.transposed_to_r(sp.csr_matrix(np.ones((1, 3))), "X")
    with pytest.raises(errors.InvalidObjectError, match="X has 4 values") as caught:
        matrices.transposed_to_r(sp.csr_matrix(np.ones((1, 4))), "X")
    assert "merge()" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        (sp.csr_matrix(np.array([[1j]])), errors.InvalidObjectError, "complex128"),
        (np.array([["a"]]), errors.UnsupportedObjectError, "2-D numbers"),
        (object(), errors.UnsupportedObjectError, "not in memory"),
    ],
)
def test_what_r_cannot_hold_is_refused_with_the_recipe(values, error, match):
    from cellferry.seurat.matrices import transposed_to_r

    with pytest.raises(error, match=match):
        transposed_to_r(values, "X")


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[0, 3, 1]], "counts"), ([[0, 0.5]], "normalized"), ([[-0.5, 2]], "scaled"),
     ([[0, 0]], "empty"), ([[np.nan, 2]], "counts")],
)  # fmt: skip
def test_kinds_of_values(values, kind):
    from cellferry.seurat.matrices import value_kind

    assert value_kind(np.array(values, dtype=float)) == kind
    assert value_kind(sp.csr_matrix(np.array(values, dtype=float))) == kind
