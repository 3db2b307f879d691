"""What every error and warning shows, and how it crosses."""

import pickle

import pytest

from cellferry import errors
from cellferry.errors import ISSUE_URL, CellferryError, CellferryWarning


def test_an_error_shows_the_problem_first_and_then_what_to_do():
    error = errors.MarkersEmptyError("The table has no rows.", "Run it again.", rows=0)
    assert str(error) == "The table has no rows.\nRun it again."
    assert error.to_dict() == {
        "code": "markers_empty",
        "message": "The table has no rows.",
        "hint": "Run it again.",
        "data": {"rows": 0},
    }


@pytest.mark.parametrize("kind", [CellferryError, CellferryWarning])
def test_without_a_hint_only_the_problem_is_shown(kind):
    assert str(kind("It stopped.")) == "It stopped."
    assert kind("It stopped.").to_dict()["hint"] == ""


def test_errors_and_warnings_are_the_pythons_own_kinds():
    assert issubclass(CellferryError, Exception)
    assert issubclass(CellferryWarning, UserWarning)
    assert ISSUE_URL.startswith("https://")


def test_an_error_comes_back_from_another_process():
    back = pickle.loads(pickle.dumps(errors.GroupMissingError("No column x.", "Use y.", given="x")))
    assert isinstance(back, errors.GroupMissingError)
    assert (back.message, back.hint, back.data) == ("No column x.", "Use y.", {"given": "x"})
