"""Signed addresses: good for one chunk until a moment, without a token; uploads by them."""

import stat
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.server.bodies import read
from cellferry.server.failures import Code, Failure
from cellferry.server.http.bodies import Complete
from cellferry.server.uploads.signed import Signer, check_parts, etag
from server_files import write_vars_h5
from server_process import ServerProcess, code, submit

pytestmark = pytest.mark.process


SIGNER = Signer(b"key")
LATER = 2_000_000_000


def query_of(address):
    return dict(pair.split("=") for pair in urlsplit(address).query.split("&"))


def refusal(function, *arguments):
    with pytest.raises(Failure) as caught:
        function(*arguments)
    return caught.value.code


def test_an_address_is_good_for_its_chunk_alone():
    query = query_of(SIGNER.path("u", 3, LATER))
    SIGNER.check("u", "3", query)
    assert refusal(SIGNER.check, "u", "4", query) is Code.ACCESS_DENIED
    assert refusal(SIGNER.check, "v", "3", query) is Code.ACCESS_DENIED
    assert refusal(SIGNER.check, "u", "3", {**query, "expires": "2000000001"}) is Code.ACCESS_DENIED
    assert refusal(Signer(b"other").check, "u", "3", query) is Code.ACCESS_DENIED
    assert refusal(SIGNER.check, "u", "3", {}) is Code.ACCESS_DENIED


def test_an_address_expires():
    query = query_of(SIGNER.path("u", 0, int(time.time()) - 1))
    with pytest.raises(Failure, match="has expired") as caught:
        SIGNER.check("u", "0", query)
    assert caught.value.status == 403


@given(st.text(), st.text(), st.dictionaries(st.sampled_from(["expires", "signature"]), st.text()))
def test_nothing_else_passes(upload, position, query):
    assert refusal(SIGNER.check, upload, position, query) is Code.ACCESS_DENIED


def test_the_key_stays_and_is_the_owners_alone(tmp_path):
    address = Signer.of(tmp_path).path("u", 0, LATER)
    assert Signer.of(tmp_path).path("u", 0, LATER) == address
    assert stat.S_IMODE((tmp_path / "signing.key").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["signing.key"]


@pytest.mark.parametrize(
    "content",
    [
        {"parts": "x"},
        {"parts": ["x"]},
        {"parts": [{}]},
        {"parts": [{"ETag": "a", "PartNumber": True}]},
        {"parts": [{"ETag": "a", "PartNumber": 0}]},
        {"parts": [{"ETag": None, "PartNumber": 1}]},
    ],
)
def test_lists_of_parts_that_are_none(content):
    assert refusal(read, Complete, content) is Code.VALIDATION_ERROR


def test_the_parts_must_be_those_that_arrived():
    hashes = {0: "a", 1: "b"}
    right = [(1, etag("a")), (2, etag("b"))]
    check_parts(right, hashes)
    for wrong in (right[::-1], right[:1], [*right, (3, etag("c"))], [(1, etag("a")), (2, "b")]):
        assert refusal(check_parts, wrong, hashes) is Code.VALIDATION_ERROR


# --- over HTTP -----------------------------------------------------------------------------

TOKEN = "canary-5150"


@pytest.fixture
def content(tmp_path):
    return write_vars_h5(tmp_path / "vars.h5").read_bytes()


def begin(server, content, **options):
    answer = server.client.post(
        "/upload/vars_h5/initiate", json={"file_size_bytes": len(content)}, **options
    )
    assert answer.status_code == 200
    return answer.json()


def send(url, piece, **headers):
    headers = {"Content-Type": "application/octet-stream", **headers}
    return httpx.put(url, content=piece, headers=headers)


def test_a_whole_upload_at_signed_addresses_survives_a_kill_in_the_middle(tmp_path, content):
    options = ("--signed-parts", "--chunk-size", "2000", "--token", TOKEN, "--port")
    with ServerProcess(tmp_path / "data", *options, free_port()) as server:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        begun = begin(server, content, headers=bearer)
        urls = begun["presigned_urls"]
        assert begun["r2_upload_id"]
        assert len(urls) == -(-len(content) // 2000)
        assert all(url.startswith(server.url + "/part/") for url in urls)
        assert TOKEN not in str(urls)
        parts = []
        for i, url in enumerate(urls):
            answer = send(url, content[2000 * i : 2000 * i + 2000])
            assert answer.status_code == 200, answer.text
            parts.append({"ETag": answer.headers["ETag"], "PartNumber": i + 1})
            if i == 1:
                server.restart()
        # The same chunk again changes nothing; another content is refused.
        assert send(urls[0], content[:2000]).headers["ETag"] == parts[0]["ETag"]
        other = send(urls[0], b"x" * 2000)
        assert (other.status_code, code(other)) == (409, "CHUNK_CONFLICT")
        complete = f"/upload/{begun['upload_id']}/complete"
        wrong = [{**parts[0], "ETag": '"x"'}, *parts[1:]]
        answer = server.client.post(complete, json={"parts": wrong}, headers=bearer)
        assert (answer.status_code, code(answer)) == (422, "VALIDATION_ERROR")
        answer = server.client.post(complete, json={"parts": parts}, headers=bearer)
        assert answer.json()["size_bytes"] == len(content)
        job = submit(server, uploaded_files={"vars_h5": begun["upload_id"]}, headers=bearer)
        assert job
        kept = (server.data / "uploads" / begun["upload_id"]).read_bytes()
        assert kept == content


def test_a_signed_address_opens_nothing_else(tmp_path, content):
    options = ("--signed-parts", "--chunk-size", "2000", "--token", TOKEN)
    with ServerProcess(tmp_path / "data", *options) as server:
        url = begin(server, content, headers={"Authorization": f"Bearer {TOKEN}"})[
            "presigned_urls"
        ][0]
        for changed in (
            url.replace("/0?", "/1?"),
            url.split("?", maxsplit=1)[0],
            url[:-1] + ("0" if url[-1] != "0" else "1"),
            url.replace("/part/", "/part/../"),
        ):
            answer = send(changed, content[:2000])
            assert answer.status_code in {401, 403}, changed
        # The chunk's own address still wants the token, and a read is no write.
        plain = (
            url.split("?", maxsplit=1)[0].replace("/part/", "/upload/").replace("/0", "/chunk/0")
        )
        assert send(plain, content[:2000]).status_code == 401
        assert httpx.get(url).status_code in {401, 405}
        assert send(url, content[:2000], Origin="https://evil.example").status_code == 403
        assert send(url, content[:1999]).status_code == 422
        assert "signature" not in server.log.read_text()


def test_an_expired_address_is_refused_and_the_upload_can_begin_anew(tmp_path, content):
    with ServerProcess(tmp_path / "data", "--signed-parts", "--signed-hours", "0") as server:
        url = begin(server, content)["presigned_urls"][0]
        time.sleep(1.1)
        answer = send(url, content)
        assert (answer.status_code, code(answer)) == (403, "ACCESS_DENIED")


def test_what_has_no_signed_addresses_goes_the_other_way(tmp_path):
    with ServerProcess(tmp_path / "data", "--signed-parts", "--chunk-size", "1K") as server:
        for body in ({}, {"file_size_bytes": 0}, {"file_size_bytes": 1024 * 10_001}):
            answer = server.client.post("/upload/vars_h5/initiate", json=body).json()
            assert "presigned_urls" not in answer
            assert "r2_upload_id" not in answer


def test_behind_a_proxy_the_addresses_begin_with_its_name(tmp_path):
    options = ("--signed-parts", "--public-url", "https://cells.example.org")
    with ServerProcess(tmp_path / "data", *options) as server:
        (url,) = begin(server, b"x")["presigned_urls"]
        assert url.startswith("https://cells.example.org/part/")


def test_our_client_uploads_to_signed_addresses(tmp_path):
    from types import SimpleNamespace

    from cellferry.annotate.verb import annotate
    from cytetype_objects import plain
    from cytetype_runs import engine, newest_run, study_for

    options = ("--signed-parts", "--chunk-size", "20K")
    with ServerProcess(tmp_path / "data", *options) as server:
        made = engine(SimpleNamespace(url=server.url))
        found = annotate(study_for(made, plain()), made)
        assert {row.status for row in found} <= {"ok", "unknown"}
        folder = newest_run().folder
        sent = sorted((folder / name).read_bytes() for name in ("vars.h5", "obs.duckdb"))
        assert sorted(p.read_bytes() for p in (server.data / "uploads").iterdir()) == sent
        # Nothing of an address that can be written to is left behind.
        for path in Path(folder).rglob("*"):
            assert not path.is_file() or b"signature=" not in path.read_bytes(), path


def test_our_client_sends_its_token_everywhere_but_to_signed_addresses(tmp_path):
    from cytetype_runs import run_engine
    from fault_server import FaultServer

    options = ("--signed-parts", "--chunk-size", "200K", "--token", TOKEN)
    with (
        ServerProcess(tmp_path / "data", *options) as server,
        FaultServer(upstream=server.url) as proxy,
    ):
        found = run_engine(proxy, auth_token=TOKEN)
        assert {row.status for row in found} <= {"ok", "unknown"}
        with_token = {"/part/": set(), "other": set()}
        for request in proxy.requests:
            kind = "/part/" if request["path"].startswith("/part/") else "other"
            with_token[kind].add("Authorization" in request["headers"])
        assert with_token == {"/part/": {False}, "other": {True}}


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize("left", [b"", b"short"])
def test_an_empty_key_is_replaced_and_never_signed_with(tmp_path, left, caplog):
    (tmp_path / "signing.key").write_bytes(left)
    found = Signer.of(tmp_path)
    assert len((tmp_path / "signing.key").read_bytes()) == 32
    assert "a new one is made" in caplog.text
    forged = Signer(left).path("u", 0, 2_000_000_000)
    query = dict(part.split("=") for part in forged.partition("?")[2].split("&"))
    with pytest.raises(Failure):
        found.check("u", "0", query)
    caplog.clear()
    assert Signer.of(tmp_path).path("u", 0, 1) == found.path("u", 0, 1)
    assert not caplog.text
