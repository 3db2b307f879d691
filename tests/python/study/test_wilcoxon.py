"""The rank sum test of a block of genes, against SciPy's on each gene and group by itself."""

from __future__ import annotations

import importlib

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_matrix, csr_matrix
from scipy.stats import mannwhitneyu

from cellferry.errors import NotNormalizedError
from cellferry.study.markers.rules import RULES, fold_change, rounded_share, rules_of
from cellferry.study.markers.wilcoxon import SORTED_VALUES, Groups, group_sums, p_values

KINDS = ("positive", "negative", "tied", "whole", "huge", "close", "zeros")


def values_of(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    stored = rng.random(shape) < 0.5
    made = {
        "positive": rng.gamma(2, 1, shape),
        "negative": rng.normal(0, 1, shape),
        "tied": rng.integers(0, 4, shape) / 3,
        "whole": rng.integers(0, 300, shape).astype(float),
        "huge": rng.normal(0, 1, shape) * 10.0 ** rng.integers(-300, 300, shape),
        # Equal in all but the last bits, which a key of 64 bits has no place for.
        "close": 1 + rng.integers(0, 5, shape) * np.finfo(float).eps,
        "zeros": np.zeros(shape),
    }[kind]
    return np.where(stored, made, 0.0)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(4, 60),
    n_groups=st.integers(1, 5),
    dtype=st.sampled_from([np.float32, np.float64, np.int32]),
)
def test_p_is_the_one_of_scipy(kind: str, seed: int, n: int, n_groups: int, dtype: type) -> None:
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        values = values_of(kind, (n, 7), rng).astype(dtype)
    values[~np.isfinite(values)] = 0
    codes = rng.integers(-1, n_groups + 1, n).astype(np.int32)
    groups = Groups(codes, n_groups)
    found = group_sums(csc_matrix(values), groups, scale=None)
    sizes = groups.sizes
    p, _ = p_values(found.rank_sums[:, :-1], found.ties, sizes[:-1], int(sizes.sum()))
    exact = values.astype(np.float64)
    for group in range(n_groups):
        inside, outside = codes == group, (codes >= 0) & (codes != group)
        assert found.positive[:, group].tolist() == (exact[inside] > 0).sum(axis=0).tolist()
        np.testing.assert_allclose(
            found.sums[:, group], exact[inside].sum(axis=0), rtol=1e-12, atol=1e-300
        )
        if not inside.any() or not outside.any():
            continue
        for gene in range(7):
            first, second = exact[inside, gene], exact[outside, gene]
            if len(np.unique(np.concatenate([first, second]))) == 1:
                assert p[gene, group] == 1
                continue
            expected = mannwhitneyu(first, second, use_continuity=True, method="asymptotic")
            assert p[gene, group] == pytest.approx(min(1.0, expected.pvalue), rel=1e-9)


def test_more_values_than_are_sorted_at_once_give_the_same() -> None:
    rng = np.random.default_rng(1)
    n = SORTED_VALUES // 2 + 5
    values = rng.gamma(2, 1, (n, 3)) * (rng.random((n, 3)) < 0.9)
    groups = Groups(rng.integers(0, 3, n).astype(np.int32), 3)
    whole = group_sums(csc_matrix(values), groups, scale=1.0)
    for gene in range(3):
        one = group_sums(csc_matrix(values[:, [gene]]), groups, scale=1.0)
        for name in ("rank_sums", "positive", "sums", "ties"):
            assert np.array_equal(getattr(one, name)[0], getattr(whole, name)[gene]), name


def test_zeros_that_are_stored_are_zeros() -> None:
    block = csc_matrix(np.array([[1.0], [2.0], [3.0], [0.0]]))
    stored = block.copy()
    stored.data[1] = 0
    plain = csc_matrix(stored.toarray())
    groups = Groups(np.array([0, 0, 1, 1], np.int32), 2)
    first, second = (group_sums(b, groups, scale=1.0) for b in (stored, plain))
    assert np.array_equal(first.rank_sums, second.rank_sums)
    assert np.array_equal(first.positive, second.positive)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_without_a_rank_are_refused(value: float) -> None:
    block = csc_matrix(np.array([[1.0, 2.0], [value, 3.0]]))
    with pytest.raises(NotNormalizedError, match="NaN or infinite ones, which have no rank"):
        group_sums(block, Groups(np.array([0, 1], np.int32), 2), scale=None)


def test_p_is_zero_where_it_is_in_r() -> None:
    # pnorm(-37.5193) is 4.6e-308 in R, and exactly 0 below; erfc() goes on.
    n = 4000
    values = np.concatenate([np.arange(n) + 1e6, np.arange(n)]).astype(float)[:, None] + 1
    groups = Groups(np.repeat(np.array([0, 1], np.int32), n), 2)
    found = group_sums(csc_matrix(values), groups, scale=None)
    p, z = p_values(found.rank_sums[:, :2], found.ties, groups.sizes[:2], 2 * n)
    assert z[0, 0] > 60
    assert p[0].tolist() == [0, 0]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 100_000), st.data())
def test_shares_are_rounded_to_the_nearer_number(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    found = float(rounded_share(np.array([k]), n)[0])
    share = k / n
    assert abs(found - share) <= min(abs(round(share, 3) - share) + 1e-15, 0.0005 + 1e-15)


def test_each_generation_has_its_fold_change() -> None:
    sums, cells = np.array([30.0]), 10
    by_mean = np.log2(30 / 10 + 1)
    by_sum = np.log2((30 + 1) / 10)
    expected = {"4.3": by_mean, "4.4": by_mean, "5.0.0": by_sum, "5.0.1": by_sum}
    for name in RULES:
        assert fold_change(sums, cells, rules_of(name))[0] == pytest.approx(expected[name])


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_groups=st.integers(2, 6),
    stored=st.sampled_from(["dense", "csr", "csc"]),
)
@pytest.mark.slow
def test_p_is_the_one_of_illico(seed: int, n_groups: int, stored: str) -> None:
    # Not for every Python.
    illico = pytest.importorskip("illico")
    pytest.importorskip("statsmodels")
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(n_groups).repeat(3), rng.integers(0, n_groups, 40)])
    counts = rng.poisson(rng.gamma(0.5, 2, (n_groups, 9))[codes])
    values = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 1e4)
    forms = {"dense": np.asarray, "csr": csr_matrix, "csc": csc_matrix}
    obs = pd.DataFrame({"group": pd.Categorical([f"g{c}" for c in codes])})
    obs.index = obs.index.astype(str)
    adata = anndata.AnnData(forms[stored](values), obs=obs)
    # It would write its log to standard error.
    importlib.import_module("loguru").logger.disable("illico")
    theirs = illico.asymptotic_wilcoxon(adata, is_log1p=True, group_keys="group")
    groups = Groups(codes.astype(np.int32), n_groups)
    found = group_sums(csc_matrix(values), groups, scale=None)
    p, _ = p_values(found.rank_sums[:, :-1], found.ties, groups.sizes[:-1], len(codes))
    for code in range(n_groups):
        expected = theirs.xs(f"g{code}", level=0)["p_value"].to_numpy()
        # Where the ranks do not differ at all R's correction is 0, and illico's is a half.
        differ = p[:, code] < 1
        np.testing.assert_allclose(p[differ, code], expected[differ], rtol=1e-9)
        assert (expected[~differ] > 0.9).all()
