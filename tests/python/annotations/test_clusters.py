import gzip
import json
from dataclasses import asdict

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.annotations.clusters import COLUMNS, SCHEMA, Annotation, Annotations
from cellferry.errors import AnnotationsFormatError, InternalError

text = st.text(max_size=12)
texts = st.lists(text, max_size=3).map(tuple)


@st.composite
def rows(draw, cluster):
    status = draw(st.sampled_from(["ok", "unknown", "failed", "skipped"]))
    label = {"ok": draw(text.filter(bool)), "unknown": "Unknown"}.get(status)
    confidence = draw(st.one_of(st.none(), st.floats(0, 1)))
    return Annotation(
        cluster,
        status,
        n_cells=draw(st.one_of(st.none(), st.integers(0, 10**7))),
        label=label,
        detail=draw(st.one_of(st.none(), text)),
        confidence=confidence,
        confidence_kind=None if confidence is None else "graded",
        error=draw(text.filter(bool)) if status in {"failed", "skipped"} else None,
        supporting=draw(texts),
        alternatives=draw(texts),
    )


annotations = st.lists(text, unique=True, max_size=5).flatmap(
    lambda names: st.tuples(*[rows(name) for name in names]).map(Annotations)
)


@given(annotations)
def test_json_brings_back_exactly_what_was_written(found):
    assert Annotations.from_json(found.to_json()) == found


@given(annotations)
def test_the_frame_has_every_column_with_its_declared_dtype(found):
    frame = found.to_frame()
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == len(found)
    kinds = {"text": "object", "texts": "object", "integer": "Int64", "real": "Float64"}
    for name, kind in COLUMNS.items():
        assert str(frame[name].dtype) == kinds[kind]
    assert list(frame["cluster"]) == [row.cluster for row in found]


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "ok"},
        {"status": "unknown", "label": "B cell"},
        {"status": "failed", "error": "x", "label": "B cell"},
        {"status": "skipped"},
        {"status": "fine", "label": "B cell"},
        {"status": "ok", "label": "B cell", "confidence": 1.2, "confidence_kind": "graded"},
        {"status": "ok", "label": "B cell", "confidence": 0.5},
    ],
)
def test_a_row_that_contradicts_itself_cannot_be_made(wrong):
    with pytest.raises(InternalError, match="contradicts itself"):
        Annotation("0", **wrong)


@given(rows("0"))
def test_a_row_is_read_from_json_and_what_a_newer_version_added_is_left(row):
    stored = json.loads(json.dumps(asdict(row)))
    assert Annotation.from_dict({**stored, "added_later": [1]}) == row


def test_a_cluster_cannot_be_answered_twice():
    row = Annotation("0", "ok", label="B cell")
    with pytest.raises(InternalError, match="more than once"):
        Annotations((row, row))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "schema"),
        (json.dumps({"schema": "cellferry.annotations/99"}), "newer cellferry"),
        (json.dumps({"schema": SCHEMA}), "damaged"),
        (json.dumps({"schema": SCHEMA, "rows": [{"cluster": "0"}]}), "damaged"),
        (json.dumps({"schema": SCHEMA, "rows": [{"cluster": "0", "status": "ok"}]}), "damaged"),
    ],
)
def test_damaged_or_newer_records_are_refused_with_the_reason(stored, message):
    with pytest.raises(AnnotationsFormatError, match=message):
        Annotations.from_json(stored)


@given(annotations)
def test_csv_is_what_pandas_writes(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("csv")
    frame = found.to_frame()
    for name in (name for name, kind in COLUMNS.items() if kind == "texts"):
        frame[name] = frame[name].map("; ".join)
    frame.to_csv(folder / "pandas.csv", index=False)
    found.to_csv(folder / "ours.csv")
    assert (folder / "ours.csv").read_bytes() == (folder / "pandas.csv").read_bytes()
    found.to_csv(folder / "ours.csv.gz")
    unpacked = gzip.decompress((folder / "ours.csv.gz").read_bytes())
    assert unpacked == (folder / "pandas.csv").read_bytes()


def test_csv_keeps_cluster_names_and_missing_values(tmp_path):
    found = Annotations(
        (
            Annotation("007", "ok", label="B cell", supporting=("CD79A", "MS4A1"), n_cells=3),
            Annotation("a,b", "skipped", error="No markers."),
        )
    )
    found.to_csv(tmp_path / "x.csv")
    back = pd.read_csv(tmp_path / "x.csv", dtype=str, keep_default_na=False)
    assert list(back["cluster"]) == ["007", "a,b"]
    assert list(back["label"]) == ["B cell", ""]
    assert back["supporting"][0] == "CD79A; MS4A1"


def test_the_summary_counts_by_status():
    found = Annotations(
        (Annotation("0", "ok", label="B cell"), Annotation("1", "unknown", label="Unknown"))
    )
    assert repr(found).splitlines() == [
        "<cellferry Annotations: 2 clusters: 1 ok, 1 unknown>",
        "cluster  n_cells  label    confidence  status",
        "0                 B cell               ok",
        "1                 Unknown              unknown",
    ]
    assert "<td>B cell</td>" in found._repr_html_()


def test_a_long_table_shows_its_head_and_how_many_there_are():
    rows = tuple(Annotation(str(i), "ok", label="T cell") for i in range(44))
    lines = repr(Annotations(rows)).splitlines()
    assert len(lines) == 13
    assert lines[-1] == "... 34 more"
    assert len(repr(Annotations(rows[:20])).splitlines()) == 22
    assert len(Annotations(rows).table().splitlines()) == 45


def test_an_answer_is_shown_with_what_is_known_of_it():
    row = Annotation(
        "0", "ok", label="<B> cell", ontology_id="CL:0000236", ontology_label="B cell",
        confidence=0.9, confidence_kind="graded", supporting=("CD79A", "MS4A1"),
    )  # fmt: skip
    assert repr(row).splitlines() == [
        "<cellferry Annotation: cluster 0: <B> cell>",
        "status      ok",
        "confidence  0.90 (graded)",
        "ontology    CL:0000236, B cell",
        "supporting  CD79A, MS4A1",
    ]
    assert "<td>&lt;B&gt; cell</td>" in row._repr_html_()


def test_rows_that_sum_up_cells_are_shown_without_their_name_again():
    row = Annotation("B cell", "ok", label="B cell", n_cells=3)
    assert Annotations((row,), {}, {"level": "cells"}).table().splitlines()[0] == (
        "n_cells  label   confidence  status"
    )
