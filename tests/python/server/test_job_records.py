"""What the database knows of jobs."""

import sqlite3

import pytest

from cellferry.server.failures import Code, Failure
from cellferry.server.jobs.records import JobRecords
from cellferry.server.store import Store, new_id


@pytest.fixture
def records(tmp_path):
    store = Store(tmp_path / "data")
    yield JobRecords(store)
    store.close()


def insert(records, uploads=None, key=None, most_waiting=10):
    identifier = new_id()
    records.insert(
        identifier,
        ["b", "a"],
        uploads or {},
        visibility="private",
        needs_keys=False,
        request_key=key,
        request_hash="h",
        most_waiting=most_waiting,
    )
    return identifier


def add_upload(records, kind="vars_h5", state="complete"):
    identifier = new_id()
    with records._store.transaction() as sql:
        sql.execute("INSERT INTO uploads VALUES (?, ?, 1, 1, ?, 0, 9e9)", (identifier, kind, state))
    return identifier


def test_a_job_and_its_clusters_in_order(records):
    job = records.find(insert(records))
    assert (job.state, job.visibility, job.error) == ("pending", "private", None)
    assert list(records.clusters(job.id).items()) == [("b", "pending"), ("a", "pending")]
    records.set_clusters(job.id, {"a": "completed"})
    assert records.clusters(job.id)["a"] == "completed"
    records.set_state(job.id, "failed", "why")
    assert records.find(job.id).error == "why"
    assert records.known() == {job.id}


def test_jobs_wait_in_the_order_of_arrival(records):
    ids = [insert(records) for _ in range(5)]
    records.set_state(ids[1], "completed")
    records.set_state(ids[2], "processing")
    records.set_state(ids[3], "credentials_required")
    assert [job.id for job in records.waiting()] == [ids[0], ids[2], ids[4]]


def test_too_many_may_not_wait(records):
    insert(records)
    with pytest.raises(Failure) as caught:
        insert(records, most_waiting=1)
    assert caught.value.code is Code.SERVER_BUSY
    assert caught.value.headers["Retry-After"]


def test_an_idempotency_key_belongs_to_one_job(records):
    identifier = insert(records, key="k")
    assert records.of_request("k").id == identifier
    assert records.of_request("other") is None
    with pytest.raises(sqlite3.IntegrityError):
        insert(records, key="k")


def test_uploads_must_be_there_complete_and_of_their_kind(records):
    upload = add_upload(records)
    job = insert(records, {"vars_h5": upload})
    assert records.uploads(job) == {"vars_h5": upload}
    for wrong in (
        {"vars_h5": new_id()},
        {"obs_duckdb": upload},
        {"vars_h5": add_upload(records, state="open")},
    ):
        with pytest.raises(Failure):
            insert(records, wrong)
    assert records.known() == {job}


def test_old_jobs_go_with_all_that_is_known_of_them(records):
    used = add_upload(records)
    old, lost, young, open_ = (insert(records, {"vars_h5": used}) for _ in range(4))
    records.set_state(old, "completed")
    records.set_state(young, "failed")
    records.set_state(lost, "credentials_required")
    with records._store.transaction() as sql:
        sql.execute("UPDATE jobs SET finished = 50 WHERE id = ?", (old,))
        sql.execute("UPDATE jobs SET created = 50 WHERE id IN (?, ?)", (lost, open_))
    assert sorted(records.expire(100)) == sorted([old, lost])
    assert records.known() == {young, open_}
    assert records.clusters(old) == records.uploads(old) == {}
    assert records.uploads(open_) == {"vars_h5": used}


@pytest.mark.parametrize("identifier", ["..", "../x", "", "x" * 999, "\x00", "' OR 1=1 --"])
def test_ids_that_are_no_ids(records, identifier):
    with pytest.raises(Failure) as caught:
        records.find(identifier)
    assert caught.value.code is Code.JOB_NOT_FOUND
