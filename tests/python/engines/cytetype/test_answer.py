import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.annotations.clusters import Annotations
from cellferry.engines.cytetype.answer import row_of, rows_of
from cellferry.engines.cytetype.payload import ClusterIds

FLAT = {
    "clusterId": "0", "annotation": "T cell", "granularAnnotation": "CD4 T cell",
    "cellState": "naive", "cellOntologyTermName": "T cell", "cellOntologyTerm": "CL_0000084",
    "justification": "CD3.", "supportingMarkers": ["CD3E"], "conflictingMarkers": ["CD79A"],
    "missingExpression": "CD8A, CD8B", "unexpectedExpression": "",
}  # fmt: skip
DEEP = {
    "label": "T cell", "conclusion": "CD3.", "keySupportingGenes": ["CD3E"],
    "unexpectedGenes": ["CD79A"], "missingGenes": ["CD8A", "CD8B"],
}  # fmt: skip
BLANK = {"justification": None, "supportingMarkers": [], "conflictingMarkers": [],
         "missingExpression": "  ", "unexpectedExpression": ""}  # fmt: skip
REVIEW = {
    "confidence": "Moderate", "isHeterogeneous": True,
    "fullOutput": {"heterogeneityAssessment": {"heterogeneityType": "T and NK cells"}},
}  # fmt: skip


def entry(annotation=FLAT, **latest):
    return {"latest": {"annotation": annotation, **latest}, "history": [1]}


def row(given, state="completed"):
    return row_of("0", "0", given, state)


def test_every_field_finds_its_column():
    full = {"cellType": DEEP, "refinedCandidatesWithReasoning": [{"label": "NK"}, {"label": "NK"}]}
    found = row(entry({**FLAT, "fullOutput": full}, review=REVIEW))
    assert (found.label, found.detail, found.state) == ("T cell", "CD4 T cell", "naive")
    assert (found.ontology_id, found.ontology_label) == ("CL:0000084", "T cell")
    assert (found.confidence, found.confidence_kind) == (0.6, "stated")
    assert found.alternatives == ("NK",)
    assert found.mixed == ("T and NK cells",)
    assert (found.supporting, found.conflicting) == (("CD3E",), ("CD79A",))
    assert found.missing == ("CD8A", "CD8B")
    assert (found.justification, found.status) == ("CD3.", "ok")


def test_blank_fields_are_read_from_the_full_output():
    new = row(entry({**FLAT, **BLANK, "fullOutput": {"cellType": DEEP}}))
    old = row(entry({**FLAT, "fullOutput": {"cellType": {"missingGenes": ["CD8A", "CD8B"]}}}))
    assert new == old


@pytest.mark.parametrize("label", ["Unknown", "unknown", "", None, "  ", 7])
def test_a_cluster_without_a_label_is_unknown(label):
    found = row(entry({**FLAT, "annotation": label}))
    assert (found.label, found.status) == ("Unknown", "unknown")


@pytest.mark.parametrize("confidence", ["high", "Certain", None, 0.9, []])
def test_a_confidence_that_is_no_word_of_the_reviewer_is_none(confidence):
    assert row(entry(review={"confidence": confidence})).confidence is None


@pytest.mark.parametrize(
    ("given", "identifier"),
    [("CL:0000084", "CL:0000084"), ("CL_0000084", "CL:0000084"), ("Unknown", None), ("CL:84", None),
     ("http://x/CL_0000084", None), (None, None)],
)  # fmt: skip
def test_ontology_ids_are_written_in_one_way(given, identifier):
    assert row(entry({**FLAT, "cellOntologyTerm": given})).ontology_id == identifier


@pytest.mark.parametrize("given", [None, {}, {"latest": None}, {"latest": {"annotation": []}}, 3])
def test_a_cluster_without_an_answer_has_a_failed_row_with_the_reason(given):
    found = row(given, "failed")
    assert (found.status, found.label) == ("failed", None)
    assert "could not annotate" in found.error
    assert "no annotation" in row(given).error


def test_an_answer_for_another_cluster_is_not_used():
    found = row(entry({**FLAT, "clusterId": "7"}))
    assert found.status == "failed"
    assert '"7"' in found.error
    assert row(entry({**FLAT, "clusterId": 0})).status == "ok"


def test_control_characters_do_not_reach_a_label():
    assert row(entry({**FLAT, "annotation": "T\x1b[31m\ncell"})).label == "T [31m cell"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*FLAT, "fullOutput", "cellType", *DEEP, "latest", "annotation", "review"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(anything, anything, anything)
def test_whatever_the_service_says_every_cluster_has_a_row_that_can_be_written(a, b, c):
    names = ("0", "1", "2")
    results = {"annotations": {"0": a, "1": {"latest": {"annotation": b}}, "2": {"latest": c}}}
    rows, evidence = rows_of(results, {}, names, ClusterIds.of(names))
    found = Annotations(rows, evidence)
    assert tuple(r.cluster for r in found) == names
    assert Annotations.from_json(found.to_json()).labels() == found.labels()


def test_all_that_was_returned_is_in_the_evidence():
    names = ("T", "B cell")
    ids = ClusterIds.of(names)
    given = entry({**FLAT, "clusterId": ids.by_cluster["T"], "new": {"deep": [1]}}, review=REVIEW)
    _, evidence = rows_of({"annotations": {ids.by_cluster["T"]: given}}, {}, names, ids)
    assert evidence == {"T": json.loads(json.dumps(given))}


def test_a_cluster_without_markers_and_answer_was_skipped():
    names = ("0", "1")
    rows, _ = rows_of({"annotations": {}}, {"0": "failed"}, names, ClusterIds.of(names), {"0"})
    assert [r.status for r in rows] == ["failed", "skipped"]
