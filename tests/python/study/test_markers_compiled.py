"""The loops of SciPy, and what stands in for them, add up as NumPy does."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.study.markers.compiled import expanded, summed

PLACES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.floats(-9, 9)))


@pytest.fixture(params=["compiled", "without"], scope="module")
def loops(request: pytest.FixtureRequest) -> object:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "without":
            patch.setitem(sys.modules, "scipy.sparse._sparsetools", None)
        yield request.param


@given(PLACES)
def test_sums_are_those_of_bincount(loops: str, places: list[tuple[int, int, float]]) -> None:
    gene = np.array([g for g, _, _ in places], np.int32)
    codes = np.array([c for _, c, _ in places], np.int32)
    values = np.array([v for _, _, v in places], np.float64)
    expected = np.bincount(gene * 5 + codes, values, minlength=15).reshape(3, 5)
    assert np.array_equal(summed(values, gene, codes, (3, 5)), expected)
    ones = summed(np.ones(len(gene), np.int32), gene, codes, (3, 5))
    assert np.array_equal(ones, np.bincount(gene * 5 + codes, minlength=15).reshape(3, 5))


@given(st.lists(st.integers(0, 4)))
def test_a_run_is_expanded_to_its_number(loops: str, lengths: list[int]) -> None:
    pointers = np.cumsum([0, *lengths]).astype(np.int32)
    into = np.empty(sum(lengths), np.int32)
    assert expanded(pointers, into).tolist() == np.repeat(range(len(lengths)), lengths).tolist()
