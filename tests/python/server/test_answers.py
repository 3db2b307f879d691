"""Results on the wire: both forms filled, no nulls, string ids, no label invented."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.server.jobs.results import categories, grade, lineage, results_of, review

FULL = Annotation(
    "0",
    "ok",
    label="Naive B cell",
    detail="detail",
    state="state",
    ontology_id="CL:0000788",
    ontology_label="naive B cell",
    confidence=0.8,
    confidence_kind="graded",
    mixed=("B cell", "T cell"),
    alternatives=("T cell",),
    supporting=("CD79A",),
    conflicting=("CD3D",),
    missing=("TCL1A",),
    justification="why",
    engine="local",
)
FAILED = Annotation("1", "failed", error="no answer")
FOUND = Annotations((FULL, FAILED), {"0": {"fit": 1}}, {"engine": "local"})


def nulls(value):
    if isinstance(value, dict):
        return any(nulls(v) for v in value.values())
    return any(map(nulls, value)) if isinstance(value, list) else value is None


def test_old_fields_full_output_and_review_are_all_filled():
    latest = results_of(FOUND)["annotations"]["0"]["latest"]
    flat, new = latest["annotation"], latest["annotation"]["fullOutput"]["cellType"]
    assert flat["clusterId"] == "0"
    assert flat["annotation"] == new["label"] == "Naive B cell"
    assert flat["justification"] == new["conclusion"] == "why"
    assert flat["supportingMarkers"] == new["keySupportingGenes"] == ["CD79A"]
    assert flat["conflictingMarkers"] == new["unexpectedGenes"] == ["CD3D"]
    assert flat["missingExpression"] == "TCL1A"
    assert new["missingGenes"] == ["TCL1A"]
    assert flat["cellOntologyTerm"] == "CL:0000788"
    assert flat["granularAnnotation"] == "detail"
    assert latest["review"]["confidence"] == "High"
    assert latest["review"]["isHeterogeneous"] is True


def test_a_cluster_without_an_answer_has_no_entry_and_a_reason():
    found = results_of(FOUND)
    assert list(found["annotations"]) == ["0"]
    assert found["failures"] == {"1": {"status": "failed", "error": "no answer"}}
    assert found["summary"]["answered"] == 1


def test_there_is_no_null():
    bare = Annotations((Annotation("0", "unknown", label="Unknown"),))
    for found in (FOUND, bare):
        assert not nulls(results_of(found, expression={"0": {"genes": []}}, notes=["n"]))
    assert results_of(bare)["annotations"]["0"]["latest"]["review"]["confidence"] == "Low"


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), unique_by=lambda p: p[0]))
def test_every_cluster_keeps_its_own_label(pairs):
    found = Annotations(tuple(Annotation(c, "ok", label=label) for c, label in pairs))
    wire = json.loads(json.dumps(results_of(found)))
    labels = {c: a["latest"]["annotation"]["annotation"] for c, a in wire["annotations"].items()}
    assert labels == dict(pairs)
    ids = [c for group in wire["clusterCategories"] for c in group["clusterIds"]]
    assert sorted(ids) == sorted(labels)


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(1.0, "High"), (0.75, "High"), (0.7, "Moderate"), (0.49, "Low"), (None, "Low")],
)
def test_grade(confidence, expected):
    assert grade(confidence) == expected


def test_review_of_a_plain_answer():
    assert review(FAILED)["isHeterogeneous"] is False
    assert "confidenceValue" not in review(FAILED)


def test_lineages():
    assert lineage("Naive B cell") == lineage("B cell") == "B cell"
    assert lineage("no such type") == "Other"
    rows = [Annotation(c, "ok", label=n) for c, n in (("0", "B cell"), ("1", "Naive B cell"))]
    assert categories(rows) == [{"categoryName": "B cell", "clusterIds": ["0", "1"]}]
