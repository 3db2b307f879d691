"""The words of messages."""

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from cellferry import errors


@pytest.mark.parametrize(
    ("given", "valid", "expected"),
    [
        ("group_by", ["group.by", "key"], "group.by"),
        ("n_gene", ["n_genes", "tissue"], "n_genes"),
        ("Species", ["species"], "species"),
        ("entirely_other", ["species"], None),
        ("x", [], None),
    ],
)
def test_nearest_finds_what_was_meant(given, valid, expected):
    assert errors.nearest(given, valid) == expected


def test_a_long_listing_is_cut_and_says_so():
    assert errors.listing([str(i) for i in range(12)], most=2) == '"0", "1" and 10 more'


@for_any(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=5))
def test_nearest_is_one_of_the_valid_names_or_none(name, valid):
    assert errors.nearest(name, valid) in {None, *valid}


@for_any(st.lists(st.text(max_size=5), max_size=20), st.integers(1, 12))
def test_a_listing_counts_every_name(names, most):
    listed = errors.listing(names, most)
    rest = len(names) - most
    assert listed.endswith(f" and {rest} more") if rest > 0 else listed.count('"') >= 2 * len(names)
