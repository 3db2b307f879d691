"""Filters of the metadata: structured, bounded, never a query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.server.failures import Failure
from cellferry.server.lookup.counts import MOST_FILTERS, OPERATORS, read_counts

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.parametrize(
    "filters",
    [
        [{"column": "a", "op": "eq", "value": "x"}],
        [{"column": "a", "op": "in", "value": ["x", 1, True]}],
        [{"column": "a", "op": "ge", "value": 1.5}],
        [{"column": "a", "op": "not_null"}],
        [],
    ],
)
def test_valid_filters_are_kept(filters):
    assert read_counts({"filters": filters, "group_by": "b"}) == (filters, "b")


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"where": "1=1"},
        {"filters": "louvain = 1"},
        {"filters": ["1=1"]},
        {"filters": [{"column": "a", "op": "=", "value": 1}]},
        {"filters": [{"column": 1, "op": "eq", "value": 1}]},
        {"filters": [{"column": "a", "op": "lt", "value": "1; DROP TABLE obs"}]},
        {"filters": [{"column": "a", "op": "eq", "value": {"sql": "x"}}]},
        {"filters": [{"column": "a", "op": "in", "value": []}]},
        {"filters": [{"column": "a", "op": "is_null", "value": 1}]},
        {"filters": [{"column": "a", "op": "eq", "value": float("inf")}]},
        {"filters": [{"column": "a", "op": "eq", "value": 1}] * (MOST_FILTERS + 1)},
        {"filters": [], "group_by": ["a"]},
    ],
)
def test_everything_else_is_refused(content):
    with pytest.raises(Failure):
        read_counts(content)


@given(ANY | st.fixed_dictionaries({"filters": st.lists(ANY, max_size=3)}))
def test_any_body_is_read_or_refused(content):
    try:
        filters, _ = read_counts(content)
    except Failure:
        return
    assert all(f["op"] in OPERATORS for f in filters)
