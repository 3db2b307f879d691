import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellferry.artifacts.vars_h5 import transpose
from cellferry.artifacts.vars_h5.transpose import Pieces, Transposed
from cellferry.errors import InternalError

NOWHERE = Pieces(10**9, Path("nowhere"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.integers(1, 12),
    st.integers(0, 2**16),
    st.sampled_from([0, 150, 10**9]),
    st.booleans(),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_blocks_become_scipys_csc(
    tmp_path_factory, widths, n_genes, seed, memory, known, group, order
):
    random = np.random.default_rng(seed)
    n_cells = sum(widths)
    dense = random.random((n_cells, n_genes)).astype(np.float32)
    matrix = sparse.csr_matrix(dense * (random.random(dense.shape) < 0.4))
    file = tmp_path_factory.mktemp("pieces") / "file"
    pieces = Pieces(memory, file, matrix.nnz + 3 if known else None)
    turned = Transposed((n_genes, n_cells), np.float32, pieces)
    ends = np.cumsum([0, *widths])
    # Threads may turn blocks in any order; they are added in theirs.
    made = {}
    for i in order.sample(range(len(widths)), len(widths)):
        made[i] = turned.turned(matrix[ends[i] : ends[i + 1]])
    for i in range(len(widths)):
        turned.add(made[i])
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(transpose, "GROUP_VALUES", group)
        runs = list(turned.groups(pool))
    truth = matrix.tocsc()
    truth.sort_indices()
    assert runs[-1][0] == n_genes
    np.testing.assert_array_equal(turned.indptr, truth.indptr)
    np.testing.assert_array_equal(np.concatenate([r[1] for r in runs]), truth.indices)
    np.testing.assert_array_equal(np.concatenate([r[2] for r in runs]), truth.data)
    assert all(r[1].dtype == np.int32 and r[2].dtype == np.float32 for r in runs)


def ones(n_columns, n_rows):
    return sparse.csr_matrix(np.ones((n_rows, n_columns), dtype=np.float32))


def test_only_what_exceeds_the_memory_goes_to_the_file(tmp_path):
    file = tmp_path / "pieces"
    turned = Transposed((4, 6), np.float32, Pieces(100, file))
    turned.add(turned.turned(ones(4, 3)))
    assert not file.exists()
    turned.add(turned.turned(ones(4, 3)))
    assert file.stat().st_size == 12 * (2 + 4)


def test_after_the_first_piece_in_the_file_all_go_there(tmp_path):
    # A small one that fits is often a view, and would keep all of its block in memory.
    file = tmp_path / "pieces"
    turned = Transposed((6, 4), np.float32, Pieces(100, file))
    turned.add(turned.turned(ones(6, 3)))
    turned.add(turned.turned(ones(6, 1)))
    assert file.stat().st_size == (18 + 6) * (2 + 4)


@pytest.mark.parametrize("values", [30, 2**31])
def test_one_array_only_where_it_fits_and_scipy_can_count_in_it(tmp_path, values):
    file = tmp_path / "pieces"
    turned = Transposed((6, 5), np.float32, Pieces(8 * 30 if values == 30 else 0, file, values))
    turned.add(turned.turned(ones(6, 5)))
    assert file.exists() is (values != 30)


def test_more_values_than_were_told_of_are_refused_before_they_are_written():
    turned = Transposed((6, 5), np.float32, Pieces(10**9, Path("nowhere"), 31))
    turned.turned(ones(6, 5))
    with pytest.raises(InternalError, match="more than the 31 values"):
        turned.turned(ones(6, 1))


@pytest.fixture(params=["compiled", "public"])
def scipy_parts(request, monkeypatch):
    """With SciPy's own compiled functions, and as if a later SciPy did not have them."""
    if request.param == "public":
        monkeypatch.setitem(sys.modules, "scipy.sparse._sparsetools", None)


@pytest.mark.parametrize("values", [1, 7, 10**6])
def test_a_block_is_cut_into_transposed_pieces(scipy_parts, values, monkeypatch):
    monkeypatch.setattr(transpose, "PIECE_VALUES", values)
    block = sparse.random(11, 5, 0.4, format="csr", random_state=1, dtype=np.float32)
    made = Transposed((5, 11), np.float32, NOWHERE).turned(block)
    assert (len(made) == 1) is (values == 10**6)
    found = [
        sparse.csr_matrix((piece.data, piece.indices, piece.indptr), shape=(5, piece.width))
        for piece in made
    ]
    np.testing.assert_array_equal(sparse.hstack(found).toarray(), block.toarray().T)
    assert all(piece.indices.dtype == np.int32 for piece in made)


def test_pieces_of_a_large_matrix_are_larger(monkeypatch):
    monkeypatch.setattr(transpose, "PIECE_VALUES", 10)
    block = sparse.csr_matrix(np.ones((40, 5), dtype=np.float32))
    assert len(Transposed((5, 40), np.float32, NOWHERE).turned(block)) == 20
    # 5 million values in at most 128 pieces are more than this block has.
    assert len(Transposed((5, 10**6), np.float32, NOWHERE).turned(block)) == 1


@pytest.mark.parametrize(("memory", "known"), [(0, False), (10**9, False), (10**9, True)])
def test_many_pieces_are_joined(scipy_parts, tmp_path, memory, known, monkeypatch):
    monkeypatch.setattr(transpose, "PIECE_VALUES", 5)
    monkeypatch.setattr(transpose, "LARGE_GROUP_VALUES", 100)
    matrix = sparse.random(700, 9, 0.3, format="csr", random_state=2, dtype=np.float32)
    pieces = Pieces(memory, tmp_path / "pieces", matrix.nnz if known else None)
    turned = Transposed((9, 100), np.float32, pieces)
    for start in range(0, 700, 100):
        turned.add(turned.turned(matrix[start : start + 100]))
    with ThreadPoolExecutor(2) as pool:
        runs = list(turned.groups(pool))
    truth = matrix.tocsc()
    np.testing.assert_array_equal(np.concatenate([r[1] for r in runs]), truth.indices)
    np.testing.assert_array_equal(np.concatenate([r[2] for r in runs]), truth.data)


def test_a_file_of_pieces_that_was_cut_is_an_error(tmp_path):
    file = tmp_path / "pieces"
    turned = Transposed((3, 4), np.float32, Pieces(0, file))
    turned.add(turned.turned(ones(3, 4)))
    file.write_bytes(file.read_bytes()[:50])
    with ThreadPoolExecutor(1) as pool, pytest.raises(EOFError):
        list(turned.groups(pool))


@pytest.mark.parametrize("width", [2**16, 2**16 + 1])
def test_places_in_the_file_take_two_bytes_where_that_is_enough(tmp_path, width, monkeypatch):
    monkeypatch.setattr(transpose, "PIECE_VALUES", 10**6)
    file = tmp_path / "pieces"
    turned = Transposed((2, width), np.float32, Pieces(0, file))
    turned.add(turned.turned(ones(2, width)))
    assert file.stat().st_size == 2 * width * (4 + (2 if width == 2**16 else 4))
    with ThreadPoolExecutor(1) as pool:
        runs = list(turned.groups(pool))
    found = np.concatenate([indices for _, indices, _ in runs])
    np.testing.assert_array_equal(found, np.tile(np.arange(width), 2))
