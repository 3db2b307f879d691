"""Every type of a column, R to pandas to R, and pandas to R to pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r_session import needs_rpy2, r, r_true, r_with

pytestmark = needs_rpy2

# Name -> R code of a column of six rows that must come back as it is.
R_COLUMNS = {
    "factor": 'factor(c("b", NA, "a", "b", "10", "2"), levels = c("unused", "b", "10", "a", "2"))',
    "factor without NA": 'factor(c("x", "y", "x", "y", "x", "y"))',
    "ordered": 'factor(c("hi", "lo", NA, "lo", "hi", "lo"), levels = c("lo", "mid", "hi"),'
    " ordered = TRUE)",
    "factor of nothing": "factor(rep(NA, 6), levels = c('never'))",
    "unicode levels": 'factor(c("\\u00e9t\\u00e9", "\\u4e2d", "a b", "", "NA", "1.0"))',
    "logical": "c(TRUE, FALSE, TRUE, FALSE, TRUE, FALSE)",
    "logical with NA": "c(TRUE, NA, FALSE, NA, TRUE, FALSE)",
    "integer": "c(1L, -5L, 0L, 2147483647L, -2147483647L, 7L)",
    "integer with NA": "c(1L, NA, 0L, 2147483647L, -2147483647L, NA)",
    "double": "c(1.5, NA, NaN, Inf, -Inf, -0)",
    "double exact": "c(0.1, 1/3, 2^53 + 2, 5e-324, 1.7976931348623157e308, pi)",
    "character": 'c("a", NA, "", "NA", "\\u00e9", "1")',
    "Date": 'as.Date(c("2024-02-29", NA, "1969-12-31", "1970-01-01", "2262-04-11", "1600-01-01"))',
    "Date of integers": "structure(c(1L, NA, -1L, 0L, 19000L, 5L), class = 'Date')",
    "POSIXct UTC": "structure(c(0, NA, 1.7e9, 1700000000.123457, -1.5, 1e9), class ="
    " c('POSIXct', 'POSIXt'), tzone = 'UTC')",
    "POSIXct New York": "structure(c(0, NA, 1699164000, 1699167600, 3, 4), class ="
    " c('POSIXct', 'POSIXt'), tzone = 'America/New_York')",
    "POSIXct local": "structure(c(0, 1, 2, 3, 4, 5), class = c('POSIXct', 'POSIXt'), tzone = '')",
    "POSIXct no tzone": "structure(c(0, 1, 2, 3, 4, 5), class = c('POSIXct', 'POSIXt'))",
    "integer64": "structure(c(0, 4.9406564584124654e-324, -0, 1, 2, 3), class = 'integer64')",
}


def to_pandas(code):
    from cellferry.seurat.columns import frame_from_r
    from cellferry.seurat.session import call

    frame = r_with(f"structure(list(x = {code}), class = 'data.frame', row.names = 1:6)")
    return frame_from_r(call("extract_metadata_columns", frame), list("abcdef"), "obs")


def to_r(frame, notes=None):
    from cellferry.seurat.columns import frame_to_r
    from cellferry.seurat.session import call
    from cellferry.seurat.vectors import text_vector

    columns, items = frame_to_r(frame, "obs", notes)
    return call("construct_frame", columns, text_vector(map(str, frame.index))), items


@pytest.mark.parametrize("name", R_COLUMNS)
def test_every_r_type_comes_back_as_it_was(name):
    found = to_pandas(R_COLUMNS[name])
    assert [item.action for item in found.items] == ["taken"], found.items
    back, items = to_r(found.frame, found.notes)
    assert [item.action for item in items] == ["taken"], items
    exact = "identical(back$x, given, single.NA = FALSE)"
    assert r_true(f"given <- {R_COLUMNS[name]}; {exact} || str(back$x)", back=back)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("logical", "bool"), ("logical with NA", "boolean"), ("integer", "int32"),
     ("integer with NA", "Int32"), ("double", "float64"), ("character", "object"),
     ("factor", "category"), ("Date", "datetime64[s]"), ("POSIXct UTC", "datetime64[ns, UTC]"),
     ("POSIXct New York", "datetime64[ns, America/New_York]"), ("integer64", "Int64")],
)  # fmt: skip
def test_the_dtypes_are_the_promised_ones(name, dtype):
    assert str(to_pandas(R_COLUMNS[name]).frame["x"].dtype) == dtype


def test_values_are_those_of_r():
    assert to_pandas(R_COLUMNS["character"]).frame["x"].tolist() == ["a", None, "", "NA", "é", "1"]
    factor = to_pandas(R_COLUMNS["factor"]).frame["x"]
    assert list(factor.cat.categories) == ["unused", "b", "10", "a", "2"]
    assert factor.isna().tolist() == [False, True, False, False, False, False]
    assert to_pandas(R_COLUMNS["Date"]).frame["x"].iloc[0] == pd.Timestamp("2024-02-29")
    local = to_pandas(R_COLUMNS["POSIXct New York"]).frame["x"]
    # The hour that is there twice when summer time ends.
    assert [t.hour for t in local.iloc[2:4]] == [1, 1 if local.iloc[3].fold else 2]
    flags = to_pandas(R_COLUMNS["logical with NA"]).frame["x"]
    assert flags.isna().tolist() == [False, True, False, True, False, False]


@pytest.mark.parametrize(
    ("code", "action", "why"),
    [
        ("I(list(1, 2, 3, 4, 5, 6))", "left", "more than one value per row"),
        ("matrix(1:12, 6)", "left", "more than one value per row"),
        ("complex(6)", "left", "no counterpart"),
        ("as.difftime(1:6, units = 'mins')", "coerced", "number of mins"),
        ("addNA(factor(c('a', NA, 'a', 'a', NA, 'a')))", "coerced", "level NA"),
        ("as.Date(c(0.5, 1:5), origin = '1970-01-01')", "coerced", "part of a day"),
    ],
)
def test_what_cannot_cross_is_reported(code, action, why):
    (item,) = to_pandas(code).items
    assert (item.action, why in item.why) == (action, True), item


PANDAS_COLUMNS = {
    "bool": pd.array([True, False, True], dtype="bool"),
    "boolean": pd.array([True, None, False], dtype="boolean"),
    "int8": np.array([1, -2, 3], dtype="i1"),
    "int64 small": np.array([1, -2, 3], dtype="i8"),
    "Int64": pd.array([1, None, -3], dtype="Int64"),
    "uint8": np.array([0, 255, 3], dtype="u1"),
    "float32": np.array([0.5, np.nan, np.inf], dtype="f4"),
    "Float64": pd.array([0.5, None, 2.0], dtype="Float64"),
    "object": np.array(["a", None, "NA"], dtype=object),
    "string": pd.array(["a", None, ""], dtype="string"),
    "category": pd.Categorical(["b", None, "a"], ["u", "b", "a"]),
    "ordered": pd.Categorical(["b", None, "a"], ["u", "b", "a"], ordered=True),
    "category of integers": pd.Categorical([10, 2, None], [2, 10]),
    "naive time": pd.DatetimeIndex(
        np.array(["2024-01-01", "NaT", "1970-01-01T00:00:00.500"], "M8[ms]")
    ),
    "time with zone": pd.to_datetime(["2024-01-01", None, "2020-06-01"]).tz_localize("Asia/Tokyo"),
    "large integers": np.array([2**40, 2, -(2**50)], dtype="i8"),
}


@pytest.mark.parametrize("name", PANDAS_COLUMNS)
def test_every_dtype_has_the_same_values_and_gaps_after_the_way_through_r(name):
    from cellferry.seurat.columns import frame_from_r
    from cellferry.seurat.session import call

    given_frame = pd.DataFrame({"x": PANDAS_COLUMNS[name]})
    made, items = to_r(given_frame)
    assert items[0].action in {"taken", "coerced"}
    found = frame_from_r(call("extract_metadata_columns", made), ["0", "1", "2"], "obs")
    back, before = found.frame["x"], given_frame["x"]
    assert back.isna().tolist() == before.isna().tolist()
    for a, b in zip(before, back, strict=True):
        if pd.isna(a):
            continue
        if isinstance(a, pd.Timestamp):
            assert b == (a if a.tz is not None else a.tz_localize("UTC"))
        elif isinstance(before.dtype, pd.CategoricalDtype):
            assert str(a) == b
        else:
            assert a == b
    if isinstance(before.dtype, pd.CategoricalDtype):
        assert list(back.cat.categories) == [str(c) for c in before.cat.categories]
        assert back.cat.ordered == before.cat.ordered


def test_columns_of_objects_are_left_and_said():
    frame = pd.DataFrame({"x": [{1}, {2}], "y": [[1], [2]], "z": [1, 2]})
    made, items = to_r(frame)
    assert [item.action for item in items] == ["left", "left", "taken"]
    assert r_true('identical(names(x), "z")', x=made)


def test_of_two_columns_of_one_name_the_second_is_left():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    made, items = to_r(frame)
    assert [item.action for item in items] == ["taken", "left"]
    assert r_true("identical(x$a, 1L)", x=made)


columns = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**31) + 1, 2**31 - 1),
        st.none() | st.floats(),
        st.none() | st.text("ab\u00e9 ", max_size=3),
        st.none() | st.sampled_from(["x", "y", "z"]),
        st.none() | st.booleans(),
    ),
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(columns)
def test_frames_of_any_values_come_back(rows):
    from cellferry.seurat.columns import frame_from_r
    from cellferry.seurat.session import call

    integers, floats, texts, levels, flags = ([row[k] for row in rows] for k in range(5))
    frame = pd.DataFrame(
        {
            "integer": pd.array(integers, dtype="Int64"),
            "float": pd.array([np.nan if v is None else v for v in floats], dtype="float64"),
            "text": pd.Series(texts, dtype="object"),
            "category": pd.Categorical(levels, ["z", "x", "unused", "y"]),
            "flag": pd.array(flags, dtype="boolean"),
        }
    )
    made, items = to_r(frame)
    assert {item.action for item in items} == {"taken"}
    index = [str(i) for i in range(len(rows))]
    back = frame_from_r(call("extract_metadata_columns", made), index, "obs").frame
    assert back["integer"].astype("Int64").tolist() == frame["integer"].tolist()
    np.testing.assert_array_equal(back["float"].to_numpy(), frame["float"].to_numpy())
    if any(t is not None for t in texts):
        assert back["text"].tolist() == texts
    assert back["category"].cat.codes.tolist() == frame["category"].cat.codes.tolist()
    assert back["flag"].astype("boolean").tolist() == frame["flag"].tolist()


def test_an_empty_frame_has_its_rows():
    made, _ = to_r(pd.DataFrame(index=["a", "b"]))
    assert r_true('identical(dim(x), c(2L, 0L)) && identical(rownames(x), c("a", "b"))', x=made)
    assert r("TRUE")[0]
