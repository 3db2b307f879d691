"""One cluster of a job of a service asked again: by `/reannotate`, with the same client."""

import pytest

import cellferry
import llm_server as llm_server_module
from cell_data import MARKERS
from cellferry.errors import InvalidOptionError, ServiceRejectedError
from cellferry.runs.run import Run
from server_process import ServerProcess

pytestmark = pytest.mark.process

REMARK = "Sorted for plasma cells."
TABLE = {str(i): genes for i, genes in enumerate(MARKERS.values())}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cytetype-reannotate")
    with (
        llm_server_module.Server() as model,
        ServerProcess(folder / "data", "--allow-base-url", model.url) as found,
    ):
        yield found, model


@pytest.fixture
def server(running):
    _, model = running
    model.script = {}
    model.used.clear()
    model.log.clear()
    return running


def configs(model):
    return [{"provider": "openai", "name": "m", "apiKey": "sk-x", "baseUrl": f"{model.url}/v1"}]


def asked(server, **options):
    options["require_artifacts"] = False
    return cellferry.annotate_clusters(
        TABLE, engine="cytetype", api_url=server.url, poll_interval_seconds=0.2, progress=False,
        **options,
    )  # fmt: skip


def test_the_service_is_asked_about_one_cluster_with_the_words_of_the_person(server):
    service, model = server
    first = asked(service, llm_configs=configs(model))
    model.log.clear()
    model.used.clear()
    model.script = {("B cell", "annotator"): ["label:plasma cell=CL:0000786"]}
    found = cellferry.reannotate(first, "0", REMARK, llm_configs=configs(model), progress=False)
    assert {r["label"] for r in model.log} == {"B cell"}
    # The service says itself what the earlier answer was: once.
    assert model.log[0]["user"].count("Earlier answer") == 1
    assert f'Earlier answer: "B cell". {REMARK}' in model.log[0]["user"]
    assert (found["0"].label, found["0"].ontology_id) == ("plasma cell", "CL:0000786")
    assert [a for a in found if a.cluster != "0"] == [a for a in first if a.cluster != "0"]
    assert found.evidence["0"]["earlier"][0]["remark"] == REMARK
    run = Run.open(first.provenance["run"])
    assert run.content["remote_job_id"] == first.provenance["job"]
    assert "remarks" not in run.content["options"]
    assert cellferry.resume(run.id, progress=False)["0"].label == "plasma cell"


def test_what_the_service_refuses_leaves_the_answer_and_the_job(server):
    service, _ = server
    first = asked(service)
    run = Run.open(first.provenance["run"])
    with pytest.raises(ServiceRejectedError, match="reads no feedback"):
        cellferry.reannotate(run.id, "0", REMARK, progress=False)
    with pytest.raises(InvalidOptionError, match="no cluster"):
        cellferry.reannotate(run.id, "nine", REMARK, progress=False)
    run = Run.open(run.id)
    assert run.content["status"] == "finished"
    assert run.content["remote_job_id"] == first.provenance["job"]
    assert run.results()["0"].label == first["0"].label
