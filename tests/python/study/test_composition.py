import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.study.composition import (
    aggregate_metadata,
    sample_coordinates,
)
from cellferry.study.study import Clusters


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "y", None])), min_size=1),
    st.integers(0, 60),
    st.booleans(),
)
def test_the_composition_equals_counting_by_hand(cells, least, categorical):
    clusters = Clusters.from_labels([c for c, _ in cells])
    column = pd.Series([v for _, v in cells], dtype="category" if categorical else object)
    found = aggregate_metadata(pd.DataFrame({"m": column}), clusters, None, min_percentage=least)
    for cluster in clusters.names:
        values = [v for c, v in cells if c == cluster and v is not None]
        expected = {}
        for value in ("x", "y"):
            percent = 100 * values.count(value) // len(values) if values else 0
            if percent > least:
                expected[value] = percent
        assert found[cluster].get("m", {}) == expected


def test_only_text_counts_and_the_clusters_themselves_do_not():
    n = 4
    obs = pd.DataFrame(
        {
            "group": ["a"] * n,
            "number": range(n),
            "flag": [True] * n,
            "many": [str(i) for i in range(n)],
            "string": pd.array(["s"] * n, dtype="string"),
            "levels": pd.Categorical([1, 1, 2, None], categories=[1, 2, 3]),
        }
    )
    clusters = Clusters.from_labels(obs["group"])
    found = aggregate_metadata(obs, clusters, "group", max_categories=3)
    assert found == {"a": {"string": {"s": 100}, "levels": {"1": 66, "2": 33}}}
    assert aggregate_metadata(obs, clusters, "group", columns=["string"]) == {
        "a": {"string": {"s": 100}}
    }


def test_a_column_name_that_occurs_twice_is_no_error():
    obs = pd.DataFrame([["x", 1], ["x", 2]], columns=["m", "m"])
    found = aggregate_metadata(obs, Clusters.from_labels(["a", "a"]), None)
    assert found == {"a": {"m": {"x": 100}}}


def test_the_same_cells_are_drawn_as_by_pandas():
    random = np.random.default_rng(0)
    labels = random.choice(["b", "a", "c"], 90)
    values = random.random((90, 2))
    found = sample_coordinates("X_umap", values, Clusters.from_labels(labels), 10)
    frame = pd.DataFrame({"group": labels, "cell": range(90)})
    expected = [
        cell
        for _, part in frame.groupby("group", sort=False)
        for cell in part.sample(n=min(10, len(part)), random_state=42)["cell"]
    ]
    assert found.cells.tolist() == expected
    np.testing.assert_array_equal(found.values, values[found.cells])
    assert list(found.clusters) == list(labels[found.cells])


def test_cells_without_a_cluster_or_a_place_are_not_drawn():
    values = np.array([[0.0, 0], [np.nan, 0], [1, np.inf], [2, 2], [3, 3]])
    clusters = Clusters.from_labels(["a", "a", "b", "a", None])
    found = sample_coordinates("X_umap", values, clusters, 10)
    assert sorted(found.cells.tolist()) == [0, 3]
    assert found.clusters == ("a", "a")
