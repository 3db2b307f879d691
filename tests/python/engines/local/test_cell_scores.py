import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_matrix

from cellferry.engines.local.cells.answer import hierarchy_of
from cellferry.engines.local.cells.scores import CellProfiles
from cellferry.engines.local.knowledge.packaged import packaged_knowledge
from cellferry.engines.local.score import SHRINKAGE
from cellferry.errors import InvalidObjectError

PROFILES = hierarchy_of(packaged_knowledge(), "human").profiles
GENES = [*PROFILES.genes[:60], "NOT_A_GENE"]

blocks = arrays.arrays(np.float64, st.tuples(st.integers(1, 5), st.just(len(GENES))),
                       elements=st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.0]))  # fmt: skip


@settings(deadline=None)
@given(blocks)
def test_fits_are_the_formula_of_the_module(values):
    profiles = CellProfiles.for_genes(PROFILES, GENES)
    block = csr_matrix(values)
    e = values[:, :60] / (values[:, :60] + 1)
    w = PROFILES.positive[:, :60]
    v = (PROFILES.negative * PROFILES.specificity)[:, :60]
    mean = e.sum(axis=1, keepdims=True) / 200
    expected = (e - mean) @ w.T - e @ v.T
    expected /= np.sqrt((w**2).sum(axis=1) + SHRINKAGE)
    fits = profiles.fits(profiles.strengths(block, counts=False))
    assert fits == pytest.approx(expected, abs=1e-4)


@settings(deadline=None)
@given(blocks, st.permutations(range(len(GENES))))
def test_the_order_of_genes_changes_nothing(values, order):
    one = CellProfiles.for_genes(PROFILES, GENES)
    two = CellProfiles.for_genes(PROFILES, [GENES[i] for i in order])
    first = one.fits(one.strengths(csr_matrix(values), counts=False))
    second = two.fits(two.strengths(csr_matrix(values[:, order]), counts=False))
    assert np.array_equal(first, second)


@settings(deadline=None)
@given(blocks)
def test_a_cell_is_scored_by_itself(values):
    profiles = CellProfiles.for_genes(PROFILES, GENES)
    all_at_once = profiles.fits(profiles.strengths(csr_matrix(values), counts=True))
    for i in range(len(values)):
        alone = profiles.fits(profiles.strengths(csr_matrix(values[i : i + 1]), counts=True))
        assert np.array_equal(alone[0], all_at_once[i])


def test_counts_are_normalized_to_ten_thousand_per_cell():
    profiles = CellProfiles.for_genes(PROFILES, GENES)
    counts = np.zeros((1, len(GENES)))
    counts[0, [0, 60]] = 3, 7
    logged = np.log1p(counts / 10 * 10_000)
    assert profiles.strengths(csr_matrix(counts), counts=True).data == pytest.approx(
        profiles.strengths(csr_matrix(logged), counts=False).data, rel=1e-5
    )


@pytest.mark.parametrize(("value", "problem"), [(-1.0, "below 0"), (np.inf, "finite")])
def test_scaled_and_infinite_values_are_refused(value, problem):
    profiles = CellProfiles.for_genes(PROFILES, GENES)
    block = csr_matrix(np.full((1, len(GENES)), value))
    with pytest.raises(InvalidObjectError, match=problem):
        profiles.strengths(block, counts=False)


def test_without_a_known_gene_nothing_fits():
    profiles = CellProfiles.for_genes(PROFILES, ["x", "y"])
    fits = profiles.fits(profiles.strengths(csr_matrix(np.ones((2, 2))), counts=False))
    assert fits.shape == (2, len(PROFILES.names))
    assert not fits.any()
