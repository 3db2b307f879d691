"""Faults between client and server, on real processes: after each, everything is right or said.

The last test prints how many faults were tried and survived.
"""

import concurrent.futures
import random
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from cellferry import annotate_clusters
from server_engine import PLUG
from server_files import write_obs_duckdb, write_vars_h5
from server_process import MARKERS, ServerProcess, code, put_chunk, submit, upload

pytestmark = pytest.mark.process


TRIED: Counter[str] = Counter()
SURVIVED: Counter[str] = Counter()
CONFIGS = [{"provider": "openai", "name": "m", "apiKey": "canary-4711"}]


@pytest.fixture
def server(tmp_path):
    with ServerProcess(tmp_path / "data", "--chunk-size", "1000") as found:
        yield found


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = write_vars_h5(tmp_path_factory.mktemp("faults") / "vars.h5")
    return path.read_bytes()


def labels(server, job):
    found = server.client.get(f"/results/{job}").json()["annotations"]
    return {c: a["latest"]["annotation"]["annotation"] for c, a in found.items()}


def tried(name):
    """Count a fault before it happens; the returned call counts it as survived."""
    TRIED[name] += 1

    def survived():
        SURVIVED[name] += 1

    return survived


def test_killed_after_every_step_of_an_upload(server, content):
    """Every chunk that was answered is still there; the upload goes on where it was."""
    begun = server.client.post("/upload/vars_h5/initiate", json={"file_size_bytes": len(content)})
    identifier = begun.json()["upload_id"]
    n_chunks = -(-len(content) // 1000)
    for i in range(n_chunks):
        assert put_chunk(server, identifier, i, content[1000 * i : 1000 * i + 1000]).is_success
        if i % 4 == 0:
            survived = tried("kill -9 between chunks")
            server.restart()
            state = server.client.get(f"/upload/{identifier}").json()
            assert state["received_chunks"] == list(range(i + 1))
            survived()
    assert server.client.post(f"/upload/{identifier}/complete").is_success
    survived = tried("kill -9 after complete")
    server.restart()
    job = submit(server, uploaded_files={"vars_h5": identifier})
    server.wait_for(job)
    assert server.client.get(f"/data/{job}/expression?gene=CD3D").is_success
    assert (server.data / "uploads" / identifier).read_bytes() == content
    survived()


def test_killed_in_mid_chunk(server, content):
    """What was half sent does not count, and can be sent again."""
    survived = tried("kill -9 in mid-chunk")
    begun = server.client.post("/upload/vars_h5/initiate", json={"file_size_bytes": len(content)})
    identifier = begun.json()["upload_id"]
    host, port = server.url.removeprefix("http://").split(":")
    head = (
        f"PUT /upload/{identifier}/chunk/0 HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 1000\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + b"x" * 500)
        time.sleep(0.2)
        server.kill()
    server.start()
    assert server.client.get(f"/upload/{identifier}").json()["received_chunks"] == []
    for i in range(-(-len(content) // 1000)):
        assert put_chunk(server, identifier, i, content[1000 * i : 1000 * i + 1000]).is_success
    assert server.client.post(f"/upload/{identifier}/complete").is_success
    survived()


def test_a_connection_that_breaks_in_mid_chunk(server, content):
    survived = tried("broken connection, sent again at once")
    begun = server.client.post("/upload/vars_h5/initiate", json={"file_size_bytes": 1000})
    identifier = begun.json()["upload_id"]
    host, port = server.url.removeprefix("http://").split(":")
    head = (
        f"PUT /upload/{identifier}/chunk/0 HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Length: 1000\r\n\r\n"
    )
    hanging = socket.create_connection((host, int(port)))
    hanging.sendall(head.encode() + b"x" * 300)
    time.sleep(0.3)
    # The client gave up and sends again while the server still waits for the first.
    assert put_chunk(server, identifier, 0, b"y" * 1000).is_success
    hanging.sendall(b"x" * 700)
    hanging.close()
    time.sleep(0.2)
    assert (server.data / "uploads" / identifier).read_bytes() == b"y" * 1000
    survived()


def test_truncated_duplicated_and_repeated(server, content):
    begun = server.client.post("/upload/vars_h5/initiate", json={"file_size_bytes": len(content)})
    identifier = begun.json()["upload_id"]
    chunks = [content[i : i + 1000] for i in range(0, len(content), 1000)]
    survived = tried("truncated chunk")
    short = put_chunk(server, identifier, 0, chunks[0][:-1])
    assert (short.status_code, code(short)) == (422, "VALIDATION_ERROR")
    survived()
    survived = tried("every chunk twice, in any order, six at once")
    order = [*range(len(chunks))] * 2
    random.Random(1).shuffle(order)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = [*pool.map(lambda i: put_chunk(server, identifier, i, chunks[i]), order)]
    # Of two at the same moment the earlier may learn that it was overtaken.
    assert {a.status_code for a in answers} <= {200, 499}
    survived()
    survived = tried("complete four times at once")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = [*pool.map(lambda _: server.client.post(f"/upload/{identifier}/complete"), range(4))]
    assert {a.status_code for a in done} == {200}
    assert (server.data / "uploads" / identifier).read_bytes() == content
    survived()


def test_an_expired_upload(tmp_path, content):
    survived = tried("expired upload")
    with ServerProcess(tmp_path / "data", "--upload-hours", "0") as server:
        identifier = upload(server, "vars_h5", b"", complete=False)
        time.sleep(0.05)
        answer = put_chunk(server, identifier, 0, b"x")
        assert (answer.status_code, code(answer)) == (410, "UPLOAD_EXPIRED")
        answer = server.client.post(f"/upload/{identifier}/complete")
        assert answer.status_code == 410
        survived()


def test_killed_in_mid_poll(tmp_path):
    """A slow job, the server killed three times: no cluster annotated twice, all labels there."""
    markers = {f"c{i:02}": ["CD3D"] for i in range(12)}
    calls = tmp_path / "calls"
    environment = {"SLOW_MODEL_SECONDS": "0.15", "SLOW_MODEL_CALLS": str(calls)}
    with ServerProcess(tmp_path / "data", plug=PLUG, environment=environment) as server:
        job = submit(server, markers, llm_configs=CONFIGS)
        for _ in range(3):
            before = len(calls.read_text().split()) if calls.exists() else 0
            while len(calls.read_text().split() if calls.exists() else []) < before + 3:
                time.sleep(0.02)
            survived = tried("kill -9 in mid-poll, keys given again")
            server.restart()
            status = server.client.get(f"/status/{job}").json()
            assert status["jobStatus"] == "credentials_required"
            done = [c for c, s in status["clusterStatus"].items() if s == "completed"]
            assert len(done) >= before
            answer = server.client.post(f"/jobs/{job}/credentials", json={"llm_configs": CONFIGS})
            assert answer.status_code == 200
            survived()
        server.wait_for(job)
        assert labels(server, job) == {c: f"label {c}" for c in markers}
        # The cluster that was requested when it was killed may be requested again.
        requests = Counter(calls.read_text().split())
        assert sum(requests.values()) <= len(markers) + 3
        for path in server.data.rglob("*"):
            assert not path.is_file() or b"canary" not in path.read_bytes(), path
        assert "canary" not in server.log.read_text()


def test_killed_at_any_moment_no_accepted_job_is_lost(server):
    """Eight clients submit while the server is killed four times at random moments."""
    accepted, stop = [], threading.Event()

    def client(number):
        sent = 0
        while not stop.is_set():
            key = {"Idempotency-Key": f"{number}-{sent}"}
            try:
                accepted.append(submit(server, headers=key))
                sent += 1
            except (httpx.HTTPError, AssertionError, RuntimeError):
                time.sleep(0.05)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    moment = random.Random(5)
    survivals = []
    for _ in range(4):
        time.sleep(0.3 + moment.random())
        survivals.append(tried("kill -9 while jobs are submitted"))
        server.restart()
    stop.set()
    for thread in threads:
        thread.join()
    assert len(accepted) == len(set(accepted)) > 10
    expected = annotate_clusters(MARKERS, tissue="blood", progress=False).labels()
    for job in accepted:
        server.wait_for(job)
        assert labels(server, job) == expected
    for survived in survivals:
        survived()


def test_killed_in_mid_lookup(content, tmp_path):
    """Killed while artifacts are read; the answer is the same as undisturbed."""
    with ServerProcess(tmp_path / "data") as server:
        killed_in_mid_lookup(server, content, tmp_path)


def killed_in_mid_lookup(server, content, tmp_path):
    files = {
        "vars_h5": upload(server, "vars_h5", content),
        "obs_duckdb": upload(server, "obs_duckdb", write_obs_duckdb(tmp_path / "obs").read_bytes()),
    }
    undisturbed = submit(server, uploaded_files=files)
    server.wait_for(undisturbed)
    expected = server.client.get(f"/results/{undisturbed}").json()
    for delay in (0.0, 0.02, 0.1, 0.3):
        job = submit(server, uploaded_files=files)
        time.sleep(delay)
        survived = tried("kill -9 in mid-job with artifacts")
        server.restart()
        server.wait_for(job)
        found = server.client.get(f"/results/{job}").json()
        for one in (found, expected):
            one["provenance"] = None
        assert found == expected
        survived()


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc, which is Linux")
def test_no_helper_process_outlives_a_killed_server(server, content):
    upload(server, "vars_h5", content)
    children = [
        int(p.name) for p in Path("/proc").glob("[0-9]*") if parent(p) == server.process.pid
    ]
    assert children
    survived = tried("helper processes of a killed server")
    server.kill()
    end = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < end
        time.sleep(0.05)
    server.start()
    survived()


def parent(process):
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_counts_are_printed(capsys):
    with capsys.disabled():
        counts = ", ".join(f"{name} {SURVIVED[name]}/{n}" for name, n in TRIED.items())
        total = f"{sum(TRIED.values())} tried, {sum(SURVIVED.values())} survived"
        sys.stdout.write(f"\nserver faults: {total} ({counts})\n")
    assert SURVIVED == TRIED
