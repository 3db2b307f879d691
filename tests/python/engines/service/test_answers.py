import json

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.engines.service import answers as http_answers
from cellferry.errors import ServiceAnswerError, ServiceError
from cellferry.server.failures import CODES, Failure


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
    response = answer(422)
    code, words = http_answers.explained(response, json.dumps({"detail": body}).encode())
    assert code == ""
    assert isinstance(words, str)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("3", 3.0), ("0.5", 0.5), ("-4", 0.0), ("", None), ("soon", None), ("inf", None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after(given, seconds):
    response = answer(429, headers={"Retry-After": given})
    assert http_answers.retry_after(response.headers) == seconds
    assert http_answers.retry_after({"retry-after": given}) == seconds


@pytest.mark.parametrize(("given", "seconds"), [("1500", 1.5), ("x", 9.0), ("-1", 0.0)])
def test_milliseconds_win_where_they_are_given(given, seconds):
    assert http_answers.retry_after({"retry-after-ms": given, "retry-after": "9"}) == seconds


@given(st.text(max_size=30))
def test_any_retry_after_is_a_pause_or_nothing(text):
    found = http_answers.retry_after({"retry-after": text, "retry-after-ms": text})
    assert found is None or 0 <= found < float("inf")


@pytest.mark.parametrize("status", [408, 409, 425, 429, 499, 500, 502, 503, 504, 507, 520, 521,
                                    522, 523, 524, 529])  # fmt: skip
def test_services_and_models_try_the_same_again(status):
    """Architecture review: 499, 507, 521 and 523 were tried again by one, 409 by the other."""
    from pydantic_ai.exceptions import ModelHTTPError

    from cellferry.engines.llm.client import is_transient

    assert http_answers.is_transient(http_answers.error_of(answer(status), b""))
    assert is_transient(ModelHTTPError(status, "m"))


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 501, 505])
def test_what_will_not_pass_is_tried_once_by_both(status):
    from pydantic_ai.exceptions import ModelHTTPError

    from cellferry.engines.llm.client import is_transient

    assert not http_answers.is_transient(http_answers.error_of(answer(status), b""))
    assert not is_transient(ModelHTTPError(status, "m"))


def test_a_conflict_that_is_named_stays_unless_the_service_says_when_to_come_back():
    body = json.dumps({"error_code": "JOB_CONFLICT", "message": "m"}).encode()
    assert not http_answers.is_transient(http_answers.error_of(answer(409), body))
    soon = answer(409, headers={"Retry-After": "1"})
    assert http_answers.is_transient(http_answers.error_of(soon, body))


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


DECISIONS = {
    "service_rejected stop": (
        "BAD_REQUEST METHOD_NOT_ALLOWED JOB_NOT_COMPLETED JOB_FAILED JOB_CONFLICT "
        "UPLOAD_INCOMPLETE CHUNK_CONFLICT UNSUPPORTED_MEDIA_TYPE VALIDATION_ERROR "
        "INVALID_ARTIFACT LLM_VALIDATION_FAILED NO_EXPRESSION"
    ),
    "service_credentials stop": "AUTHENTICATION_REQUIRED INVALID_TOKEN",
    "service_forbidden stop": "ACCESS_DENIED",
    "service_not_found stop": "NOT_FOUND JOB_NOT_FOUND UPLOAD_NOT_FOUND UPLOAD_EXPIRED",
    "service_too_large stop": "PAYLOAD_TOO_LARGE",
    "service_timeout again": "REQUEST_TIMEOUT",
    "service_unreachable again": "CLIENT_DISCONNECTED",
    "service_failed again": "INTERNAL_ERROR SERVER_BUSY INSUFFICIENT_STORAGE",
}


def test_every_code_of_our_own_server_has_its_class_and_decision():
    found = {}
    for code, meaning in CODES.items():
        body = json.dumps(Failure(code, "m").body()).encode()
        error = http_answers.error_of(answer(meaning.status, body), body)
        decision = "again" if http_answers.is_transient(error) else "stop"
        found[code.value] = f"{error.code} {decision}"
    assert found == {code: name for name, codes in DECISIONS.items() for code in codes.split()}
