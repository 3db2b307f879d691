import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.bridge import columns
from cellferry.bridge.columns import na_real, record_from_series, values_from_record

INTEGERS = st.lists(st.none() | st.integers(-(2**31) + 1, 2**31 - 1), max_size=20)


def back(record, note=None):
    values, found, lost = values_from_record(record)
    assert lost == ""
    again, lost = record_from_series(pd.Series(values), found if note is None else note)
    assert lost == ""
    return pd.Series(values), again


def with_mask(values, dtype, filler=0):
    mask = np.array([v is None for v in values], dtype=bool)
    filled = np.array([filler if v is None else v for v in values], dtype=dtype)
    return filled, mask


@given(INTEGERS)
def test_integers_keep_their_values_and_their_missing_ones(given_values):
    values, mask = with_mask(given_values, np.int32)
    series, again = back({"kind": "integer", "values": values, "mask": mask})
    assert str(series.dtype) == ("Int32" if mask.any() else "int32")
    assert again["kind"] == "integer"
    np.testing.assert_array_equal(again["values"], values)
    np.testing.assert_array_equal(again["mask"], mask)


@given(st.lists(st.sampled_from([True, False, None]), max_size=20))
def test_flags_keep_their_values_and_their_missing_ones(given_values):
    values, mask = with_mask(given_values, bool, filler=False)
    series, again = back({"kind": "logical", "values": values, "mask": mask})
    assert str(series.dtype) == ("boolean" if mask.any() else "bool")
    np.testing.assert_array_equal(again["values"], values)
    np.testing.assert_array_equal(again["mask"], mask)


@given(st.lists(st.floats() | st.just(na_real()), max_size=20))
def test_doubles_keep_every_bit(given_values):
    values = np.array(given_values, dtype=np.float64)
    _, again = back({"kind": "real", "values": values})
    np.testing.assert_array_equal(again["values"].view("i8"), values.view("i8"))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_large_integers_keep_every_digit(given_values):
    whole = np.array(given_values, dtype=np.int64)
    series, again = back({"kind": "integer64", "values": whole.view("f8")})
    missing = whole == columns.INTEGER64_NA
    assert str(series.dtype) == ("Int64" if missing.any() else "int64")
    np.testing.assert_array_equal(again["values"].view("i8"), whole)


@given(st.lists(st.integers(-1, 2), max_size=20), st.booleans())
def test_categories_keep_levels_order_and_missing_values(codes, ordered):
    record = {"kind": "category", "values": np.array(codes, "i4"), "levels": ["b", "a", "unused"]}
    series, again = back({**record, "ordered": ordered})
    assert list(series.cat.categories) == ["b", "a", "unused"]
    assert again["levels"] == ["b", "a", "unused"]
    assert again["ordered"] is ordered
    assert list(again["values"]) == codes


@given(st.lists(st.none() | st.text(), max_size=20))
def test_text_keeps_empty_and_missing_values_apart(values):
    series, again = back({"kind": "text", "values": values})
    assert series.dtype == object
    assert again["values"] == values


def test_an_r_type_that_pandas_has_not_is_kept_in_a_note():
    _, again = back({"kind": "date", "values": np.array([0.0, na_real()]), "storage": "integer"})
    assert again["kind"] == "date"
    assert again["storage"] == "integer"
    moment = {"kind": "datetime", "values": np.array([1.5e9]), "tz": "Europe/Berlin"}
    series, again = back(moment)
    assert str(series.dtype) == "datetime64[ns, Europe/Berlin]"
    assert again["tz"] == "Europe/Berlin"
    _, again = back({"kind": "datetime", "values": np.array([1.5e9]), "tz": None})
    assert again["tz"] is None


@pytest.mark.parametrize(
    ("series", "kind", "lost"),
    [
        (pd.Series([1, 2]), "integer", ""),
        (pd.Series([1, 2**40]), "integer64", "more than 32 bits"),
        (pd.Series([2**63], dtype="uint64"), "real", "lose digits"),
        (pd.Series([1.5], dtype="float32"), "real", ""),
        (pd.Series([1.5, None], dtype="Float64"), "real", ""),
        (pd.Series(["a", None], dtype="string"), "text", ""),
        (pd.Series([True, None], dtype=object), "logical", ""),
        (pd.Series([1, None], dtype=object), "real", ""),
        (pd.Series(["a", 1], dtype=object), "text", "different types"),
        (pd.Series(pd.Categorical([3, 1])), "category", "become text"),
        (pd.Series(pd.to_datetime(["2020-01-01"])), "datetime", "taken as UTC"),
    ],
)
def test_python_columns_go_to_the_nearest_r_type_and_say_what_is_lost(series, kind, lost):
    record, said = record_from_series(series)
    assert record["kind"] == kind
    assert (lost in said) if lost else said == ""


@pytest.mark.parametrize(
    "series",
    [
        pd.Series([[1], [2]]),
        pd.Series([1j]),
        pd.Series(pd.to_timedelta([1])),
        pd.Series([object()]),
    ],
)
def test_what_r_has_not_is_left_with_a_reason(series):
    record, why = record_from_series(series)
    assert record is None
    assert why.endswith(".")
