"""``POST /reannotate``: one cluster of a finished job asked again with feedback."""

import pytest

import llm_server as llm_server_module
from server_process import ServerProcess, code, submit

pytestmark = pytest.mark.process

GENES = {"0": ["CD79A", "MS4A1", "CD79B"], "1": ["CD3D", "CD3E", "IL7R"]}
FEEDBACK = "Sorted for plasma cells."


def configs_of(model):
    return [{"provider": "openai", "name": "m", "apiKey": "sk-x", "baseUrl": f"{model.url}/v1"}]


def again(server, job, cluster="0", feedback=FEEDBACK, **body):
    query = {"job_id": job, "cluster_id": cluster, "feedback": feedback}
    return server.client.post("/reannotate", params=query, **body)


def annotations(server, job):
    return server.client.get(f"/results/{job}").json()["annotations"]


def label_of(entry):
    return entry["annotation"]["annotation"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reannotate")
    with (
        llm_server_module.Server() as model,
        ServerProcess(folder / "data", "--allow-base-url", model.url) as found,
    ):
        yield found, model


@pytest.fixture
def server(running):
    return running[0]


@pytest.fixture
def model(running):
    _, found = running
    found.script, found.delay = {}, 0.0
    found.used.clear()
    found.log.clear()
    return found


def test_one_cluster_is_asked_again_and_its_earlier_answer_is_its_history(server, model):
    job = submit(server, GENES, llm_configs=configs_of(model))
    server.wait_for(job)
    before = annotations(server, job)
    model.log.clear()
    model.used.clear()
    model.script = {("B cell", "annotator"): ["label:plasma cell=CL:0000786"]}
    assert again(server, job, json={"llm_configs": configs_of(model)}).json() == {"job_id": job}
    status = server.wait_for(job)
    assert status["clusterStatus"] == {"0": "completed", "1": "completed"}
    assert {r["label"] for r in model.log} == {"B cell"}
    assert f'Earlier answer: "B cell". {FEEDBACK}' in model.log[0]["user"]
    found = annotations(server, job)
    assert label_of(found["0"]["latest"]) == "plasma cell"
    assert [label_of(e) for e in found["0"]["history"]] == ["B cell"]
    assert found["0"]["history"][0]["feedback"] == FEEDBACK
    assert found["1"] == before["1"]


def test_keys_of_a_completed_job_are_not_kept_before_or_after_a_restart(server, model):
    job = submit(server, GENES, llm_configs=configs_of(model))
    server.wait_for(job)
    assert code(again(server, job)) == "LLM_VALIDATION_FAILED"
    server.restart()
    refused = again(server, job)
    assert code(refused) == "LLM_VALIDATION_FAILED"
    assert "send `llm_configs` in the body" in refused.text
    assert label_of(annotations(server, job)["0"]["latest"]) == "B cell"
    model.used.clear()
    model.script = {("B cell", "annotator"): ["label:plasma cell=CL:0000786"]}
    assert again(server, job, json={"llm_configs": configs_of(model)}).status_code == 200
    server.wait_for(job)
    assert label_of(annotations(server, job)["0"]["latest"]) == "plasma cell"


@pytest.mark.parametrize("fault", ["400", "401"])
def test_a_question_that_fails_costs_no_answer(server, model, fault):
    job = submit(server, GENES, llm_configs=configs_of(model))
    server.wait_for(job)
    model.used.clear()
    model.script = {("*", "*"): [fault, "..."]}
    assert again(server, job, json={"llm_configs": configs_of(model)}).status_code == 200
    status = server.wait_for(job)
    assert status["clusterStatus"] == {"0": "completed", "1": "completed"}
    assert label_of(annotations(server, job)["0"]["latest"]) == "B cell"


def test_what_cannot_be_asked_again_is_refused(server, model):
    job = submit(server, GENES, llm_configs=configs_of(model))
    server.wait_for(job)
    assert "no cluster 'nine'" in again(server, job, "nine").text
    assert "`feedback` must be" in again(server, job, feedback=" ").text
    unknown = again(server, "00000000-0000-4000-8000-000000000000")
    assert code(unknown) == "JOB_NOT_FOUND"
    embedded = submit(server, GENES)
    server.wait_for(embedded)
    assert "reads no feedback" in again(server, embedded).text


def test_only_a_completed_job_is_asked_again(server, model):
    model.delay = 1.0
    job = submit(server, GENES, llm_configs=configs_of(model))
    assert code(again(server, job)) == "JOB_CONFLICT"
    server.wait_for(job)
