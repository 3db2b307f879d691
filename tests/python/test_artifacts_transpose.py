from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellferry.artifacts import transpose
from cellferry.artifacts.transpose import Pieces, Transposed


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
