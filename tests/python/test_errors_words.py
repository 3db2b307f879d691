import pytest

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
