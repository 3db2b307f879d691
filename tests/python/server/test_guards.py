"""Who may use the server: Host, Origin, Content-Type, token; what the log says."""

import socket
import time
from pathlib import Path

import pytest

from cellferry.server.http.guards import logged_path, scheme_of
from cellferry.server.settings import Settings
from server_process import ServerProcess, code, submission, submit

TOKEN = "canary-token-4711"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("guards") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    data = tmp_path_factory.mktemp("guarded") / "data"
    with ServerProcess(data, environment={"CELLFERRY_SERVE_TOKEN": TOKEN}) as found:
        yield found


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"])
def test_names_of_this_machine(server, host):
    assert server.client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["localhost.", "x.localhost", "evil.org", "127.0.0.1.nip.io", "10.0.0.1", "", "[", "a b"],
)
def test_other_hosts_are_refused(server, host):
    """A name that was rebound to 127.0.0.1 still is that name in the Host header."""
    answer = server.client.get("/health", headers={"Host": host})
    assert answer.status_code in {400, 403}
    if answer.status_code == 403:
        assert code(answer) == "ACCESS_DENIED"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_requests_from_other_sites_are_refused(server, headers):
    before = len(list((server.data / "jobs").iterdir()))
    answer = server.client.post("/annotate", json=submission(), headers=headers)
    assert (answer.status_code, code(answer)) == (403, "ACCESS_DENIED")
    answer = server.client.post("/upload/vars_h5/initiate", headers=headers)
    assert answer.status_code == 403
    assert len(list((server.data / "jobs").iterdir())) == before


def test_the_servers_own_pages_may_ask(server):
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    answer = server.client.post("/annotate", json=submission(), headers=headers)
    assert answer.status_code == 200


def test_a_link_to_the_report_may_be_followed_from_anywhere(server):
    job = submit(server)
    answer = server.client.get(f"/report/{job}", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_types_that_browsers_send_without_asking_are_refused(server, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    answer = server.client.post("/annotate", content=b"{}", headers=headers)
    assert (answer.status_code, code(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_compressed_bodies_are_refused_unread(server, encoding):
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    answer = server.client.post("/annotate", content=b"\x1f\x8b" * 1000, headers=headers)
    assert (answer.status_code, code(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_every_answer_says_how_it_may_be_used(server):
    for path in ("/health", "/nothing", f"/report/{submit(server)}"):
        headers = server.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_without_a_token_of_its_own_any_token_is_taken(server):
    headers = {"Authorization": "Bearer anything"}
    answer = server.client.post("/annotate", json=submission(), headers=headers)
    assert answer.status_code == 200


@pytest.mark.slow
def test_a_token_is_asked_for(guarded):
    for path, method in (("/annotate", "POST"), ("/upload/vars_h5/initiate", "POST")):
        answer = guarded.client.request(method, path, json={})
        assert (answer.status_code, code(answer)) == (401, "AUTHENTICATION_REQUIRED")
        answer = guarded.client.request(method, path, headers={"Authorization": "Bearer x"})
        assert (answer.status_code, code(answer)) == (401, "INVALID_TOKEN")
    assert guarded.client.get("/health").status_code == 200


def test_private_jobs_need_it_and_public_ones_are_read_without(guarded):
    made = {
        visibility: submit(guarded, headers=BEARER, visibility=visibility)
        for visibility in ("private", "org", "public")
    }
    unknown = "8c5b2d3e-0000-4000-8000-000000000000"
    for path in ("status", "results", "report"):
        for visibility, job in made.items():
            answer = guarded.client.get(f"/{path}/{job}")
            assert (answer.status_code != 401) == (visibility == "public")
            assert guarded.client.get(f"/{path}/{job}", headers=BEARER).status_code != 401
        # Nobody learns which jobs there are.
        assert guarded.client.get(f"/{path}/{unknown}").status_code == 401
        assert guarded.client.get(f"/{path}/{unknown}", headers=BEARER).status_code == 404


def test_a_token_in_the_address_of_a_report_becomes_a_cookie(guarded):
    job = submit(guarded, headers=BEARER)
    guarded.client.cookies.clear()
    answer = guarded.client.get(f"/report/{job}?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/report/{job}")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert guarded.client.get(f"/report/{job}").status_code == 200
    # The cookie reads and does not write.
    answer = guarded.client.post("/annotate", json=submission())
    assert answer.status_code == 401
    guarded.client.cookies.clear()
    assert guarded.client.get(f"/report/{job}?token=wrong").status_code == 401
    assert guarded.client.get(f"/status/{job}?token={TOKEN}").status_code == 401


@pytest.mark.parametrize(
    ("client", "headers", "public_url", "expected"),
    [
        ("127.0.0.1", {}, None, "http"),
        ("127.0.0.1", {"x-forwarded-proto": "https"}, None, "https"),
        ("::1", {"x-forwarded-proto": "http, HTTPS"}, None, "https"),
        ("127.0.0.1", {"x-forwarded-proto": "https, http"}, None, "http"),
        ("127.0.0.1", {"x-forwarded-proto": "gopher"}, None, "http"),
        ("10.0.0.5", {"x-forwarded-proto": "https"}, None, "https"),
        ("10.0.0.6", {"x-forwarded-proto": "https"}, None, "http"),
        ("10.0.0.6", {"host": "cells.example.org"}, "https://cells.example.org", "https"),
        ("10.0.0.6", {"host": "localhost:8000"}, "https://cells.example.org", "http"),
        ("10.0.0.6", {"host": "cells.example.org"}, "http://cells.example.org", "http"),
    ],
)
def test_who_says_that_a_client_uses_tls(client, headers, public_url, expected):
    settings = Settings(Path("x"), public_url=public_url, trusted_proxies=("10.0.0.5",))
    raw = [(name.encode(), text.encode()) for name, text in headers.items()]
    scope = {"type": "http", "scheme": "http", "client": (client, 1), "headers": raw}
    assert scheme_of(scope, settings) == expected
    assert scheme_of({**scope, "scheme": "https"}, settings) == "https"


def test_the_cookie_is_secure_behind_tls_and_only_there(guarded):
    job = submit(guarded, headers=BEARER)
    for said in ("https", "http"):
        answer = guarded.client.get(
            f"/report/{job}?token={TOKEN}", headers={"X-Forwarded-Proto": said}
        )
        assert ("Secure" in answer.headers["set-cookie"]) == (said == "https")
    guarded.client.cookies.clear()


def test_a_refusal_does_not_wait_for_a_body_that_does_not_come(server, monkeypatch):
    """The length lies, and the type is wrong: the answer comes before the idle limit."""
    head = b"POST /annotate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
    assert b"UNSUPPORTED_MEDIA_TYPE" in raw(server, head, seconds=30)


def test_no_token_and_no_line_break_gets_into_the_log(guarded):
    guarded.client.get(f"/report/x?token={TOKEN}")
    guarded.client.get("/status/a%0AFORGED%20line")
    guarded.client.get(f"/results/x?token={TOKEN}", headers=BEARER)
    log = guarded.log.read_text()
    assert "/report/x" in log
    assert "canary" not in log
    assert not [line for line in log.splitlines() if line.startswith("FORGED")]


def test_log_lines_are_shortened(server):
    assert len(logged_path({"path": "/" + "x" * 10_000})) <= 200


def raw(server, text, seconds=10):
    """Send bytes and return all that comes back."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(text)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
            if b"}}" in answer:
                break
        return answer


def test_who_sends_too_much_still_gets_an_answer(server):
    begun = server.client.post("/upload/vars_h5/initiate", json={"file_size_bytes": 10})
    upload = begun.json()["upload_id"]
    body = b"x" * 20_000_000
    head = (
        f"PUT /upload/{upload}/chunk/0 HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    assert b"PAYLOAD_TOO_LARGE" in raw(server, head.encode() + body)


@pytest.mark.slow
def test_who_sends_nothing_is_not_waited_for(tmp_path):
    plug = (
        "import cellferry.server.settings as s; s.Settings.__dataclass_fields__['idle_seconds'];"
        "s.Settings.__init__.__defaults__ = tuple(1 if d == 60 else d "
        "for d in s.Settings.__init__.__defaults__)"
    )
    with ServerProcess(tmp_path / "data", plug=plug) as server:
        head = (
            b"POST /annotate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        begun = time.monotonic()
        assert b"REQUEST_TIMEOUT" in raw(server, head)
        assert time.monotonic() - begun < 8
