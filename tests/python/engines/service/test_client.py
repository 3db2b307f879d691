import email.utils
import json
import threading
import time

import pytest

from cellferry import errors
from cellferry.engines.service.client import PIECE, Retries, Service
from cellferry.engines.service.secrets import Secret
from cellferry.runs.worker import CancelledWork, Events
from fault_server import FaultServer
from loopback import LoopbackServer, QuietHandler

QUICK = Retries(attempts=4, first=0.01, longest=0.05, patience=5.0)
CANARY = "canary-7f3a91-secret"


@pytest.fixture
def server():
    with FaultServer() as running:
        job = running.annotate(json.dumps({"input_data": {"clusterLabels": {"0": "0"}}}), {})
        running.job = json.loads(job[2])["job_id"]
        running.status_path = f"/status/{running.job}"
        yield running


def service(server, **options):
    return Service(server.url, **{"retries": QUICK, "read_seconds": 2.0, **options})


def status(server, **options):
    with service(server, **options) as client:
        return client.get(server.status_path)


TRANSIENT = [
    ("drop", {}),
    ("truncate", {}),
    ("garble", {}),
    ("answer", {"status": 500}),
    ("answer", {"status": 503, "body": b"<html>Bad gateway</html>"}),
    ("answer", {"status": 429, "headers": {"Retry-After": "0"}}),
    ("answer", {"status": 408}),
    ("answer", {"status": 425}),
    ("answer", {"status": 502, "headers": {"Content-Type": "text/html"}}),
]


@pytest.mark.parametrize(("kind", "details"), TRANSIENT)
def test_what_passes_is_tried_again_until_the_answer_is_whole(server, kind, details):
    server.fault(kind, "GET", "^/status", times=3, **details)
    found = status(server)
    assert found["clusterStatus"].keys() == {"0"}
    assert found["jobStatus"] in {"processing", "completed"}
    assert server.faults[0].done == 3


def failure(code, message="Too much."):
    return json.dumps({"detail": {"error_code": code, "message": message}}).encode()


CLASSES = [
    (401, failure("INVALID_TOKEN"), errors.ServiceCredentialsError),
    (403, failure("ACCESS_DENIED"), errors.ServiceForbiddenError),
    (404, b'{"error_code": "JOB_NOT_FOUND", "message": "gone"}', errors.ServiceNotFoundError),
    (413, b"too large", errors.ServiceTooLargeError),
    (422, b'{"detail": [{"loc": ["body", "x"], "msg": "bad"}]}', errors.ServiceRejectedError),
    (400, b'{"detail": "no"}', errors.ServiceRejectedError),
    (429, failure("QUOTA_EXCEEDED"), errors.ServiceLimitError),
    (500, b"", errors.ServiceFailedError),
    (503, b"<!doctype html><p>down", errors.ServiceFailedError),
    (200, b"<!doctype html><p>sign in", errors.ServicePageError),
    (200, b"{", errors.ServiceAnswerError),
    (200, b"[" * 100_000, errors.ServiceAnswerError),
    (302, b"", errors.ServiceRedirectError),
]


@pytest.mark.parametrize(("code", "body", "cls"), CLASSES)
def test_what_stays_is_one_classed_error(server, code, body, cls):
    server.fault("answer", "GET", "^/status", times=99, status=code, body=body)
    with pytest.raises(errors.ServiceError) as caught:
        status(server)
    assert type(caught.value) is cls
    assert caught.value.data["status"] == code
    assert caught.value.hint
    retried = code >= 500 or (code == 200 and cls is errors.ServiceAnswerError)
    assert server.faults[0].done == (4 if retried else 1)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (failure("X_CODE", "The words."), "X_CODE): The words."),
        (b'{"error_code": "X_CODE", "message": "The words."}', "X_CODE): The words."),
        (b'{"detail": "Not authenticated"}', "Not authenticated"),
        (b'{"detail": [{"loc": ["body", "x"], "msg": "bad"}]}', "body.x: bad"),
        (b"[1, 2]", "[1, 2]"),
        (b"plain words", "plain words"),
        (b"\xff\xfe", "HTTP 400"),
        (b"<html>" + b"x" * 9999, "web page"),
    ],
)
def test_the_words_of_the_service_are_shown(server, body, words):
    server.fault("answer", "GET", "^/status", status=400, body=body)
    with pytest.raises(errors.ServiceRejectedError) as caught:
        status(server)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 900


@pytest.mark.slow
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_pause_that_the_service_asks_for_is_kept(server, form):
    when = "1.2" if form == "seconds" else email.utils.formatdate(time.time() + 3, usegmt=True)
    server.fault("answer", "GET", "^/status", status=429, headers={"Retry-After": when})
    status(server)
    first, second = (r["time"] for r in server.requests[-2:])
    # A date has whole seconds.
    assert (1.2 if form == "seconds" else 1.5) <= second - first < 5


def test_a_pause_that_is_too_long_is_reported_and_not_waited_for(server):
    server.fault("answer", "GET", "^/status", status=429, headers={"Retry-After": "86400"})
    begin = time.monotonic()
    with pytest.raises(errors.ServiceLimitError) as caught:
        status(server)
    assert time.monotonic() - begin < 2
    assert caught.value.data["retry_after"] == 86400


def test_an_interrupt_ends_a_pause_at_once(server):
    server.fault("answer", "GET", "^/status", status=503, headers={"Retry-After": "5"})
    events = Events()
    threading.Timer(0.3, events.cancel).start()
    begin = time.monotonic()
    with pytest.raises(CancelledWork):
        status(server, events=events)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("kind", ["delay", "dribble"])
def test_time_outs_fire_also_for_a_service_that_sends_a_byte_now_and_then(server, kind):
    server.fault(kind, "GET", "^/status", times=9, seconds=1.5 if kind == "delay" else 0.1)
    begin = time.monotonic()
    with pytest.raises(errors.ServiceTimeoutError):
        status(server, read_seconds=0.4, retries=Retries(attempts=2, first=0.01, longest=0.02))
    assert time.monotonic() - begin < 4


def test_nobody_there_is_unreachable_and_says_where():
    with (
        pytest.raises(errors.ServiceUnreachableError, match=r"127\.0\.0\.1"),
        Service("http://127.0.0.1:9", retries=QUICK) as client,
    ):
        client.get("/status/x")


def test_an_answer_that_comes_twice_is_never_taken_for_the_next_one(server):
    other = json.loads(
        server.annotate(json.dumps({"input_data": {"clusterLabels": {"B": "B"}}}), {})[2]
    )["job_id"]
    server.fault("duplicate", "GET", f"^/status/{server.job}", times=5)
    with service(server) as client:
        for _ in range(5):
            assert client.get(server.status_path)["clusterStatus"].keys() == {"0"}
            assert client.get(f"/status/{other}")["clusterStatus"].keys() == {"B"}


@pytest.mark.parametrize("status_code", [301, 302, 303, 307, 308])
def test_a_redirect_gets_neither_the_request_nor_the_token(server, status_code):
    with FaultServer() as elsewhere:
        where = f"{elsewhere.url}/status/x?token=abc"
        server.fault("answer", "GET", "^/status", status=status_code, headers={"Location": where})
        with pytest.raises(errors.ServiceRedirectError) as caught:
            status(server, token=Secret(CANARY, "auth_token"))
        assert elsewhere.requests == []
    assert "token=abc" not in str(caught.value)


def test_the_token_goes_to_its_own_service_only(server):
    with service(server, token=Secret(CANARY, "auth_token")) as client:
        client.get(server.status_path)
        assert server.requests[-1]["headers"]["Authorization"] == f"Bearer {CANARY}"
        url = f"http://127.0.0.1:{server.storage_port}/u/0?X-Amz-Signature=s0"
        server.uploads["u"] = {"parts": {}}
        client.request("PUT", url, content=b"abc")
    assert server.requests[-1]["at"] == "storage"
    assert "Authorization" not in server.requests[-1]["headers"]


def test_a_secret_that_the_service_repeats_is_hidden(server):
    body = failure("INVALID_TOKEN", f"The token {CANARY} is not valid.")
    server.fault("answer", "GET", "^/status", status=401, body=body)
    with pytest.raises(errors.ServiceCredentialsError) as caught:
        status(server, token=Secret(CANARY, "auth_token"))
    assert CANARY not in json.dumps(caught.value.to_dict())


def test_a_proxy_of_the_environment_sees_nothing_that_is_meant_for_this_machine(
    server, monkeypatch
):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert status(server)["clusterStatus"].keys() == {"0"}


def test_not_a_number_in_an_answer_becomes_missing(server):
    server.fault("answer", "GET", "^/status", status=200, body=b'{"a": NaN, "b": 1e999}')
    assert status(server) == {"a": None, "b": None}


def test_a_large_body_arrives_whole_in_every_attempt():
    bodies = []

    class Handler(QuietHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if len(bodies) > 1 else 503)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    body = bytes(range(256)) * (3 * PIECE // 256) + b"end"
    with (
        LoopbackServer(Handler).serving() as running,
        Service(running.url, retries=QUICK) as client,
    ):
        assert client.request("POST", "/", content=body).json() == {}
    assert bodies == [body, body]
