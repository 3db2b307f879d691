import numpy as np
import pytest

from cellferry.engines.cellatlas.calls import Calls, check_answer, columns_of
from cellferry.errors import ServiceAnswerError


def call(label="T cell", **more):
    return {"label": label, "confidence": 0.5, **more}


def test_calls_become_columns_whatever_their_lists_hold():
    found = columns_of([
        call(alternates=["NK cell"], markers=["CD3E", "CD2"], new_key={"x": 1}),
        {"label": " B cell "},
        call("unassigned", alternates=[{"label": "B cell", "confidence": 0.1}, ["T", 0.2], 7]),
        call(markers=[{"gene": "CD3E"}, {"symbol": "CD2"}, {}]),
    ])  # fmt: skip
    assert found.label.values().tolist() == ["T cell", "B cell", "Unknown", "T cell"]
    assert found.status.tolist() == [0, 0, 1, 0]
    assert found.confidence.tolist()[0] == 0.5
    assert np.isnan(found.confidence[1])
    assert found.alternatives.values() == [["NK cell"], [], ["B cell", "T"], []]
    assert found.supporting.values() == [["CD3E", "CD2"], [], [], ["CD3E", "CD2"]]
    assert len(Calls.joined([found, found])) == 8
    assert len(Calls.joined([])) == 0


@pytest.mark.parametrize(("answer", "problem"), [
    ([], "no `calls`"), ({}, "no `calls`"), ({"calls": {}}, "no `calls`"),
    ({"calls": []}, "0 calls for 1"), ({"calls": [call(), call()]}, "2 calls for 1"),
    ({"calls": [{}]}, "no label"), ({"calls": [None]}, "no label"),
    ({"calls": [call(3)]}, "no label"), ({"data": {"calls": [call(), call()]}}, "2 calls for 1"),
    ({"data": [call()]}, "no `calls`"),
])  # fmt: skip
def test_answers_that_are_not_one_call_per_cell_are_refused(answer, problem):
    with pytest.raises(ServiceAnswerError, match=problem):
        check_answer(answer, 1)


def test_unknown_keys_are_left_alone():
    calls = [call(anything=True)]
    assert check_answer({"calls": calls, "more": 1}, 1) == calls


@pytest.mark.parametrize("label", [None, "", "  "])
def test_a_call_without_a_label_costs_its_cell_alone(label):
    calls = check_answer({"calls": [call()] * 599 + [call(label)]}, 600)
    found = columns_of(calls)
    assert found.label.values().tolist() == ["T cell"] * 599 + [None]
    assert found.status.tolist() == [0] * 599 + [2]
    assert np.isnan(found.confidence[-1])
    # A chunk of one cell is no other case.
    assert columns_of(check_answer({"calls": [call(label)]}, 1)).status.tolist() == [2]


@pytest.mark.parametrize("broken", [None, 3, {}, {"label": 7}, []])
def test_a_call_that_is_none_costs_its_cell_alone(broken):
    found = columns_of(check_answer({"calls": [call(), broken, call("B cell")]}, 3))
    assert found.label.values().tolist() == ["T cell", None, "B cell"]
    with pytest.raises(ServiceAnswerError, match="None of the 2 calls has a label"):
        check_answer({"calls": [broken, broken]}, 2)


@pytest.mark.parametrize(("given", "expected"), [
    ("0.9", 0.9), (" 1 ", 1), (0, 0), (1, 1), ("high", None), (87, None), (-1, None),
    ("nan", None), ("inf", None), (True, None), ([0.5], None), (None, None), ("", None),
])  # fmt: skip
def test_confidences_are_numbers_from_0_to_1_or_none_and_the_label_stays(given, expected):
    found = columns_of(check_answer({"calls": [call(confidence=given)]}, 1))
    assert found.label.values().tolist() == ["T cell"]
    assert found.confidence.tolist() == (
        [expected] if expected is not None else pytest.approx([np.nan], nan_ok=True)
    )


@pytest.mark.parametrize("wrapper", ["data", "result", "response"])
def test_an_answer_one_level_deeper_is_used(wrapper):
    assert check_answer({wrapper: {"calls": [call()]}, "id": 1}, 1) == [call()]


def test_labels_are_one_line():
    assert columns_of([call("T cell\n (CD8)")]).label.levels == ("T cell (CD8)",)
