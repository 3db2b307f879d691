import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cellferry.errors import ArtifactValuesError
from cellferry.study.expression import statistics as summary_expression
from cellferry.study.expression.statistics import ExpressionStatistics
from cellferry.study.study import Clusters


def statistics(matrix, clusters, axis="cells", step=3, cells=None, genes=None):
    kind = sparse.csr_matrix if axis == "cells" else sparse.csc_matrix
    matrix = kind(matrix)
    genes = genes or [f"g{i}" for i in range(matrix.shape[1])]
    found = ExpressionStatistics(genes, clusters, cells)
    for start in range(0, matrix.shape[0 if axis == "cells" else 1], step):
        block = matrix[start : start + step] if axis == "cells" else matrix[:, start : start + step]
        found.add(found.of_block(start, block, axis))
    return found


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 25),
    st.integers(1, 8),
    st.integers(0, 2**16),
    st.sampled_from(["cells", "genes"]),
    st.booleans(),
    st.sampled_from([0, 64]),
    st.sampled_from([1, 9, 1 << 16]),
)
def test_percentages_equal_the_dense_truth(n_cells, n_genes, seed, axis, negative, few, at_once):
    random = np.random.default_rng(seed)
    truth = random.integers(-2 if negative else 0, 3, (n_cells, n_genes)).astype(np.float32)
    codes = random.integers(-1, 3, n_cells).astype(np.int32)
    matrix = sparse.csr_matrix(np.ones_like(truth))
    matrix.data[:] = truth.ravel()  # with explicit zeros
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary_expression, "FEW_CLUSTERS", few)
        patch.setattr(summary_expression, "AT_ONCE", at_once)
        found = statistics(matrix, Clusters(("a", "b", "c"), codes), axis).percentages()
    for code in range(3):
        cells = truth[codes == code]
        for gene in range(n_genes):
            n = len(cells)
            expected = round(100 * int((cells[:, gene] != 0).sum()) / n, 2) if n else 0.0
            assert found[code, gene] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("largest", [255, 256, 65_535, 65_536])
@pytest.mark.parametrize(
    ("n_clusters", "axis"),
    [(1, "cells"), (5, "cells"), (1, "genes"), (255, "genes"), (256, "genes")],
)
def test_no_number_of_cells_is_too_large_to_be_counted(largest, n_clusters, axis):
    codes = np.append(np.zeros(largest, np.int32), np.arange(n_clusters, dtype=np.int32))
    codes = np.append(codes, np.int32(-1))  # a cell of no cluster
    matrix = sparse.csr_matrix(np.ones((len(codes), 2), dtype=np.float32))
    clusters = Clusters(tuple(map(str, range(n_clusters))), codes)
    found = statistics(matrix, clusters, axis, step=len(codes))
    assert found.expressed.tolist() == [[largest + 1] * 2, *[[1] * 2] * (n_clusters - 1)]


VERDICTS = [
    (np.log1p([[1000.0, 9000.0], [4000.0, 6000.0]]), "log_normalised", "sum to 10,000"),
    ([[0.5, 1.5], [0.0, 2.5]], "log_normalised", "fractions from 0 to 2.5"),
    ([[1.0, 3.0], [0.0, 2.0]], "raw_counts", "whole numbers up to 3"),
    ([[1.0, -0.5], [0.0, 2.0]], "scaled", "smallest is -0.5"),
    ([[0.5, 300.0], [0.0, 2.0]], "not_logged", "largest value is 300"),
    ([[0.0, 0.0], [0.0, 0.0]], "empty", "All values are zero"),
]


@pytest.mark.parametrize("axis", ["cells", "genes"])
@pytest.mark.parametrize(("values", "kind", "words"), VERDICTS, ids=[v[1] for v in VERDICTS])
def test_the_verdict_says_what_tells(values, kind, words, axis):
    values = np.asarray(values, dtype=np.float32)
    found = statistics(values, Clusters.from_labels(["a", "a"]), axis, 1).normalisation()
    assert found.kind == kind
    assert found.is_log_normalized == (kind == "log_normalised")
    if axis == "cells" or "sum to" not in words:
        assert words in found.explanation


def test_integer_types_are_counts_whatever_their_width():
    for dtype in ("i1", "i8", "u2"):
        found = statistics(np.array([[1, 2]], dtype=dtype), Clusters.from_labels(["a"]))
        assert found.normalisation().kind == "raw_counts"


@pytest.mark.parametrize("axis", ["cells", "genes"])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_a_value_that_is_no_number_is_named(axis, value, word):
    values = np.ones((7, 5), dtype=np.float32)
    values[5, 4] = value
    clusters = Clusters.from_labels(["a"] * 7)
    cells = [f"cell{i}" for i in range(7)]
    genes = ["CD3E", "CD79A", "LYZ", "NKG7", "PPBP"]
    with pytest.raises(ArtifactValuesError, match=f'gene "PPBP" in cell "cell5" is {word}') as e:
        statistics(values, clusters, axis, 2, cells, genes)
    assert e.value.data == {"gene": "PPBP", "cell": "cell5"}


def test_clusters_without_cells_have_no_expression():
    with pytest.raises(ValueError, match="no expression"):
        ExpressionStatistics(["g"], Clusters(("a",)))
