import pytest

from cellferry import errors


def test_a_code_leads_to_its_class_and_an_unknown_one_to_a_fault_of_ours():
    for code in errors.error_codes():
        assert errors.error_class(code).code == code
    assert errors.error_class("nonsense") is errors.InternalError
    for code in errors.warning_codes():
        assert errors.warning_class(code).code == code
    assert errors.warning_class("nonsense") is errors.CellferryWarning


def test_conditions_of_r_become_ours():
    found = errors.error_from_r("cellferry_group_missing_error", "No column.\ni Choose one.", "x")
    assert type(found) is errors.GroupMissingError
    assert (found.message, found.hint) == ("No column.", "Choose one.")
    other = errors.error_from_r("simpleError", "subscript", "the child")
    assert type(other) is errors.InternalError
    assert "the child" in other.message
    with pytest.warns(errors.CountsWarning, match="Not counts"):
        errors.warn_from_r("cellferry_counts_warning", "Not counts.")
