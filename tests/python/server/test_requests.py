"""Reading requests: limits and messages."""

import anyio
import pytest
from starlette.requests import Request

from cellferry.server.failures import Code, Failure
from cellferry.server.http.requests import (
    check_content_type,
    declared_length,
    pieces,
    read_body,
    read_json,
    whole,
)


def request(*messages, **headers):
    waiting = list(messages)

    async def receive():
        return waiting.pop(0)

    named = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": named, "query_string": b""}
    return Request(scope, receive)


def part(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def refusal(function, *arguments, **named):
    call, *rest = (anyio.run, function, *arguments) if named else (function, *arguments)
    with pytest.raises(Failure) as caught:
        call(*rest)
    return caught.value.code


def test_a_body_in_parts():
    made = request(part(b"ab", True), part(b"c"), content_length="3")
    assert anyio.run(read_body, made, 3) == b"abc"


def test_too_large_as_declared_and_as_sent():
    declared = request(part(b"abc"), content_length="4")
    assert refusal(read_body, declared, 3, run=True) is Code.PAYLOAD_TOO_LARGE
    sent = request(part(b"ab", True), part(b"cd"))
    assert refusal(read_body, sent, 3, run=True) is Code.PAYLOAD_TOO_LARGE


def test_a_client_that_goes_away():
    async def read():
        return [p async for p in pieces(request(part(b"a", True), {"type": "http.disconnect"}))]

    assert refusal(read, run=True) is Code.CLIENT_DISCONNECTED


def test_json():
    assert anyio.run(read_json, request(part(b"[1]"), content_type="application/json")) == [1]

    async def empty():
        return await read_json(request(part(b"")), optional=True)

    assert anyio.run(empty) is None
    wrong = request(part(b"{"), content_type="application/json; charset=utf-8")
    assert refusal(read_json, wrong, run=True) is Code.BAD_REQUEST
    assert refusal(read_json, request(part(b"{}")), run=True) is Code.UNSUPPORTED_MEDIA_TYPE


def test_content_types():
    check_content_type(request(content_type="Application/JSON; charset=x"), "application/json")
    check_content_type(request(), "application/octet-stream", optional=True)
    for sent in ("text/plain", "application/x-www-form-urlencoded", ""):
        made = request(content_type=sent)
        assert refusal(check_content_type, made, "application/json") is Code.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize(("sent", "expected"), [("5", 5), ("-5", None), ("x", None), ("٣", None)])
def test_declared_length(sent, expected):
    scope = {"type": "http", "headers": [(b"content-length", sent.encode())]}
    assert declared_length(Request(scope)) == expected


@pytest.mark.parametrize("text", ["", "-1", "1.0", "1e3", "100", "٣", " 1", "0x1", "9" * 30])
def test_numbers_that_are_none(text):
    assert refusal(whole, text, "idx", 0, 99) is Code.VALIDATION_ERROR


def test_numbers():
    assert (whole("0", "idx", 0, 99), whole("99", "idx", 0, 99)) == (0, 99)
