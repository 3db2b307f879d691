"""Failures: one body, and every code with a status and a meaning."""

import pytest

from cellferry.server.failures import CODES, Code, Failure, fail, shown


def test_every_code_has_a_status_and_a_meaning():
    assert set(CODES) == set(Code)
    for meaning in CODES.values():
        assert 400 <= meaning.status < 600
        assert meaning.text.endswith(".")


def test_body_and_status():
    failure = Failure(Code.JOB_NOT_FOUND, "There is no job.")
    assert failure.status == 404
    assert failure.body() == {
        "detail": {"error_code": "JOB_NOT_FOUND", "message": "There is no job."}
    }


def test_fail_raises_and_keeps_the_cause():
    cause = ValueError("x")
    with pytest.raises(Failure) as caught:
        fail("no", cause)
    assert caught.value.code is Code.VALIDATION_ERROR
    assert caught.value.__cause__ is cause


def test_shown_is_short_and_on_one_line():
    assert "\n" not in shown("a\nb")
    assert len(shown("x" * 1000)) == 60
