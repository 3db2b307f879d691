import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.bridge import wire
from cellferry.errors import InternalError
from cellferry.study.markers.frames import frame_columns

any_float = st.one_of(st.none(), st.floats(allow_nan=False, width=64))


def through_json(message):
    return json.loads(json.dumps(message, ensure_ascii=False, allow_nan=False))


@given(
    st.lists(
        st.tuples(any_float, st.none() | st.integers(-(2**31), 2**31 - 1), st.none() | st.text()),
        max_size=20,
    )
)
def test_a_frame_crosses_exactly(rows):
    out = wire.Outgoing()
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    made = [
        out.column(name, kind, list(values))
        for name, kind, values in zip(
            ("r", "i", "t"), ("real", "integer", "text"), columns, strict=True
        )
    ]
    message = through_json(out.frame(made, len(rows)))
    frame = wire.frame_from_wire(wire.decode(message, [bytes(b) for b in out.buffers]))
    assert [None if np.isnan(v) else v for v in frame["r"]] == list(columns[0])
    assert [None if pd.isna(v) else int(v) for v in frame["i"]] == list(columns[1])
    assert list(frame["t"]) == list(columns[2])


@given(st.lists(st.none() | st.sampled_from(["b", "a", "0"]), max_size=10))
def test_categories_keep_levels_order_and_missing_values(values):
    out = wire.Outgoing()
    levels = ["b", "a", "0", "unused"]
    message = through_json(out.frame([out.column("c", "category", values, levels)], len(values)))
    frame = wire.frame_from_wire(wire.decode(message, out.buffers))
    assert list(frame["c"].cat.categories) == levels
    assert [None if pd.isna(v) else v for v in frame["c"]] == values


def test_texts_stay_lists():
    out = wire.Outgoing()
    message = through_json(out.frame([out.column("s", "texts", [("A", "B"), ()])], 2))
    assert message["columns"][0]["values"] == [["A", "B"], []]


@given(st.floats(allow_nan=True))
def test_a_double_in_json_travels_as_seventeen_digits(number):
    sent = {"a": [{"$double": f"{number:.17g}"}], "b": 3}
    found = wire.decode(sent, ())
    assert found["b"] == 3
    assert found["a"][0] == number or (np.isnan(found["a"][0]) and np.isnan(number))


def test_duplicated_column_names_arrive_as_they_are():
    frame = {
        "n": 1,
        "columns": [
            {"name": "x", "kind": "text", "values": ["a"]},
            {"name": "x", "kind": "text", "values": ["b"]},
        ],
    }
    assert list(wire.frame_from_wire(frame).columns) == ["x", "x"]


def test_a_frame_without_columns_keeps_its_rows():
    assert wire.frame_from_wire({"n": 3, "columns": []}).shape == (3, 0)


@pytest.mark.parametrize(
    "damaged",
    [{"$buffer": 3, "type": "<f8"}, {"$buffer": 0, "type": "<f2"}, {"$buffer": 0, "type": "<f8"}],
)
def test_damaged_messages_are_refused(damaged):
    with pytest.raises(InternalError, match="damaged"):
        wire.decode(damaged, [b"123"])


COLUMNS_OF_R = st.one_of(
    st.tuples(st.just("text"), st.lists(st.none() | st.sampled_from(["CD3D", "b", "NA"]))),
    st.tuples(st.just("category"), st.lists(st.none() | st.sampled_from(["b", "a", "0"]))),
    st.tuples(st.just("real"), st.lists(st.none() | st.floats())),
    st.tuples(st.just("integer"), st.lists(st.none() | st.integers(-9, 9))),
    st.tuples(st.just("logical"), st.lists(st.none() | st.booleans())),
)


@given(st.lists(COLUMNS_OF_R, min_size=1, max_size=4), st.integers(0, 4))
def test_columns_of_a_marker_table_are_those_that_pandas_gives(given_columns, n):
    out = wire.Outgoing()
    sent = [
        out.column(f"c{i}", kind, (values * 4 + [None] * 4)[:n], ("b", "a", "0"))
        for i, (kind, values) in enumerate(given_columns)
    ]
    frame = wire.decode(through_json(out.frame(sent, n)), out.buffers)
    found = wire.columns_from_wire(frame)
    if found is None:
        kinds = {kind for kind, _ in given_columns}
        assert n == 0 or "logical" in kinds
        return
    expected = frame_columns(wire.frame_from_wire(frame), "the table")
    assert found.levels == expected.levels
    assert list(found.values) == list(expected.values)
    for name, values in expected.values.items():
        assert found.values[name].dtype == values.dtype
        assert repr(found.values[name].tolist()) == repr(values.tolist())


@pytest.mark.parametrize("names", [("gene", "gene"), ("gene", "cluster")])
def test_what_pandas_must_read_is_left_to_it(names):
    out = wire.Outgoing()
    sent = [out.column(name, "text", ["a"]) for name in names]
    if names[0] != names[1]:
        sent[1] = {"name": "day", "kind": "date", "values": np.array([1.0])}
    assert wire.columns_from_wire({"n": 1, "columns": sent}) is None
