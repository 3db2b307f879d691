import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry import http_answers
from cellferry.errors import ServiceAnswerError, ServiceError


def answer(status, content=b"", headers=None):
    request = httpx.Request("GET", "https://example.org/x")
    return httpx.Response(status, content=content, headers=headers, request=request)


@given(st.integers(300, 599), st.binary(max_size=200), st.sampled_from(["", "text/html"]))
def test_any_refusal_is_one_classed_error_with_words_and_a_hint(status, body, kind):
    error = http_answers.error_of(answer(status, headers={"Content-Type": kind}), body)
    assert isinstance(error, ServiceError)
    assert type(error) is not ServiceError
    assert error.data["status"] == status
    assert f"HTTP {status}" in error.message
    assert error.hint


@given(st.recursive(st.none() | st.integers() | st.text(max_size=9), st.lists, max_leaves=9))
def test_any_json_body_can_be_explained(body):
    import json

    response = answer(422)
    code, told = http_answers.explained(response, json.dumps({"detail": body}).encode())
    assert code == ""
    assert isinstance(told, str)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("3", 3.0), ("0.5", 0.5), ("-4", 0.0), ("", None), ("soon", None), ("inf", None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after(given, seconds):
    assert http_answers.retry_after(answer(429, headers={"Retry-After": given})) == seconds


def test_an_answer_must_be_an_object_with_its_members():
    checked = {"job_id": str, "n": int}
    assert http_answers.object_of({"job_id": "a", "n": 1}, "h", **checked)["n"] == 1
    for wrong in (
        [],
        None,
        "x",
        {"job_id": 1, "n": 1},
        {"job_id": "a"},
        {"job_id": "a", "n": True},
    ):
        with pytest.raises(ServiceAnswerError):
            http_answers.object_of(wrong, "h", **checked)


@pytest.mark.parametrize("code", ["QUOTA_EXCEEDED", "LICENSE_EXPIRED"])
def test_a_refusal_that_stays_is_not_tried_again_whatever_its_status(code):
    body = f'{{"error_code": "{code}", "message": "m"}}'.encode()
    assert not http_answers.is_transient(http_answers.error_of(answer(503), body))
    assert not http_answers.is_transient(http_answers.error_of(answer(429), body))
