import pytest

from cellferry import errors
from cellferry.annotate.request import build_study
from cellferry.engines.cytetype.job import Submission
from cellferry.engines.cytetype.options import Options
from cellferry.engines.cytetype.prepare import prepare
from cellferry.engines.cytetype.uploads import Uploader
from cellferry.engines.service.client import Service
from cellferry.engines.service.llm_configs import LLMConfigs
from cellferry.runs.run import Run
from cellferry.runs.worker import Events
from cytetype_objects import plain
from cytetype_runs import QUICK
from fault_server import FaultServer


@pytest.fixture
def server():
    with FaultServer(chunk_size=10**6) as running:
        yield running


def submission(server, models=None, **options):
    options = Options(**options)
    run, events = Run.create("cytetype", provenance={}), Events()
    prepared = prepare(build_study(plain(), group_key="cluster"), run, options, events)
    uploader = Uploader(
        Service(server.url, retries=QUICK), run, events, workers=2, seconds=5
    )  # fmt: skip
    return Submission(prepared, uploader, options, LLMConfigs(models))


def test_the_references_of_both_uploads_are_attached(server):
    sent = submission(server).envelope(True)
    assert set(sent) == {"input_data", "llm_configs", "uploaded_files"}
    assert sent["llm_configs"] is None
    kinds = {kind: server.uploads[u]["kind"] for kind, u in sent["uploaded_files"].items()}
    assert kinds == {"vars_h5": "vars_h5", "obs_duckdb": "obs_duckdb"}
    assert list(sent["uploaded_files"]) == ["vars_h5", "obs_duckdb"]


def test_visibility_is_sent_only_if_given(server):
    assert submission(server, visibility="org").envelope(True)["visibility"] == "org"


def test_an_upload_that_fails_is_an_error_with_the_link_to_report_it(server):
    server.fault("answer", "POST", "vars_h5/initiate", times=99, status=500)
    with pytest.raises(errors.ServiceFailedError) as caught:
        submission(server).envelope(True)
    assert "github.com/cellferry/cellferry/issues" in caught.value.hint
    assert "require_artifacts" in caught.value.hint


def test_or_the_job_goes_on_with_what_arrived(server, caplog):
    server.fault("answer", "POST", "vars_h5/initiate", times=99, status=500)
    sent = submission(server, require_artifacts=False).envelope(True)
    assert list(sent["uploaded_files"]) == ["obs_duckdb"]
    assert "vars.h5 was not uploaded" in caplog.text
    server.fault("answer", "POST", "initiate", times=99, status=500)
    assert "uploaded_files" not in submission(server, require_artifacts=False).envelope(False)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_stops_it_in_any_case(server, status):
    server.fault("answer", "POST", "initiate", times=99, status=status)
    with pytest.raises(errors.ServiceError):
        submission(server, require_artifacts=False).envelope(True)


def test_keys_are_in_the_request_and_nowhere_else(server):
    model = {"provider": "openai", "name": "m", "apiKey": "canary-7f3a91-secret"}
    made = submission(server, models=[model])
    assert made.envelope(True)["llm_configs"][0]["apiKey"] == "canary-7f3a91-secret"
    assert "canary" not in repr(vars(made))
