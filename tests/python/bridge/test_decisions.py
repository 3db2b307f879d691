"""Decisions of R over the bridge: text and bytes in, one row for each cell out."""

import json

import pytest

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.decisions.decision import from_file
from cellferry.bridge import call

CELLS = ["c1", "c2", "c3", "c4"]
CLUSTERS = ["0", "0", "1", "1"]
RECORD = Annotations(
    tuple(Annotation(c, "ok", label=x, n_cells=2, engine="e") for c, x in (("0", "A"), ("1", "B"))),
    provenance={"key": "type", "group_column": "cluster", "created": "2026-01-01"},
)


def asked(name, **message):
    answer, *_ = call(name.encode(), json.dumps(message).encode())
    return json.loads(answer)


def target(record=RECORD, labels=("A", "A", "B", "B"), decided=None):
    columns = [
        {"name": "type", "kind": "text", "values": list(labels)},
        {"name": "cluster", "kind": "text", "values": CLUSTERS},
    ]
    if decided is not None:
        columns.append({"name": "type_decision", "kind": "text", "values": decided})
    return {
        "key": "type",
        "stored": {"type": record.to_json()},
        "labelled": {"cells": CELLS, "frame": {"n": 4, "columns": columns}},
    }


def column(answer, name):
    frame = answer["value"]["delivery"]
    return next(c for c in frame["columns"] if c["name"] == name)


def test_labels_come_back_with_one_row_for_each_cell():
    answer = asked("set_labels", **target(), clusters=["0"], labels=["B cell"], by="AB")
    assert answer["ok"], answer
    assert column(answer, "cluster")["values"] == CELLS
    assert column(answer, "type")["levels"] == ["B", "B cell"]
    found = Annotations.from_json(answer["value"]["json"])
    assert [row.label for row in found] == ["B cell", "B"]
    assert answer["messages"] == ['1 decision: cluster "0": B cell.']


def test_a_table_comes_back_as_a_table():
    answer = asked("set_labels", json=RECORD.to_json(), clusters=["1"], labels=["T cell"])
    assert Annotations.from_json(answer["value"]["json"])["1"].engine_label == "B"


def test_nothing_new_is_said_so(tmp_path):
    made = asked("set_labels", **target(), clusters=["0"], labels=["B cell"])["value"]["json"]
    file = tmp_path / "decisions.json"
    answer = asked("decisions", json=made, key="type", file=str(file))
    assert answer["value"]["frame"]["n"] == 1
    assert from_file(file.read_text())[1] == "type"
    assert asked("decisions_file", file=str(file))["value"] == {"key": "type"}
    again = asked("apply_decisions", **target(Annotations.from_json(made)), file=str(file))
    assert again["value"] == {"unchanged": True}
    first = asked("apply_decisions", **target(), file=str(file))
    assert Annotations.from_json(first["value"]["json"])["0"].label == "B cell"


@pytest.mark.parametrize("name", ["carry_decisions", "set_labels"])
def test_a_table_has_no_cells(name):
    answer = asked(name, json=RECORD.to_json(), cells=["c1"], label="B cell")
    assert answer["error"]["code"] == "unsupported_object"


def test_a_record_that_cannot_be_read_is_said():
    sent = {**target(), "stored": {"type": "{"}}
    answer = asked("withdraw_decision", **sent, clusters=["0"])
    assert answer["error"]["code"] == "annotations_format"


def test_a_printed_table_has_what_the_engine_said_and_what_was_decided():
    made = asked("set_labels", **target(), label="T cell", cells=["c1"])["value"]["json"]
    decided = ["relabelled", None, None, None]
    sent = target(Annotations.from_json(made), ("T cell", "A", "B", "B"), decided)
    made = asked("set_labels", **sent, clusters=["0", "1"], labels=["B cell", "B"])["value"]["json"]
    assert Annotations.from_json(made).table().splitlines() == [
        "cluster  n_cells  label   engine_label  confidence  status  decision",
        "0              2  B cell  A                         ok      relabelled; 1 cell",
        "1              2  B                                 ok      accepted",
    ]
