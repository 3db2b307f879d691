import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.annotations.texts import TextLists, Texts, spread
from cellferry.errors import InternalError

words = st.text(max_size=4)
columns = st.lists(st.none() | words, max_size=20)
lists = st.lists(st.lists(words, max_size=4), max_size=12)


@given(columns)
def test_texts_are_what_went_in(values):
    assert Texts.of(values).values().tolist() == values


@given(st.lists(columns, max_size=5))
def test_joined_parts_are_below_one_another(parts):
    whole = Texts.joined([Texts.of(p) for p in parts])
    assert whole.values().tolist() == [v for p in parts for v in p]


@given(columns)
def test_compact_says_the_same_with_no_unused_level(values):
    wide = Texts(("never", *Texts.of(values).levels), np.array(
        [c + 1 if c >= 0 else -1 for c in Texts.of(values).codes], dtype=np.int32))  # fmt: skip
    kept = wide.compact()
    assert kept.values().tolist() == values
    assert list(kept.levels) == list(dict.fromkeys(v for v in values if v is not None))
    assert kept.counts().tolist() == [values.count(x) for x in kept.levels]


@given(lists)
def test_lists_are_what_went_in(values):
    assert TextLists.of(values).values() == values


@given(st.lists(lists, max_size=4))
def test_joined_lists_are_below_one_another(parts):
    whole = TextLists.joined([TextLists.of(p) for p in parts])
    assert whole.values() == [v for p in parts for v in p]


@given(lists, st.data())
def test_spread_puts_lists_at_their_rows(values, data):
    n = len(values) + 5
    rows = data.draw(st.lists(st.integers(0, n - 1), min_size=len(values), max_size=len(values),
                              unique=True))  # fmt: skip
    rows.sort()
    made = spread(TextLists.of(values), np.array(rows, dtype=np.intp), n).values()
    assert [made[r] for r in rows] == values
    assert all(not made[r] for r in set(range(n)) - set(rows))


def test_most_common_is_by_cells_and_then_by_name():
    found = TextLists.of([["b", "a"], ["a"], ["c"]])
    assert found.most_common(np.array([True, True, False]), 5) == ["a", "b"]
    assert found.most_common(np.array([True, False, True]), 2) == ["a", "b"]


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(InternalError, match="no level"):
        Texts(("a",), np.array([1], dtype=np.int32))
    with pytest.raises(InternalError, match="does not fit"):
        TextLists(("a",), np.array([0, 2], dtype=np.int64), np.array([0], dtype=np.int32))
    assert len(Texts.none(3)) == 3
    assert TextLists.none(2).values() == [[], []]
