"""The seam to the LLM engine."""

import importlib.util
import time

import pytest

import server_engine
from cellferry.engines import ENGINES
from cellferry.server.failures import Code, Failure
from cellferry.server.jobs.engines import llm_engine
from cellferry.server.jobs.llm_configs import LLMConfig
from server_process import ServerProcess, submit

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def plugged(monkeypatch):
    monkeypatch.setitem(ENGINES, "llm", {"clusters": "server_engine:SlowModel"})


def names(*configs, parallel=3):
    engine = llm_engine(configs, parallel)
    assert isinstance(engine, server_engine.SlowModel)
    assert engine.max_workers == parallel
    return [c["name"] for c in engine.configs]


def config(name, *agents):
    entry = {"provider": "openai", "name": name, "apiKey": "k", "targetAgents": [*agents]}
    return LLMConfig.model_validate(entry)


def test_the_first_annotates_and_a_reviewer_checks():
    assert names(config("a")) == ["a"]
    assert names(config("a"), config("b"), config("c")) == ["a", "b"]
    assert names(config("r", "reviewer"), config("a", "annotator")) == ["a", "r"]


def test_without_an_annotator_there_is_no_engine():
    with pytest.raises(Failure) as caught:
        llm_engine([config("r", "reviewer")], 1)
    assert caught.value.code is Code.LLM_VALIDATION_FAILED


def test_what_the_engine_refuses_is_told(monkeypatch):
    monkeypatch.setitem(ENGINES, "llm", {"clusters": "cellferry.engines.local:Local"})
    with pytest.raises(Failure, match="has no option"):
        llm_engine([config("a")], 1)


# --- the real engine against a model server on loopback ------------------------------------

CANARY = "canary-sk-90210"
REAL = ENGINES["llm"]
GENES = {
    "0": ["CD79A", "MS4A1", "CD79B", "CD19"],
    "1": ["CD3D", "CD3E", "IL7R", "CD2"],
    "2": ["LYZ", "S100A8", "S100A9", "CD14"],
    "3": ["PPBP", "PF4", "GP9", "ITGA2B"],
}
LABELS = {"0": "B cell", "1": "T cell", "2": "Monocyte", "3": "Platelet"}


def asked_for(model, **more):
    return [
        {"provider": "openai", "name": "m", "apiKey": CANARY, "baseUrl": f"{model.url}/v1", **more}
    ]


def labels_of(server, job):
    found = server.client.get(f"/results/{job}").json()["annotations"]
    return {c: a["latest"]["annotation"]["annotation"] for c, a in found.items()}


def assert_secret_nowhere(server, job):
    for path in server.data.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in server.log.read_text()
    for address in ("status", "results", "report"):
        assert CANARY not in server.client.get(f"/{address}/{job}").text


@pytest.fixture
def real(monkeypatch):
    monkeypatch.setitem(ENGINES, "llm", REAL)


def test_the_models_of_a_request_annotate_its_clusters(real, llm_server, tmp_path):
    with ServerProcess(tmp_path / "data", "--allow-base-url", llm_server.url) as server:
        # What is sent as it is may hold a secret too.
        settings = {"top_p": 0.5, "extra_headers": {"X-Lab": CANARY}, "extra_body": {"x": CANARY}}
        job = submit(server, GENES, llm_configs=asked_for(llm_server, modelSettings=settings))
        server.wait_for(job)
        assert labels_of(server, job) == LABELS
        latest = server.client.get(f"/results/{job}").json()["annotations"]["0"]["latest"]
        annotation = latest["annotation"]
        assert annotation["engine"] == "llm"
        assert annotation["cellOntologyTerm"] == "CL:0000236"
        assert annotation["supportingMarkers"] == GENES["0"][:3]
        assert "Naive B cell" in server.client.get(f"/report/{job}").text
        assert {call["key"] for call in llm_server.log} == {f"Bearer {CANARY}"}
        assert {call["settings"]["top_p"] for call in llm_server.log} == {0.5}
        assert {call["headers"]["x-lab"] for call in llm_server.log} == {CANARY}
        assert llm_server.most_at_once <= 2  # nParallelClusters
        assert_secret_nowhere(server, job)


def test_one_cluster_that_the_model_never_answers_fails_alone(real, llm_server, tmp_path):
    llm_server.script[("Monocyte", "annotator")] = ["400", "..."]
    with ServerProcess(tmp_path / "data", "--allow-base-url", llm_server.url) as server:
        job = submit(server, GENES, llm_configs=asked_for(llm_server))
        status = server.wait_for(job)
        assert status["clusterStatus"] == {
            "0": "completed", "1": "completed", "2": "failed", "3": "completed"
        }  # fmt: skip
        assert labels_of(server, job) == {c: n for c, n in LABELS.items() if c != "2"}
        assert server.client.get(f"/results/{job}").json()["failures"]["2"]["error"]


def test_a_key_that_is_refused_fails_the_job_and_is_not_repeated(real, llm_server, tmp_path):
    llm_server.script[("*", "*")] = [f"401:Incorrect API key provided: {CANARY}", "..."]
    with ServerProcess(tmp_path / "data", "--allow-base-url", llm_server.url) as server:
        job = submit(server, GENES, llm_configs=asked_for(llm_server))
        end = time.monotonic() + 60
        while (status := server.client.get(f"/status/{job}").json())["jobStatus"] != "failed":
            assert time.monotonic() < end, status
            time.sleep(0.1)
        assert status["message"]
        assert_secret_nowhere(server, job)


def test_killed_in_the_middle_the_job_waits_for_its_keys_and_asks_nothing_twice(
    real, llm_server, tmp_path
):
    llm_server.delay = 0.4
    body = asked_for(llm_server)
    with ServerProcess(tmp_path / "data", "--allow-base-url", llm_server.url) as server:
        job = submit(server, GENES, llm_configs=body, nParallelClusters=1)
        end = time.monotonic() + 60
        while (
            "completed" not in server.client.get(f"/status/{job}").json()["clusterStatus"].values()
        ):
            assert time.monotonic() < end
            time.sleep(0.05)
        server.restart()
        status = server.client.get(f"/status/{job}").json()
        assert status["jobStatus"] == "credentials_required"
        done = [c for c, state in status["clusterStatus"].items() if state == "completed"]
        assert done
        assert_secret_nowhere(server, job)
        before = len(llm_server.log)
        answer = server.client.post(f"/jobs/{job}/credentials", json={"llm_configs": body})
        assert answer.status_code == 200
        server.wait_for(job)
        assert labels_of(server, job) == LABELS
        later = {call["label"] for call in llm_server.log[before:]}
        assert later.isdisjoint(LABELS[c] for c in done)
        assert_secret_nowhere(server, job)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"provider": "xai", "name": "m", "apiKey": CANARY}, "no models of xai"),
        (
            {
                "provider": "bedrock",
                "name": "m",
                "awsAccessKeyId": CANARY,
                "awsSecretAccessKey": CANARY,
                "awsDefaultRegion": "eu-west-1",
            },
            "with an `apiKey` only",
        ),
    ],
)
def test_what_the_engine_cannot_do_is_told_when_the_job_is_submitted(real, entry, told):
    with pytest.raises(Failure, match=told) as caught:
        llm_engine([LLMConfig.model_validate(entry)], 1)
    assert caught.value.code is Code.LLM_VALIDATION_FAILED
    assert CANARY not in caught.value.message


def test_without_the_extra_the_request_is_refused_and_not_the_job(real, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "openai" else found(name, *a)
    )
    with pytest.raises(Failure, match="no language models") as caught:
        llm_engine([config("a")], 1)
    assert caught.value.code is Code.LLM_VALIDATION_FAILED
