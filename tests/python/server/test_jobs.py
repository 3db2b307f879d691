"""Jobs: accepted once, resumed, keys in memory only. In this process, with our own threads."""

import dataclasses
import time

import orjson
import pytest

import server_engine  # noqa: F401
from cellferry.engines import ENGINES
from cellferry.server.failures import Code, Failure
from cellferry.server.jobs.payload import read_submission
from cellferry.server.jobs.queue import Jobs
from cellferry.server.lookup.process import Readers
from cellferry.server.settings import Settings
from cellferry.server.store import Store, new_id
from server_process import MARKERS, submission

CONFIGS = [{"provider": "openai", "name": "m", "apiKey": "canary-4711"}]


class Running:
    """A data folder and the jobs on it; ``again`` is a restart."""

    def __init__(self, folder):
        self.settings = Settings(folder, free_bytes=0)
        self.readers = Readers()
        self.begin()

    def begin(self, start=True):
        self.store = Store(self.settings.data)
        self.jobs = Jobs(self.settings, self.store, self.readers)
        if start:
            self.jobs.start()

    def end(self):
        self.jobs.stop()
        self.store.close()

    def again(self):
        self.end()
        self.begin()

    def submit(self, key=None, **parts):
        body = orjson.dumps(submission(**parts))
        return self.jobs.submit(read_submission(body, self.settings), key)

    def wait(self, identifier, *states):
        end = time.monotonic() + 30
        while (job := self.jobs.records.find(identifier)).state not in states:
            assert time.monotonic() < end, self.jobs.status(job)
            time.sleep(0.01)
        return job


@pytest.fixture
def running(tmp_path, monkeypatch):
    monkeypatch.setitem(ENGINES, "llm", {"clusters": "server_engine:SlowModel"})
    found = Running(tmp_path / "data")
    yield found
    found.end()
    found.readers.close()


def refusal(function, *arguments, **named):
    with pytest.raises(Failure) as caught:
        function(*arguments, **named)
    return caught.value.code


def test_a_job_is_answered(running):
    job = running.wait(running.submit(), "completed")
    assert running.jobs.status(job) == {
        "jobStatus": "completed",
        "clusterStatus": dict.fromkeys(MARKERS, "completed"),
    }
    assert running.jobs.annotations(job).labels()["0"] == "B cell"
    assert orjson.loads(running.jobs.results_path(job).read_bytes())["studyContext"] == "blood"
    assert running.jobs.artifacts(job) == {}


def test_one_failed_cluster_does_not_fail_the_job(running):
    markers = {"a": ["CD3D"], "broken": ["CD3E"], "empty": [], "z": ["LYZ"]}
    job = running.wait(running.submit(markers=markers, llm_configs=CONFIGS), "completed")
    states = running.jobs.status(job)["clusterStatus"]
    assert states == {
        "a": "completed",
        "broken": "failed",
        "empty": "completed",
        "z": "completed",
    }


def test_a_job_without_any_answer_fails_and_says_why(running):
    markers = {"broken": ["CD3D"]}
    job = running.wait(running.submit(markers=markers, llm_configs=CONFIGS), "failed")
    status = running.jobs.status(job)
    assert status["clusterStatus"] == {"broken": "failed"}
    assert "No cluster was answered" in status["message"]
    assert refusal(running.jobs.results_path, job) is Code.JOB_FAILED


def test_an_error_of_all_clusters_fails_the_job_with_its_message(running):
    wrong = [{**CONFIGS[0], "apiKey": "wrong"}]
    job = running.wait(running.submit(llm_configs=wrong), "failed")
    assert running.jobs.status(job)["message"] == "The key was refused."


def test_the_same_key_is_the_same_job(running):
    first = running.submit(key="k")
    assert running.submit(key="k") == first
    assert refusal(running.submit, key="k", studyInfo="other") is Code.JOB_CONFLICT
    assert running.submit(key="l") != first


def test_the_same_request_twice_at_the_same_moment_is_one_job(running, monkeypatch):
    first = running.submit(key="k")
    # The second did not see the first when it looked, and is refused by the database.
    seen = iter([None])
    records = running.jobs.records
    known = records.of_request
    monkeypatch.setattr(records, "of_request", lambda key: next(seen, known(key)))
    assert running.submit(key="k") == first
    assert [p.name for p in (running.store.folder / "jobs").iterdir()] == [first]


def test_unfinished_jobs_go_on_after_a_restart(running):
    running.end()
    running.begin(start=False)
    ids = [running.submit() for _ in range(3)]
    running.jobs.records.set_state(ids[0], "processing")
    running.again()
    for identifier in ids:
        running.wait(identifier, "completed")


def test_folders_of_jobs_that_were_never_accepted_are_removed(running):
    left, stray = (running.store.job_folder(name) for name in (new_id(), "stray"))
    left.mkdir()
    stray.mkdir()
    running.again()
    assert not left.exists()
    assert stray.exists()  # a name that is not ours


def test_an_answer_that_only_the_journal_has_is_shown_after_a_kill(running):
    identifier = running.submit(llm_configs=CONFIGS)
    running.wait(identifier, "completed")
    running.end()
    running.begin(start=False)
    # Killed after the second of three answers, before the database heard of it.
    journal = running.store.job_folder(identifier) / "run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:9])
    running.jobs.records.set_clusters(identifier, dict.fromkeys(MARKERS, "processing"))
    running.jobs.records.set_state(identifier, "processing")
    running.jobs.start()
    states = running.jobs.status(running.jobs.records.find(identifier))
    assert states["jobStatus"] == "credentials_required"
    assert states["clusterStatus"] == {"0": "completed", "1": "completed", "2": "pending"}


def test_a_job_that_the_server_left_was_not_interrupted_by_its_user(running, monkeypatch):
    monkeypatch.setenv("SLOW_MODEL_SECONDS", "0.2")
    identifier = running.submit(llm_configs=CONFIGS)
    while running.jobs.records.clusters(identifier)["0"] != "completed":
        time.sleep(0.01)
    running.jobs.stop()
    assert not any(thread.is_alive() for thread in running.jobs._threads)
    stored = orjson.loads((running.store.job_folder(identifier) / "run/run.json").read_bytes())
    assert (stored["status"], stored.get("error")) == ("unfinished", None)
    assert running.jobs.records.find(identifier).state == "processing"


def test_a_job_that_lost_its_keys_waits_for_them(running, monkeypatch, tmp_path):
    monkeypatch.setenv("SLOW_MODEL_SECONDS", "0.2")
    calls = tmp_path / "calls"
    monkeypatch.setenv("SLOW_MODEL_CALLS", str(calls))
    identifier = running.submit(key="k", llm_configs=CONFIGS)
    while running.jobs.records.clusters(identifier)["0"] != "completed":
        time.sleep(0.01)
    running.again()
    job = running.jobs.records.find(identifier)
    status = running.jobs.status(job)
    assert status["jobStatus"] == "credentials_required"
    assert f"/jobs/{identifier}/credentials" in status["message"]
    assert status["clusterStatus"]["0"] == "completed"
    assert refusal(running.jobs.results_path, job) is Code.JOB_NOT_COMPLETED
    assert refusal(running.jobs.give_keys, job, ()) is Code.LLM_VALIDATION_FAILED
    # The same request once more brings the keys along.
    assert running.submit(key="k", llm_configs=CONFIGS) == identifier
    job = running.wait(identifier, "completed")
    requested = calls.read_text().split()
    assert (requested.count("0"), set(requested)) == (1, set(MARKERS))
    assert refusal(running.jobs.give_keys, job, CONFIGS) is Code.JOB_CONFLICT
    assert running.jobs._keys == {}
    stored = [p for p in running.store.folder.rglob("*") if p.is_file()]
    assert not [p for p in stored if b"canary" in p.read_bytes()]


def test_finished_jobs_are_kept_unless_a_number_of_days_is_set(running):
    identifier = running.submit()
    running.wait(identifier, "completed")
    running.jobs.expire()
    assert running.store.job_folder(identifier).is_dir()
    running.settings = dataclasses.replace(running.settings, keep_days=0)
    running.end()
    running.begin(start=False)
    running.jobs.expire()
    assert not running.store.job_folder(identifier).exists()
    assert refusal(running.jobs.records.find, identifier) is Code.JOB_NOT_FOUND


def test_what_cannot_be_accepted_leaves_nothing(running):
    uploads = {"vars_h5": "8c5b2d3e-0000-4000-8000-000000000000"}
    assert refusal(running.submit, uploaded_files=uploads) is Code.VALIDATION_ERROR
    assert list((running.store.folder / "jobs").iterdir()) == []
