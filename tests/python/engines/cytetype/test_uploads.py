import hashlib
import json
import os
import stat
import tracemalloc

import pytest

from cellferry import errors
from cellferry.engines.cytetype.uploads import LIMITS, Uploader, _File
from cellferry.engines.service.client import Service
from cellferry.engines.service.secrets import Secret
from cellferry.runs.run import Run
from cellferry.runs.worker import Events
from cytetype_runs import QUICK
from fault_server import FaultServer

CANARY = "canary-7f3a91-secret"


@pytest.fixture(params=["proxy", "presigned"])
def server(request):
    with FaultServer(chunk_size=1000, mode=request.param) as running:
        yield running


@pytest.fixture
def proxy():
    with FaultServer(chunk_size=1000) as running:
        yield running


def uploader(server, run=None, workers=4, events=None, token=None):
    service = Service(server.url, token=token, retries=QUICK, read_seconds=5)
    run = run or Run.create("cytetype")
    return Uploader(service, run, events or Events(), workers=workers, seconds=5)


def file_of(folder, size, name="vars.h5"):
    path = folder / name
    path.write_bytes(hashlib.shake_128(str(size).encode()).digest(size))
    return path


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 4000, 12_345])
def test_the_service_has_exactly_the_file(server, tmp_path, size):
    path = file_of(tmp_path, size)
    upload = uploader(server).upload("vars_h5", path)
    assert server.uploads[upload]["complete"]
    assert server.content("vars_h5") == path.read_bytes()
    assert server.count("PUT", ".") == -(-size // 1000)


def test_what_is_sent_is_what_the_protocol_says(server, tmp_path):
    uploader(server, token=Secret(CANARY, "t")).upload("obs_duckdb", file_of(tmp_path, 2500))
    puts = [r for r in server.requests if r["method"] == "PUT"]
    assert sorted(r["size"] for r in puts) == [500, 1000, 1000]
    for sent in puts:
        assert sent["headers"]["Content-Type"] == "application/octet-stream"
        assert "Transfer-Encoding" not in sent["headers"]
        own = sent["at"] == "api"
        assert ("Authorization" in sent["headers"]) == own
    assert {r["at"] for r in puts} == {"storage" if server.mode == "presigned" else "api"}


def test_parts_go_side_by_side(proxy, tmp_path):
    proxy.fault("delay", "PUT", "chunk", times=8, seconds=0.3)
    path = file_of(tmp_path, 8000)
    import time

    begin = time.monotonic()
    uploader(proxy, workers=4).upload("vars_h5", path)
    assert time.monotonic() - begin < 8 * 0.3 * 0.75


def test_a_large_part_is_never_in_memory_as_a_whole(proxy, tmp_path):
    proxy.chunk_size = 64 << 20
    path = tmp_path / "vars.h5"
    with path.open("wb") as sparse:
        sparse.truncate(96 << 20)
    proxy.fault("answer", "PUT", "chunk", times=9, status=200)  # read, and not kept
    proxy.fault("answer", "POST", "complete", status=200, body=b'{"upload_id": "u"}')
    tracemalloc.start()
    # The server of the test is in this process: what it reads is counted too, the parts' bytes.
    uploader(proxy, workers=2).upload("vars_h5", path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < (96 + 24) << 20


def test_offsets_beyond_four_gigabytes_are_right(tmp_path):
    with FaultServer(chunk_size=1 << 30) as server:
        path = tmp_path / "vars.h5"
        with path.open("wb") as sparse:
            sparse.truncate((4 << 30) + 10)
            sparse.seek(4 << 30)
            sparse.write(b"0123456789")
        made = uploader(server, workers=1)
        found = path.stat()
        # Taking the hash and sending four gigabytes of zeros would only cost time.
        file = _File(path, "vars_h5", found.st_size, found.st_mtime_ns, "0" * 64)
        upload = made._begin(file)
        assert (upload.n_parts, upload.part_size) == (5, 1 << 30)
        made._send(file, upload, 4)
        (kept,) = [u for u in server.uploads.values() if u["parts"]]
        assert kept["parts"] == {4: b"0123456789"}


def test_the_same_content_is_not_sent_twice(server, tmp_path):
    first = uploader(server).upload("vars_h5", file_of(tmp_path, 3000))
    n = len(server.requests)
    assert uploader(server).upload("vars_h5", file_of(tmp_path, 3000, "other.h5")) == first
    assert len(server.requests) == n
    assert uploader(server).upload("vars_h5", file_of(tmp_path, 3001)) != first


def test_an_upload_that_expires_soon_or_of_another_service_is_not_named_again(proxy, tmp_path):
    path = file_of(tmp_path, 3000)
    first = uploader(proxy).upload("vars_h5", path)
    with FaultServer(chunk_size=1000, lifetime=60) as other:
        second = uploader(other).upload("vars_h5", path)
        assert uploader(other).upload("vars_h5", path) != second
    assert uploader(proxy).upload("vars_h5", path) == first


@pytest.mark.slow
def test_a_broken_upload_goes_on_where_it_stopped(server, tmp_path):
    run, path = Run.create("cytetype"), file_of(tmp_path, 6000)
    where = "/4\\?X-Amz" if server.mode == "presigned" else "chunk/4$"
    server.fault("drop", "PUT", where, times=99)
    with pytest.raises(errors.ServiceUnreachableError):
        uploader(server, run, workers=1).upload("vars_h5", path)
    before = server.count("PUT", ".")
    server.faults.clear()
    uploader(server, Run.open(run.id)).upload("vars_h5", path)
    assert server.content("vars_h5") == path.read_bytes()
    assert server.count("PUT", ".") - before == 2
    assert server.count("POST", "initiate") == 1


def test_signed_addresses_are_the_owners_alone_and_deleted_at_the_end(tmp_path):
    with FaultServer(chunk_size=1000, mode="presigned") as server:
        run, path = Run.create("cytetype"), file_of(tmp_path, 3000)
        server.fault("drop", "PUT", "/2\\?X-Amz", times=99)
        with pytest.raises(errors.ServiceUnreachableError):
            uploader(server, run).upload("vars_h5", path)
        (kept,) = run.folder.glob("signed-*")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert "X-Amz-Signature" not in (run.folder / "journal.jsonl").read_text()
        server.faults.clear()
        uploader(server, run).upload("vars_h5", path)
        assert list(run.folder.glob("signed-*")) == []


def test_a_file_that_changes_meanwhile_is_an_error(proxy, tmp_path):
    path = file_of(tmp_path, 3000)
    made = uploader(proxy)
    file = made._examine("vars_h5", path)
    upload = made._begin(file)
    path.write_bytes(b"x" * 3000)
    os.utime(path, ns=(1, 1))
    with pytest.raises(errors.OutputError, match="changed while"):
        made._finish(file, upload)


def test_a_missing_or_too_large_file_is_an_error_before_anything_is_sent(proxy, tmp_path):
    with pytest.raises(errors.OutputError, match="cannot be read"):
        uploader(proxy).upload("vars_h5", tmp_path / "none.h5")
    path = tmp_path / "obs.duckdb"
    with path.open("wb") as sparse:
        sparse.truncate(LIMITS["obs_duckdb"] + 1)
    with pytest.raises(errors.ServiceTooLargeError, match="2,147,483,649 bytes"):
        uploader(proxy).upload("obs_duckdb", path)
    assert proxy.requests == []


def answered(server, tmp_path, body, path="initiate"):
    server.fault("answer", "POST", path, times=99, status=200, body=body)
    uploader(server).upload("vars_h5", file_of(tmp_path, 3000))


def signed(url, size):
    begun = {"upload_id": "u", "chunk_size_bytes": size, "r2_upload_id": "r"}
    return json.dumps({**begun, "presigned_urls": [url]}).encode()


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        (b'{"upload_id": "u", "chunk_size_bytes": 0}', errors.ServiceAnswerError),
        (b'{"upload_id": "u", "chunk_size_bytes": -1}', errors.ServiceAnswerError),
        (b'{"upload_id": "u", "chunk_size_bytes": "1"}', errors.ServiceAnswerError),
        (b'{"upload_id": "../x", "chunk_size_bytes": 9}', errors.ServiceAnswerError),
        (b'{"upload_id": "..", "chunk_size_bytes": 9}', errors.ServiceAnswerError),
        (b'{"upload_id": "a?b", "chunk_size_bytes": 9}', errors.ServiceAnswerError),
        (b'{"chunk_size_bytes": 9}', errors.ServiceAnswerError),
        (
            b'{"upload_id": "u", "chunk_size_bytes": 1000, "max_size_bytes": 10}',
            errors.ServiceTooLargeError,
        ),
        (signed("https://example.org/1", 1000), errors.ServiceAnswerError),
        (signed("http://example.org/1", 9000), errors.ServiceAnswerError),
        (signed("file:///etc/passwd", 9000), errors.ServiceAnswerError),
    ],
)
def test_an_answer_that_cannot_be_is_refused(proxy, tmp_path, body, cls):
    with pytest.raises(cls):
        answered(proxy, tmp_path, body)
    assert proxy.count("PUT", ".") == 0


@pytest.mark.parametrize(
    "body",
    [
        b'{"upload_id": "u", "file_kind": "obs_duckdb", "size_bytes": 3000}',
        b'{"upload_id": "u", "file_kind": "vars_h5", "size_bytes": 2999}',
        b'{"upload_id": "a/b"}',
        b"{}",
    ],
)
def test_a_completed_upload_that_is_not_ours_is_refused(proxy, tmp_path, body):
    with pytest.raises(errors.ServiceAnswerError):
        answered(proxy, tmp_path, body, "complete")


def test_a_refusal_of_the_service_itself_stops_at_once(proxy, tmp_path):
    proxy.fault("answer", "PUT", "chunk", times=99, status=403, body=b"no")
    with pytest.raises(errors.ServiceForbiddenError):
        uploader(proxy, workers=1).upload("vars_h5", file_of(tmp_path, 3000))
    assert proxy.count("POST", "initiate") == 1
