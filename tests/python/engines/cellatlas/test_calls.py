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
    ({"calls": [call("")]}, "no label"), ({"calls": [call(3)]}, "no label"),
    ({"calls": [{"label": "x", "confidence": 87}]}, "between 0 and 1"),
    ({"calls": [{"label": "x", "confidence": "high"}]}, "between 0 and 1"),
])  # fmt: skip
def test_answers_that_are_not_one_call_per_cell_are_refused(answer, problem):
    with pytest.raises(ServiceAnswerError, match=problem):
        check_answer(answer, 1)


def test_unknown_keys_are_left_alone():
    calls = [call(anything=True)]
    assert check_answer({"calls": calls, "more": 1}, 1) == calls
