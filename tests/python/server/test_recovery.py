"""A database that is lost, empty or damaged costs no answer."""

import json
import shutil
import sqlite3

import pytest

from cellferry.errors import OutputError
from cellferry.server.jobs.recovery import journalled
from cellferry.server.service import Server
from cellferry.server.settings import Settings
from cellferry.server.store import new_id
from records_0_1_0 import JOB, JOB_OF_MODEL, JOB_OF_TABLE, bring
from server_files import write_obs_duckdb
from server_process import ServerProcess, submit, upload

DATABASE = ("server.sqlite", "server.sqlite-wal", "server.sqlite-shm")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data folder with answered jobs, one with an upload, and an upload without a job."""
    folder = tmp_path_factory.mktemp("recovery")
    data = folder / "data"
    with ServerProcess(data) as server:
        obs = upload(server, "obs_duckdb", write_obs_duckdb(folder / "obs").read_bytes())
        free = upload(server, "obs_duckdb", (folder / "obs").read_bytes())
        key = {"Idempotency-Key": "one"}
        public = submit(server, visibility="public", headers=key)
        private = submit(server, uploaded_files={"obs_duckdb": obs})
        for job in (public, private):
            server.wait_for(job)
        results = {j: server.client.get(f"/results/{j}").json() for j in (public, private)}
    return data, public, private, free, results


@pytest.mark.process
@pytest.mark.parametrize("how", ["lost", "empty"])
def test_jobs_are_taken_up_from_their_folders(made, tmp_path, how):
    before, public, private, free, results = made
    data = tmp_path / "data"
    shutil.copytree(before, data)
    (data / "jobs" / (cut := new_id())).mkdir()
    for name in DATABASE:
        (data / name).unlink(missing_ok=True)
    if how == "empty":
        (data / "server.sqlite").touch()
    with ServerProcess(data) as server:
        for job in (public, private):
            status = server.client.get(f"/status/{job}").json()
            assert status["jobStatus"] == "completed"
            assert set(status["clusterStatus"].values()) == {"completed"}
            assert server.client.get(f"/results/{job}").json() == results[job]
            assert server.client.get(f"/report/{job}").status_code == 200
        # The artifacts of the job, and its request key, are known too.
        answer = server.client.post(f"/data/{private}/counts", json={"filters": []})
        assert answer.status_code == 200, answer.text
        assert submit(server, visibility="public", headers={"Idempotency-Key": "one"}) == public
    # What nobody can say anything about is kept.
    assert (data / "set-aside" / "uploads" / free).stat().st_size
    assert (data / "set-aside" / "jobs" / cut).is_dir()


def test_a_recovery_that_is_killed_begins_anew(made, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(made[0], data)
    for name in DATABASE:
        (data / name).unlink(missing_ok=True)

    def killed(folder, sql):
        raise KeyboardInterrupt

    from cellferry.server.store import Store

    with pytest.raises(KeyboardInterrupt):
        Store(data, recover=killed)
    server = Server(Settings(data, free_bytes=0))
    assert server.jobs.records.known() == {made[1], made[2]}
    server.close()


def test_a_damaged_database_is_refused_with_what_to_do(made, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(made[0], data)
    for name in DATABASE:
        (data / name).unlink(missing_ok=True)
    (data / "server.sqlite").write_bytes(b"garbage" * 1000)
    with pytest.raises(OutputError, match="cannot be used") as caught:
        Server(Settings(data, free_bytes=0))
    assert "Or move server.sqlite" in caught.value.hint
    assert {p.name for p in (data / "jobs").iterdir()} == {made[1], made[2]}


def test_a_job_whose_input_is_damaged_is_set_aside(made, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(made[0], data)
    for name in DATABASE:
        (data / name).unlink(missing_ok=True)
    (data / "jobs" / made[1] / "input.json").write_bytes(b"{")
    server = Server(Settings(data, free_bytes=0))
    assert server.jobs.records.known() == {made[2]}
    server.close()
    assert (data / "set-aside" / "jobs" / made[1] / "results.json").exists()


def test_the_jobs_of_0_1_0_are_taken_up_too(tmp_path):
    bring(tmp_path, "server")
    data = tmp_path / "server"
    for name in DATABASE:
        (data / name).unlink(missing_ok=True)
    server = Server(Settings(data, free_bytes=0))
    found = {j: server.jobs.records.find(j).state for j in (JOB, JOB_OF_TABLE, JOB_OF_MODEL)}
    assert found == {JOB: "completed", JOB_OF_TABLE: "completed", JOB_OF_MODEL: "pending"}
    server.start()
    # It was to be answered by a language model, whose key is gone.
    assert server.jobs.records.find(JOB_OF_MODEL).state == "credentials_required"
    server.close()


def test_a_job_that_the_database_does_not_know_is_not_deleted(made, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(made[0], data)
    with sqlite3.connect(data / "server.sqlite") as sql:
        sql.execute("DELETE FROM jobs WHERE id = ?", (made[1],))
    sql.close()
    server = Server(Settings(data, free_bytes=0))
    server.start()
    server.close()
    assert (data / "set-aside" / "jobs" / made[1] / "results.json").exists()


def test_units_of_a_journal_are_read_around_its_damages(tmp_path):
    (tmp_path / "run").mkdir()
    lines = [json.dumps({"unit": "a"}), "{garbage", json.dumps([1]), json.dumps({"unit": "b"}), "{"]
    (tmp_path / "run" / "journal.jsonl").write_text("\n".join(lines))
    assert journalled(tmp_path) == {"a", "b"}
    assert journalled(tmp_path / "nowhere") == set()
