"""What is a clustering, and what is a measurement or a column of names."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.errors import GroupNotClustersError
from cellferry.study.clustering import check_clustering, clustering_columns, numbers_of
from cellferry.study.clusters import Clusters


def check(values, **more):
    column = pd.Series(values)
    check_clustering(Clusters.from_column(column), "column", numbers_of(column), **more)


RANDOM = np.random.default_rng(1)


@pytest.mark.parametrize(
    "values",
    [
        np.repeat([0.0, 1.0, 2.0], 30),
        np.repeat(np.arange(500), 20),
        np.repeat([f"c{i}" for i in range(500)], 20),
        pd.Categorical(np.repeat([0.5, 1.5], 30)),
        np.repeat([True, False], 30),
        [*["0"] * 40, *["1"] * 40, "2", "3"],
        [*np.repeat([1.0, 2.0], 30), np.nan],
    ],
)
def test_clusterings_run(values):
    check(values)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (RANDOM.random(300), "with fractions"),
        (np.round(RANDOM.random(300), 1), "with fractions"),
        (RANDOM.integers(200, 5000, 300), "fewer than 3 cells"),
        (np.repeat(np.arange(800, 1160), 14), "many between them left out"),
        (np.repeat([f"sample {i}" for i in range(40)], 5), "more than a tenth"),
        ([f"barcode {i}" for i in range(50)], "one cell per cluster"),
    ],
)
def test_what_is_no_clustering_is_refused_with_the_question(values, words):
    with pytest.raises(GroupNotClustersError, match=words) as caught:
        check(values, candidates=lambda: ["leiden", "column"])
    assert caught.value.message.endswith("?") or "is this a column of names?" in str(caught.value)
    assert 'Columns that can be clusters: "leiden".' in caught.value.hint


def test_values_that_a_marker_table_names_are_clusters():
    values = [f"sample {i}" for i in range(50)]
    check(values, known=values)


def test_numbers_that_are_made_names_are_clusters():
    check(pd.Series(np.repeat([0.25, 0.5], 30)).astype(str).astype("category"))


@given(st.integers(1, 200), st.integers(10, 40), st.booleans())
def test_numbered_clusters_run_as_whole_numbers_floats_and_text(n, size, as_float):
    numbers = np.repeat(np.arange(n), size)
    check(numbers.astype(float) if as_float else numbers)
    check(numbers.astype(str))


def test_only_possible_columns_are_offered():
    n = 60
    obs = pd.DataFrame(
        {
            "leiden": np.repeat(["a", "b", "c"], 20),
            "depth": RANDOM.random(n),
            "barcode": [f"b{i}" for i in range(n)],
            "one": "x",
        }
    )
    assert clustering_columns(obs) == ["leiden"]
