import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellferry.artifacts import transpose
from cellferry.artifacts.transpose import Pieces, Transposed, transposed_pieces


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.integers(1, 12),
    st.integers(0, 2**16),
    st.sampled_from([0, 150, 10**9]),
    st.integers(1, 40),
)
def test_blocks_become_scipys_csc(tmp_path_factory, widths, n_genes, seed, memory, group):
    random = np.random.default_rng(seed)
    n_cells = sum(widths)
    dense = random.random((n_cells, n_genes)).astype(np.float32)
    matrix = sparse.csr_matrix(dense * (random.random(dense.shape) < 0.4))
    file = tmp_path_factory.mktemp("pieces") / "file"
    turned = Transposed(n_genes, np.float32, Pieces(memory, file))
    start = 0
    for width in widths:
        turned.add(matrix[start : start + width].tocsc().T)
        start += width
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


def test_only_what_exceeds_the_memory_goes_to_the_file(tmp_path):
    file = tmp_path / "pieces"
    block = sparse.csr_matrix(np.ones((4, 3), dtype=np.float32))
    turned = Transposed(4, np.float32, Pieces(100, file))
    turned.add(block)
    assert not file.exists()
    turned.add(block)
    assert file.stat().st_size == 2 * 12 * 4


def test_after_the_first_piece_in_the_file_all_go_there(tmp_path):
    # A small one that fits is often a view, and would keep all of its block in memory.
    file = tmp_path / "pieces"
    large, small = (sparse.csr_matrix(np.ones((n, 3), dtype=np.float32)) for n in (6, 1))
    turned = Transposed(6, np.float32, Pieces(100, file))
    turned.add(large)
    small.resize(6, 3)
    turned.add(small)
    assert file.stat().st_size == 2 * (18 + 3) * 4


@pytest.fixture(params=["compiled", "public"])
def scipy_parts(request, monkeypatch):
    """With SciPy's own compiled functions, and as if a later SciPy did not have them."""
    if request.param == "public":
        monkeypatch.setitem(sys.modules, "scipy.sparse._sparsetools", None)


@pytest.mark.parametrize("values", [1, 7, 10**6])
def test_a_block_is_cut_into_transposed_pieces(scipy_parts, values, monkeypatch):
    monkeypatch.setattr(transpose, "PIECE_VALUES", values)
    block = sparse.random(11, 5, 0.4, format="csr", random_state=1, dtype=np.float32)
    made = transposed_pieces(block, 11)
    assert (len(made) == 1) is (values == 10**6)
    np.testing.assert_array_equal(np.hstack([piece.toarray() for piece in made]), block.toarray().T)
    assert all(piece.indices.dtype == np.int32 for piece in made)


def test_pieces_of_a_large_matrix_are_larger(monkeypatch):
    monkeypatch.setattr(transpose, "PIECE_VALUES", 10)
    block = sparse.csr_matrix(np.ones((40, 5), dtype=np.float32))
    assert len(transposed_pieces(block, 40)) == 20
    # 5 million values in at most 128 pieces are more than this block has.
    assert len(transposed_pieces(block, 10**6)) == 1


@pytest.mark.parametrize("memory", [0, 10**9])
def test_many_pieces_are_joined(scipy_parts, tmp_path, memory, monkeypatch):
    monkeypatch.setattr(transpose, "PIECE_VALUES", 5)
    monkeypatch.setattr(transpose, "LARGE_GROUP_VALUES", 100)
    matrix = sparse.random(700, 9, 0.3, format="csr", random_state=2, dtype=np.float32)
    turned = Transposed(9, np.float32, Pieces(memory, tmp_path / "pieces"))
    for start in range(0, 700, 100):
        for piece in transposed_pieces(matrix[start : start + 100], 100):
            turned.add(piece)
    with ThreadPoolExecutor(2) as pool:
        runs = list(turned.groups(pool))
    truth = matrix.tocsc()
    np.testing.assert_array_equal(np.concatenate([r[1] for r in runs]), truth.indices)
    np.testing.assert_array_equal(np.concatenate([r[2] for r in runs]), truth.data)


def test_a_file_of_pieces_that_was_cut_is_an_error(tmp_path):
    file = tmp_path / "pieces"
    turned = Transposed(3, np.float32, Pieces(0, file))
    turned.add(sparse.csr_matrix(np.ones((3, 4), dtype=np.float32)))
    file.write_bytes(file.read_bytes()[:50])
    with ThreadPoolExecutor(1) as pool, pytest.raises(EOFError):
        list(turned.groups(pool))
