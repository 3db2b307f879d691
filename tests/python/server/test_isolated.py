"""A job under which servers ended is worked on alone: then it is known whose fault it was."""

import contextlib
import os
import signal
import threading
import time

import httpx
import orjson
import pytest

from cellferry.annotations.clusters import Annotations
from cellferry.runs.worker import CancelledWork
from cellferry.server.failures import Code, Failure
from cellferry.server.jobs.isolated import MOST_ENDS, Isolation, Task, _request, _task, work_on
from cellferry.server.jobs.payload import read_submission
from cellferry.server.jobs.queue import MOST_ENDS_OF_SERVER
from cellferry.server.lookup.process import Readers
from cellferry.server.settings import Settings
from paths import PACKAGE, SUPPORT
from server_process import MARKERS, ServerProcess, submission, submit

CONFIGS = [
    {
        "provider": "openai",
        "name": "m",
        "apiKey": "canary-4711",
        "modelSettings": {"temperature": 0},
        "targetAgents": ["annotator"],
    }
]

# A fault of the machine, not of Python: whoever works on this cluster is killed, server or not.
POISON = """
import os, signal, time
from cellferry.engines.local import Local
honest = Local.run
def run(self, study, run, events):
    if "poison" in study.clusters.names:
        with open(os.environ["POISONED"], "a") as file:
            file.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(os.environ.get("SLOW", "0")))
    return honest(self, study, run, events)
Local.run = run
"""


@pytest.fixture
def poisoned(tmp_path, monkeypatch):
    """Every Python below this process has the fault."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(POISON, encoding="utf-8")
    paths = [str(folder), str(SUPPORT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setenv("POISONED", str(tmp_path / "poisoned"))
    return tmp_path / "poisoned"


def made(folder, markers=MARKERS, **parts):
    """Return the task of a job in a folder."""
    folder.mkdir()
    found = read_submission(
        orjson.dumps(submission(markers, **parts)),
        Settings(folder, base_urls=("http://localhost:9",)),
    )
    found.job.save(folder)
    return Task(folder, {}, 2, found.llm_configs)


def test_a_task_comes_over_whole(tmp_path):
    task = made(tmp_path / "job", llm_configs=CONFIGS)
    back = _task(_request(task))
    assert (back.folder, back.parallel) == (task.folder, 2)
    assert [c.to_wire() for c in back.configs] == [c.to_wire() for c in task.configs]
    assert [c.target_agents for c in back.configs] == [("annotator",)]
    assert "canary" not in repr(back)


@pytest.mark.process
def test_a_process_of_its_own_answers_as_the_server_does(tmp_path):
    readers, seen = Readers(), []
    here = made(tmp_path / "here")
    expected = work_on(here, readers, lambda event: None)
    readers.close()
    alone = made(tmp_path / "alone")
    found = Isolation().work_on(alone, seen.append)
    assert found == expected
    assert {e.unit for e in seen if e.kind == "progress"} == {*MARKERS}
    rows = [
        Annotations.from_json((t.folder / "annotations.json").read_text(encoding="utf-8")).rows
        for t in (here, alone)
    ]
    assert rows[0] == rows[1]


@pytest.mark.process
def test_an_error_of_the_work_is_no_end_of_its_process(tmp_path):
    task = made(tmp_path / "job")
    (task.folder / "run").write_text("no folder", encoding="utf-8")
    with pytest.raises((Failure, RuntimeError)) as caught:
        Isolation().work_on(task, lambda event: None)
    assert "exit code" not in str(caught.value)


@pytest.mark.process
def test_a_job_that_kills_its_process_is_given_up(tmp_path, poisoned):
    task = made(tmp_path / "job", {"poison": MARKERS["0"]})
    with pytest.raises(Failure) as caught:
        Isolation().work_on(task, lambda event: None)
    assert caught.value.code is Code.JOB_FAILED
    assert "alone 3 times, the last time with the exit code -9" in caught.value.message
    assert len(poisoned.read_text()) == MOST_ENDS


@pytest.mark.process
def test_a_server_that_stops_does_not_wait_and_blames_nobody(tmp_path, poisoned, monkeypatch):
    monkeypatch.setenv("SLOW", "60")
    isolation, begun = Isolation(), time.monotonic()

    def stopped(_event):
        # As the queue does: nobody is blamed for an end that the server wanted.
        if isolation._closed:
            raise CancelledWork

    threading.Timer(2, isolation.close).start()
    with pytest.raises(CancelledWork):
        isolation.work_on(made(tmp_path / "job"), stopped)
    assert time.monotonic() - begun < 30


def server_of(tmp_path, **environment):
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(PACKAGE)])
    return ServerProcess(tmp_path / "data", environment={"PYTHONPATH": paths, **environment})


def started(server):
    """Start a server again; whether it was asked before it ended."""
    server._ended()
    try:
        server.start()
    except Exception:
        return False
    return True


@pytest.mark.process
@pytest.mark.slow
def test_a_job_that_kills_its_server_is_given_up_and_no_other(tmp_path, poisoned):
    key = {"Idempotency-Key": "k"}
    server = server_of(tmp_path).start()
    try:
        # The server may end before it answers; the key makes it one job.
        with contextlib.suppress(httpx.HTTPError):
            submit(server, {"poison": MARKERS["0"]}, key)
        for _ in range(MOST_ENDS_OF_SERVER):
            assert server.process.wait(timeout=30) == -signal.SIGKILL
            asked = started(server)
        assert asked
        good, bad = submit(server), submit(server, {"poison": MARKERS["0"]}, key)
        server.wait_for(good)
        end = time.monotonic() + 60
        while (status := server.client.get(f"/status/{bad}").json())["jobStatus"] != "failed":
            assert time.monotonic() < end, status
            time.sleep(0.05)
        assert "ended the process that worked on it alone 3 times" in status["message"]
        assert server.process.poll() is None
    finally:
        server.stop()
    assert len(poisoned.read_text()) == MOST_ENDS_OF_SERVER + MOST_ENDS


@pytest.mark.process
@pytest.mark.slow
def test_a_job_that_was_at_work_when_servers_were_killed_is_answered(tmp_path, poisoned):
    """As `make attack` found it: 20 kills by somebody else, and the job was given up."""
    server = server_of(tmp_path, SLOW="60").start()
    try:
        job = submit(server)
        for _ in range(21):
            server.wait_for(job, "processing")
            server.restart()
        server._environment["SLOW"] = "0"
        server.restart()
        server.wait_for(job)
    finally:
        server.stop()
