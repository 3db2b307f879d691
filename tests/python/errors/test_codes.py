"""From codes to classes and back."""

import logging

import pytest

from cellferry import errors


def test_every_code_has_its_class_and_its_meaning():
    for code, meaning in errors.error_codes().items():
        cls = errors.error_class(code)
        assert cls.code == code
        assert meaning == cls.__doc__.strip().splitlines()[0]
    for code in errors.warning_codes():
        assert errors.warning_class(code).code == code
    assert list(errors.error_codes()) == sorted(errors.error_codes())


def test_an_unknown_code_is_not_lost():
    assert errors.error_class("of_tomorrow") is errors.InternalError
    assert errors.warning_class("of_tomorrow") is errors.CellferryWarning


def test_a_condition_of_r_is_the_same_error():
    text = "No column x.\n\u2139 Choose one.\n* a"
    error = errors.error_from_r("cellferry_group_missing_error", text, "f()")
    assert type(error) is errors.GroupMissingError
    assert (error.message, error.hint) == ("No column x.", "Choose one.\na")


def test_an_error_that_is_not_ours_says_where_it_was():
    error = errors.error_from_r("simpleError", "subscript out of bounds", "extract()")
    assert type(error) is errors.InternalError
    assert "extract()" in error.message
    assert "subscript out of bounds" in error.message


def test_a_warning_of_r_is_ours_or_goes_to_the_log(caplog):
    with pytest.warns(errors.SpeciesWarning, match="unclear"):
        errors.warn_from_r("cellferry_species_warning", "The species is unclear.")
    with caplog.at_level(logging.WARNING, logger="cellferry"):
        errors.warn_from_r("simpleWarning", "NaNs produced")
    assert "NaNs produced" in caplog.text
