"""``/jobs/{id}/decisions``: what a person says of a cluster is added, kept, and in force."""

import json
import threading

import pytest

from server_process import ServerProcess, code, submission, submit

pytestmark = pytest.mark.process

TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("decisions") / "data") as found:
        yield found


@pytest.fixture
def job(server):
    made = submit(server)
    server.wait_for(made)
    return made


def decide(server, job, *decisions, **more):
    body = {"decisions": [{"cluster": c, **rest} for c, rest in decisions]}
    return server.client.post(f"/jobs/{job}/decisions", json=body, **more)


def results(server, job):
    return server.client.get(f"/results/{job}").json()


def latest(server, job, cluster):
    return results(server, job)["annotations"][cluster]["latest"]["annotation"]


def test_a_label_is_in_force_with_the_engines_beside_it(server, job):
    before = server.client.get(f"/results/{job}").content
    said = {"label": "Kupffer cells", "reason": "liver", "by": "AB"}
    kept = decide(server, job, ("2", said)).json()
    assert kept["job_id"] == job
    (row,) = kept["decisions"]
    assert (row["cluster"], row["decision"], row["state"]) == ("2", "relabelled", "in force")
    assert (row["ontology_id"], row["by"], row["reason"]) == ("CL:0000091", "AB", "liver")
    found = latest(server, job, "2")
    assert found["annotation"] == found["fullOutput"]["cellType"]["label"] == "Kupffer cells"
    assert (found["engineAnnotation"], found["decision"]) == ("Classical monocyte", "relabelled")
    assert found["cellOntologyTerm"] == "CL:0000091"
    assert found["granularAnnotation"] == ""
    was = json.loads(before)
    now = results(server, job)
    assert now["annotations"]["0"] == was["annotations"]["0"]
    assert list(now["annotations"]) == list(was["annotations"])
    assert "Kupffer cells" in server.client.get(f"/report/{job}").text
    again = decide(server, job, ("2", {"decision": "withdrawn"})).json()["decisions"]
    assert [row["state"] for row in again] == ["withdrawn", "in force"]
    assert latest(server, job, "2")["annotation"] == "Classical monocyte"
    assert results(server, job)["annotations"] == was["annotations"]
    assert server.client.get(f"/jobs/{job}/decisions").json()["decisions"] == again


def test_without_decisions_the_body_is_unchanged(server, job):
    path = server.data / "jobs" / job / "results.json"
    assert server.client.get(f"/results/{job}").content == path.read_bytes()
    assert server.client.get(f"/jobs/{job}/decisions").json()["decisions"] == []


def test_a_cluster_without_an_answer_can_be_given_one(server):
    job = submit(server, {"0": ["CD79A", "MS4A1", "CD79B"], "1": []})
    server.wait_for(job)
    assert "1" in results(server, job)["failures"]
    assert decide(server, job, ("1", {"label": "my own type"})).status_code == 200
    found = results(server, job)
    assert found["failures"] == {}
    assert found["summary"]["answered"] == 2
    entry = found["annotations"]["1"]["latest"]["annotation"]
    assert (entry["annotation"], entry["engineAnnotation"]) == ("my own type", "")
    assert None not in entry.values()


def test_a_restart_keeps_them(server, job):
    decide(server, job, ("0", {"decision": "accepted"}), ("1", {"decision": "needs_work"}))
    before = results(server, job)
    server.restart()
    assert results(server, job) == before
    assert before["annotations"]["1"]["latest"]["annotation"]["decision"] == "needs_work"
    rows = server.client.get(f"/jobs/{job}/decisions").json()["decisions"]
    assert [row["decision"] for row in rows] == ["accepted", "needs_work"]


REFUSED = {
    "unknown cluster": ([("9", {"label": "B cell"})], "no cluster '9'"),
    "twice": ([("0", {"label": "B cell"}), ("0", {"label": "T cell"})], "two labels"),
    "empty": ([("0", {"label": " "})], "is empty"),
    "nothing said": ([("0", {})], "no label"),
    "no decision": ([("0", {"decision": "maybe"})], "must be one of"),
    "contradiction": ([("0", {"label": "B cell", "decision": "unknown"})], "there is no label"),
    "control": ([("0", {"label": "B\u202ecell"})], "U+202E"),
    "zero": ([("0", {"label": "B cell", "reason": "a\u0000b"})], "U+0000"),
    "long": ([("0", {"label": "x" * 300})], "at most 200"),
    "no term": ([("0", {"label": "B cell", "ontology_id": "CL:9"})], "no term"),
    "nothing to withdraw": ([("0", {"decision": "withdrawn"})], "nothing was decided"),
    "half": ([("0", {"label": "B cell"}), ("9", {"label": "T cell"})], "no cluster '9'"),
}


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_not_valid_is_refused_and_nothing_is_kept(server, job, which):
    decisions, words = REFUSED[which]
    answer = decide(server, job, *decisions)
    assert (answer.status_code, code(answer)) == (422, "VALIDATION_ERROR"), answer.text
    assert words in answer.json()["detail"]["message"]
    assert server.client.get(f"/jobs/{job}/decisions").json()["decisions"] == []


def test_decisions_about_cells_are_refused_however_many(server, job):
    cells = {"decisions": [{"cells": [f"c{i}"], "label": "B cell"} for i in range(100_000)]}
    before = server.memory_bytes()
    answer = server.client.post(f"/jobs/{job}/decisions", json=cells)
    assert (answer.status_code, code(answer)) == (413, "PAYLOAD_TOO_LARGE")
    few = {"decisions": [{"cluster": "0", "label": "a"} for _ in range(2001)]}
    answer = server.client.post(f"/jobs/{job}/decisions", json=few)
    assert "may have 2000 entries" in answer.json()["detail"]["message"]
    answer = server.client.post(
        f"/jobs/{job}/decisions", json={"decisions": [{"cells": ["a"], "label": "B cell"}]}
    )
    assert "must have `cluster`" in answer.json()["detail"]["message"]
    assert server.memory_bytes() - before < 100 * 1024**2


def test_two_writers_at_once_lose_nothing(server, job):
    done = []

    def write(cluster):
        for i in range(10):
            answer = decide(server, job, (cluster, {"label": "B cell", "reason": f"{i}"}))
            done.append(answer.status_code)

    threads = [threading.Thread(target=write, args=(c,)) for c in ("0", "1")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = server.client.get(f"/jobs/{job}/decisions").json()["decisions"]
    assert done == [200] * 20
    assert sorted((r["cluster"], r["reason"]) for r in rows) == sorted(
        (c, str(i)) for c in ("0", "1") for i in range(10)
    )


def test_a_folder_that_cannot_be_written_is_a_clear_error(server, job):
    (server.data / "jobs" / job / ".decisions.jsonl.lock").mkdir()
    answer = decide(server, job, ("0", {"label": "Plasma cell"}))
    assert answer.status_code == 500
    assert "The decisions cannot be kept" in answer.json()["detail"]["message"]
    assert str(server.data) not in answer.text
    assert latest(server, job, "0")["annotation"] != "Plasma cell"


def test_a_damaged_line_costs_that_line(server, job):
    decide(server, job, ("0", {"label": "Plasma cell"}))
    path = server.data / "jobs" / job / "decisions.jsonl"
    with path.open("a") as file:
        file.write('{"half": \n[]\n{"action": "relabelled", "label": "x"}\n')
    decide(server, job, ("1", {"label": "NK cell"}))
    assert latest(server, job, "0")["annotation"] == "Plasma cell"
    assert latest(server, job, "1")["annotation"] == "NK cell"


def test_a_job_that_is_not_there_or_not_done_has_none(server):
    unknown = "00000000-0000-4000-8000-000000000000"
    assert code(decide(server, unknown, ("0", {"label": "B cell"}))) == "JOB_NOT_FOUND"
    assert code(server.client.get(f"/jobs/{unknown}/decisions")) == "JOB_NOT_FOUND"


def test_only_this_machine_writes_without_a_token(server, job):
    answer = decide(server, job, ("0", {"label": "B cell"}), headers={"Host": "example.org"})
    assert code(answer) == "ACCESS_DENIED"
    answer = decide(server, job, ("0", {"label": "B cell"}), headers={"Origin": "http://evil"})
    assert code(answer) == "ACCESS_DENIED"


def test_without_a_token_a_proxy_writes_nothing(tmp_path):
    with ServerProcess(tmp_path / "data", "--allowed-host", "cells.example.org") as server:
        job = submit(server)
        server.wait_for(job)
        through = {"Host": "cells.example.org"}
        assert server.client.get(f"/results/{job}", headers=through).status_code == 200
        answer = decide(server, job, ("0", {"label": "B cell"}), headers=through)
        assert (code(answer), "--token" in answer.text) == ("ACCESS_DENIED", True)


def test_writing_needs_the_token_of_public_jobs_too(tmp_path):
    with ServerProcess(tmp_path / "data", "--token", "secret") as server:
        post = server.client.post
        jobs = {
            kind: post("/annotate", json=submission(visibility=kind), headers=TOKEN).json()[
                "job_id"
            ]
            for kind in ("public", "private")
        }
        server.client.headers.update(TOKEN)
        for job in jobs.values():
            server.wait_for(job)
        del server.client.headers["Authorization"]
        said = ("0", {"label": "Plasma cell"})
        for job in jobs.values():
            assert code(decide(server, job, said)) == "AUTHENTICATION_REQUIRED"
            wrong = {"Authorization": "Bearer other"}
            assert code(decide(server, job, said, headers=wrong)) == "INVALID_TOKEN"
            assert decide(server, job, said, headers=TOKEN).status_code == 200
        public = server.client.get(f"/jobs/{jobs['public']}/decisions")
        assert public.json()["decisions"][0]["label"] == "Plasma cell"
        private = server.client.get(f"/jobs/{jobs['private']}/decisions")
        assert code(private) == "AUTHENTICATION_REQUIRED"
