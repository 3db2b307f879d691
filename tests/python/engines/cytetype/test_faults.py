"""Every fault between client and server: the labels are right, or the run can be resumed.

The last test prints how many faults were tried, survived at once, and finished by resuming.
"""

import os
import signal
import sys

import pytest

from cellferry import errors
from cellferry.annotate import resume
from cellferry.runs.run import Run
from cytetype_runs import (
    assert_labels_are_right,
    newest_run,
    outcome,
    python_process,
    run_engine,
    wait_until,
)
from fault_server import FaultServer
from server_process import ServerProcess

pytestmark = pytest.mark.process


STEPS = {
    "initiate": ("POST", "/upload/vars_h5/initiate$"),
    "part": ("PUT", "/chunk/1$"),
    "complete": ("POST", "/complete$"),
    "annotate": ("POST", "^/annotate$"),
    "status": ("GET", "^/status/"),
    "results": ("GET", "^/results/"),
}
PAGE = {"Content-Type": "text/html"}
FAULTS = {
    "drop": ("drop", {}),
    "drops": ("drop", {"times": 4}),
    "lost answer": ("lose", {}),
    "truncated": ("truncate", {}),
    "garbled": ("garble", {}),
    "duplicated": ("duplicate", {"times": 9}),
    "delay": ("delay", {"seconds": 0.3}),
    "429 at once": ("answer", {"status": 429, "headers": {"Retry-After": "0"}}),
    "429 seconds": ("answer", {"status": 429, "headers": {"Retry-After": "1"}}),
    "429 alone": ("answer", {"status": 429, "times": 2}),
    "500 burst": ("answer", {"status": 500, "times": 4}),
    "502 page": ("answer", {"status": 502, "headers": PAGE, "body": b"<html>Bad gateway</html>"}),
    "503": ("answer", {"status": 503, "headers": {"Retry-After": "0"}, "times": 2}),
    "wrong json": ("answer", {"status": 200, "body": b'{"job', "times": 2}),
}
STAYS = {
    "401": (401, b'{"detail": "Not authenticated"}', errors.ServiceCredentialsError),
    "403": (
        403, b'{"detail": {"error_code": "ACCESS_DENIED", "message": "no"}}',
        errors.ServiceForbiddenError,
    ),
    "413": (413, b"", errors.ServiceTooLargeError),
    "page": (200, b"<!doctype html>sign in", errors.ServicePageError),
    "list": (200, b"[1]", errors.ServiceAnswerError),
    "record without members": (200, b"{}", errors.ServiceAnswerError),
    "redirect": (307, b"", errors.ServiceRedirectError),
    "500 for ever": (500, b"", errors.ServiceFailedError),
}  # fmt: skip
COUNTS = {"tried": 0, "survived": 0, "resumed": 0}


def faulty(server, name, step):
    kind, details = FAULTS[name]
    server.fault(kind, *STEPS[step], **details)
    COUNTS["tried"] += 1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", FAULTS)
def test_what_passes_is_survived_and_the_labels_are_right(name, step):
    with FaultServer(chunk_size=200_000) as server:
        faulty(server, name, step)
        found = run_engine(server)
        assert_labels_are_right(server, found)
        assert all(f.done for f in server.faults)
        assert len(server.jobs) == 1
        assert [r.status for r in found] == ["ok"] * 4
        COUNTS["survived"] += 1


# A part is confirmed by its status alone, so that its body can be any JSON.
ANY_BODY = {("list", "part"), ("record without members", "part")}


@pytest.mark.parametrize(
    ("name", "step"), [(n, s) for n in STAYS for s in STEPS if (n, s) not in ANY_BODY]
)
def test_what_stays_is_an_explicit_error_and_the_run_can_be_resumed(name, step):
    status, body, cls = STAYS[name]
    with FaultServer(chunk_size=200_000) as server:
        location = {"Location": "https://example.org/x"} if status == 307 else {}
        server.fault("answer", *STEPS[step], times=10**6, status=status, body=body,
                     headers=location)  # fmt: skip
        COUNTS["tried"] += 1
        with pytest.raises(cls) as caught:
            run_engine(server, timeout_seconds=1.5)
        assert caught.value.hint
        run = Run.open(caught.value.data["run"])
        assert run.content["status"] == "failed"
        server.faults.clear()
        found = resume(run.id)
        assert_labels_are_right(server, found)
        assert len(server.jobs) == 1
        COUNTS["resumed"] += 1


@pytest.mark.parametrize("name", ["drop", "lost answer", "500 burst", "429 at once"])
def test_faults_of_the_storage_are_survived(name):
    with FaultServer(chunk_size=200_000, mode="presigned") as server:
        kind, details = FAULTS[name]
        server.fault(kind, "PUT", "/1\\?X-Amz", **details)
        COUNTS["tried"] += 1
        assert_labels_are_right(server, run_engine(server))
        COUNTS["survived"] += 1


@pytest.mark.parametrize("status", [400, 403])
def test_an_expired_address_of_the_storage_begins_the_upload_anew(status):
    with FaultServer(chunk_size=200_000, mode="presigned") as server:
        server.fault("answer", "PUT", "/1\\?X-Amz", status=status, body=b"<Error>Expired</Error>")
        COUNTS["tried"] += 1
        assert_labels_are_right(server, run_engine(server))
        assert server.count("POST", "initiate$") == 3
        COUNTS["survived"] += 1


def test_a_part_that_the_storage_does_not_confirm_is_sent_again():
    with FaultServer(chunk_size=200_000, mode="presigned") as server:
        server.fault("answer", "PUT", "/1\\?X-Amz", status=200, times=2)
        COUNTS["tried"] += 1
        assert_labels_are_right(server, run_engine(server))
        COUNTS["survived"] += 1


def test_an_upload_that_expires_before_the_job_is_sent_again():
    with FaultServer(chunk_size=200_000) as server:
        run_engine(server)
        server.uploads.clear()  # the server forgot what our record still names
        COUNTS["tried"] += 1
        found = run_engine(server)
        assert_labels_are_right(server, found)
        COUNTS["survived"] += 1


@pytest.mark.parametrize("where", ["upload", "poll"])
def test_a_client_that_is_killed_goes_on_in_another_process(where):
    """kill -9 in mid-upload and in mid-poll; a new process finishes with the id alone."""
    with FaultServer(chunk_size=20_000, polls=10**9) as server:
        path = "/chunk/(5|6)$" if where == "upload" else "^/status"
        method = "PUT" if where == "upload" else "GET"
        server.fault("delay", method, path, times=4, seconds=3)
        client = python_process(
            """
            import os
            from types import SimpleNamespace
            run_engine(SimpleNamespace(url=os.environ["SERVER"]), upload_max_workers=2)
            """,
            SERVER=server.url,
        )
        COUNTS["tried"] += 1
        wait_until(lambda: server.faults[0].done >= 1)
        wait_until(lambda: server.count("PUT", "/chunk/4$") >= 1)
        os.kill(client.pid, signal.SIGKILL)
        client.wait(10)
        run = newest_run()
        assert run.content["status"] == "unfinished"
        assert run.content["provenance"] == {}
        done = len(run.finished())
        sent = server.count("PUT", "/chunk/")
        server.polls = 2
        server.faults.clear()
        other = python_process(
            """
            from cellferry.annotate import resume
            found = resume(newest_run().id)
            print(json.dumps(found.labels()))
            """
        )
        labels = outcome(other)
        assert set(labels) == {"0", "1", "10", "2"}
        assert_labels_are_right(server, Run.open(run.id).results())
        assert len(server.jobs) == 1
        assert done > 0
        if where == "upload":
            # Only what was under way when it was killed is sent a second time.
            repeated = [r["path"] for r in server.requests if r["method"] == "PUT"]
            assert len(repeated) - len(set(repeated)) <= 2
            assert server.count("POST", "vars_h5/initiate$") == 1
        else:
            assert server.count("PUT", "/chunk/") == sent
            assert server.count("POST", "^/annotate$") == 1
        COUNTS["resumed"] += 1


# --- with a real `cellferry serve` behind the faults -----------------------------------------


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    options = ("--chunk-size", "200K", "--signed-parts")
    with ServerProcess(tmp_path_factory.mktemp("faults") / "data", *options) as found:
        yield found


@pytest.fixture(scope="module")
def undisturbed(serve, tmp_path_factory):
    """What the server answers when nothing happens."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELLFERRY_HOME", str(home))
        return run_engine(serve).labels()


REAL_STEPS = {**STEPS, "part": ("PUT", "^/part/.*/1[?]")}
CASES = [(n, s) for i, n in enumerate(FAULTS) for j, s in enumerate(STEPS) if (i + j) % 2 == 0]


@pytest.mark.parametrize(("name", "step"), CASES)
def test_what_passes_before_a_real_server_is_survived(name, step, serve, undisturbed):
    with FaultServer(upstream=serve.url) as proxy:
        kind, details = FAULTS[name]
        proxy.fault(kind, *REAL_STEPS[step], **details)
        COUNTS["tried"] += 1
        found = run_engine(proxy)
        assert found.labels() == undisturbed
        assert all(f.done for f in proxy.faults)
        # Whatever was lost on the way, the server has the job once.
        keys = {r["headers"]["Idempotency-Key"] for r in proxy.requests if r["path"] == "/annotate"}
        assert len(keys) == 1
        COUNTS["survived"] += 1


def test_the_counts_are_printed(capsys):
    with capsys.disabled():
        listed = ", ".join(f"{n} {name}" for name, n in COUNTS.items())
        sys.stdout.write(f"\nclient faults: {listed}\n")
    assert COUNTS["tried"] == COUNTS["survived"] + COUNTS["resumed"]
