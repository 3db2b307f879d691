import itertools
import json
import threading
import time

import pytest

from cellferry import errors
from cellferry.engines.cytetype.job import Job
from cellferry.engines.service.client import Service
from cellferry.runs.run import Run
from cellferry.runs.worker import CancelledWork, Events
from cytetype_runs import QUICK
from fault_server import FaultServer, failure

LABELS = {"0": "T cell", "1": "B cell"}


@pytest.fixture
def server():
    with FaultServer() as running:
        yield running


def request(_reuse=True):
    data = {"clusterLabels": LABELS, "markerGenes": {"0": ["CD3E"]}, "studyInfo": ""}
    return {"input_data": data, "llm_configs": None}


def job_of(server, run=None, events=None, poll=0.05, timeout=20.0):
    run = run or Run.create("cytetype")
    service = Service(server.url, retries=QUICK, read_seconds=3)
    return Job(service, run, events or Events(), poll_seconds=poll, timeout_seconds=timeout)


def submitted(server, **options):
    job = job_of(server, **options)
    job.submit(request, "key", may_reuse=False)
    return job


def never():
    raise AssertionError


def states(job="processing", **clusters):
    return json.dumps({"jobStatus": job, "clusterStatus": clusters}).encode()


def test_the_id_of_the_job_is_in_the_record_as_soon_as_it_is_known(server):
    run = Run.create("cytetype")
    job = submitted(server, run=run)
    stored = Run.open(run.id).content
    assert stored["remote_job_id"] == job.id == next(iter(server.jobs))
    assert stored["remote"]["report_url"] == f"{server.url}/report/{job.id}"


def test_a_request_that_may_have_arrived_is_sent_again_as_the_same_one(server):
    server.fault("lose", "POST", "annotate", times=3)
    submitted(server)
    assert server.count("POST", "annotate") == 4
    assert len(server.jobs) == 1


def test_two_runs_are_two_jobs(server):
    assert submitted(server).id != submitted(server).id
    assert len(server.jobs) == 2


def test_an_upload_that_is_not_known_any_more_is_sent_anew_once(server):
    reused = []

    def envelope(reuse):
        reused.append(reuse)
        return request()

    server.fault("answer", "POST", "annotate", status=404)
    job_of(server).submit(envelope, "key", may_reuse=True)
    assert reused == [True, False]
    server.fault("answer", "POST", "annotate", times=9, status=422)
    with pytest.raises(errors.ServiceRejectedError):
        job_of(server).submit(envelope, "key", may_reuse=False)


def test_every_cluster_is_reported_once_and_by_its_name(server):
    server.polls = 4
    events, seen = Events(), []
    job = submitted(server, events=events)
    found = job.follow(LABELS, never)
    events.drain(seen.append)
    progress = [(e.done, e.total, e.unit) for e in seen if e.kind == "progress"]
    assert progress == [(1, 2, "T cell"), (2, 2, "B cell")]
    assert found == {"0": "completed", "1": "completed"}


@pytest.mark.slow
def test_the_pauses_grow_to_the_interval_and_not_further(server):
    server.polls = 5
    job = submitted(server, poll=0.8)
    job.follow(LABELS, never)
    times = [r["time"] for r in server.requests if r["path"].startswith("/status")]
    pauses = [b - a for a, b in itertools.pairwise(times)]
    assert pauses[0] < 0.75
    assert max(pauses) < 1.2


def test_the_time_out_fires_and_the_job_can_still_be_followed(server):
    server.polls = 10**9
    job = submitted(server, timeout=0.5)
    begin = time.monotonic()
    with pytest.raises(errors.ServiceTimeoutError, match=job.id):
        job.follow(LABELS, never)
    assert time.monotonic() - begin < 3
    server.polls = 1
    assert set(job.follow(LABELS, never).values()) == {"completed"}


@pytest.mark.slow
def test_an_interrupt_ends_the_wait_at_once(server):
    server.polls = 10**9
    events = Events()
    job = submitted(server, events=events, poll=30)
    threading.Timer(1.0, events.cancel).start()
    begin = time.monotonic()
    with pytest.raises(CancelledWork):
        job.follow(LABELS, never)
    assert time.monotonic() - begin < 4


def test_a_service_that_does_not_know_its_job_yet_is_given_a_moment(server):
    server.fault("answer", "GET", "status", times=3, status=404)
    assert submitted(server).follow(LABELS, never)


def test_a_limit_while_waiting_is_waited_for(server):
    server.fault(
        "answer", "GET", "status", times=7, status=429, headers={"Retry-After": "0"},
        body=failure(429, "RATE_LIMIT_EXCEEDED", "20 per minute")[2],
    )  # fmt: skip
    assert submitted(server).follow(LABELS, never)


def test_a_failed_job_without_any_answer_is_an_error_and_is_submitted_anew_when_resumed(server):
    run = Run.create("cytetype")
    job = submitted(server, run=run)
    server.fault("answer", "GET", "status", status=200, body=states("failed", **{"0": "failed"}))
    with pytest.raises(errors.ServiceJobError) as caught:
        job.follow(LABELS, never)
    assert caught.value.data["clusters"] == ["0"]
    assert run.content["remote_job_id"] is None
    again = submitted(server, run=Run.open(run.id))
    assert len(server.jobs) == 2
    assert again.follow(LABELS, never)


def test_a_failed_job_with_some_answers_gives_them(server):
    both = states("failed", **{"0": "completed", "1": "failed"})
    server.fault("answer", "GET", "status", status=200, body=both)
    assert submitted(server).follow(LABELS, never) == {"0": "completed", "1": "failed"}


def test_a_failed_job_that_has_no_results_after_all_is_submitted_anew_when_resumed(server):
    run = Run.create("cytetype")
    job = submitted(server, run=run)
    both = states("failed", **{"0": "completed", "1": "failed"})
    server.fault("answer", "GET", "status", status=200, body=both)
    job.follow(LABELS, never)
    server.fault("answer", "GET", "results", status=409, body=failure(409, "JOB_FAILED", "why")[2])
    with pytest.raises(errors.ServiceJobError, match="why"):
        job.results()
    assert run.content["remote_job_id"] is None


def test_keys_that_the_service_lost_are_given_again_once(server):
    job = submitted(server)
    server.fault("answer", "GET", "status", status=200, body=states("credentials_required"))
    renewed = []

    def renew():
        renewed.append(1)
        job.renew(lambda: [{"apiKey": "k"}])

    assert job.follow(LABELS, renew)
    assert renewed == [1]
    assert server.given == {job.id: [{"apiKey": "k"}]}
    server.fault("answer", "GET", "status", 9, status=200, body=states("credentials_required"))
    with pytest.raises(errors.CredentialsRequiredError):
        job.follow(LABELS, renew)


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b'{"jobStatus": 3}', b'{"jobStatus": "x", "clusterStatus": [1]}']
)
def test_a_state_that_cannot_be_is_an_error(server, body):
    job = submitted(server)
    server.fault("answer", "GET", "status", times=99, status=200, body=body)
    with pytest.raises(errors.ServiceAnswerError):
        job.follow(LABELS, never)


def test_a_state_that_is_not_known_is_waited_through(server):
    job = submitted(server)
    server.fault("answer", "GET", "status", times=2, status=200, body=states("queued"))
    assert job.follow(LABELS, never)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"annotations": []}', b'{"annotations": null}'])
def test_results_that_cannot_be_are_an_error(server, body):
    job = submitted(server)
    job.follow(LABELS, never)
    server.fault("answer", "GET", "results", times=99, status=200, body=body)
    with pytest.raises(errors.ServiceAnswerError):
        job.results()


@pytest.mark.parametrize("body", [b"{}", b'{"job_id": ""}', b'{"job_id": "../../x"}'])
def test_an_id_that_cannot_be_is_refused(server, body):
    server.fault("answer", "POST", "annotate", times=99, status=200, body=body)
    with pytest.raises(errors.ServiceAnswerError):
        submitted(server)


@pytest.mark.parametrize("word", ["COMPLETED", "Completed", "done", "succeeded", "Finished"])
def test_final_words_count_without_case_and_by_their_meaning(server, word):
    job = submitted(server)
    both = states(word, **{"0": "Completed", "1": "DONE"})
    server.fault("answer", "GET", "status", status=200, body=both)
    assert job.follow(LABELS, never) == {"0": "completed", "1": "completed"}
    assert server.count("GET", "status") == 1


@pytest.mark.parametrize(
    "word", ["error", "cancelled", "CANCELED", "Failed", "aborted", "timed_out"]
)
def test_every_word_for_a_failure_ends_the_wait(server, word):
    job = submitted(server)
    server.fault(
        "answer", "GET", "status", times=99, status=200, body=states(word, **{"0": "error"})
    )
    with pytest.raises(errors.ServiceJobError, match="gave up") as caught:
        job.follow(LABELS, never)
    assert caught.value.data["clusters"] == ["0"]
    assert server.count("GET", "status") == 1
    assert (f'"{word}"' in caught.value.message) == (word != "Failed")


def test_the_words_of_the_service_are_in_the_error(server):
    job = submitted(server)
    body = json.dumps({"jobStatus": "error", "error": "no model answered"}).encode()
    server.fault("answer", "GET", "status", times=99, status=200, body=body)
    with pytest.raises(errors.ServiceJobError, match="no model answered"):
        job.follow(LABELS, never)


@pytest.mark.parametrize("word", ["unknown", "weird", None, ""])
def test_a_word_that_nobody_knows_is_warned_of_once_and_soon_ends_the_wait(
    server, monkeypatch, word
):
    monkeypatch.setattr("cellferry.engines.cytetype.job.UNKNOWN_SECONDS", 0.2)
    run = Run.create("cytetype")
    job = submitted(server, run=run)
    server.fault("answer", "GET", "status", times=999, status=200, body=states(word))
    with (
        pytest.warns(errors.ServiceWordsWarning, match="no state that is known") as warned,
        pytest.raises(errors.ServiceAnswerError, match="nothing changes") as caught,
    ):
        job.follow(LABELS, never)
    assert len(warned) == 1
    assert "Resume the run" in caught.value.hint
    # The job may be under way all the same: it can be looked at again.
    assert run.content["remote_job_id"] == job.id


def test_a_word_that_nobody_knows_does_not_lose_clusters_that_are_finished(server):
    job = submitted(server)
    both = states("weird", **{"0": "completed", "1": "failed"})
    server.fault("answer", "GET", "status", status=200, body=both)
    with pytest.warns(errors.ServiceWordsWarning):
        assert job.follow(LABELS, never) == {"0": "completed", "1": "failed"}


def test_states_may_be_a_list_or_named_by_label(server):
    job = submitted(server)
    listed = [{"cluster": "T cell", "status": "Completed"}, {"cluster": "B cell", "state": "ERROR"}]
    body = json.dumps({"jobStatus": "completed", "clusterStatus": listed}).encode()
    server.fault("answer", "GET", "status", status=200, body=body)
    assert job.follow(LABELS, never) == {"0": "completed", "1": "failed"}


def test_the_id_of_a_job_may_be_a_number(server):
    run = Run.create("cytetype")
    server.fault("answer", "POST", "annotate", status=200, body=b'{"job_id": 4711}')
    assert submitted(server, run=run).id == "4711"
    assert Run.open(run.id).content["remote_job_id"] == "4711"


@pytest.mark.parametrize("given", ["true", "null", "4.5", "[]", '""'])
def test_what_is_no_id_of_a_job_is_refused(server, given):
    server.fault("answer", "POST", "annotate", status=200, body=b'{"job_id": %s}' % given.encode())
    with pytest.raises(errors.ServiceAnswerError):
        submitted(server)


@pytest.mark.parametrize("key", ["clusterId", "cluster_id", "cluster", "clusterLabel"])
def test_results_may_be_a_list(server, key):
    job = submitted(server)
    entry = {"latest": {"annotation": {"annotation": "T cell"}}}
    body = json.dumps({"annotations": [{key: 0, **entry}, {key: "B cell", **entry}]}).encode()
    server.fault("answer", "GET", "results", status=200, body=body)
    assert set(job.results()["annotations"]) == {"0", "B cell"}
