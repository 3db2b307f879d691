import json
import logging
import threading

import pytest

from cellferry import annotate_clusters, errors, resume
from cellferry.annotate import verb
from cellferry.biology.gene_tables import symbols_by_number
from cellferry.engines import create_engine
from cellferry.engines.base import Extent
from cellferry.engines.cytetype import CyteType
from cellferry.runs.run import Run
from cytetype_objects import plain, symbols_in_a_column
from cytetype_runs import (
    CANARY,
    OPTIONS,
    assert_labels_are_right,
    engine,
    everything_written,
    markers_sent,
    newest_run,
    outcome,
    python_process,
    run_engine,
    study_for,
)
from fault_server import FaultServer

MODEL = {"provider": "openai", "name": "gpt-4o-mini", "apiKey": CANARY}


@pytest.fixture
def server():
    with FaultServer(chunk_size=200_000) as running:
        yield running


@pytest.fixture
def no_token(monkeypatch):
    monkeypatch.delenv("CYTETYPE_AUTH_TOKEN", raising=False)


def test_an_anndata_comes_back_with_its_labels(server):
    adata = plain()
    before = adata.copy()
    found = annotate_clusters(
        adata, group_key="cluster", engine="cytetype", api_url=server.url, progress=False,
        study_context="Human PBMC", metadata={"run_label": "v1"}, **OPTIONS,
    )  # fmt: skip
    assert_labels_are_right(server, found)
    labels = found.labels()
    assert list(adata.obs["cell_type"]) == [labels[c] for c in adata.obs["cluster"]]
    assert set(adata.obs["cell_type_confidence"]) == {0.9}
    assert (adata.X != before.X).nnz == 0
    assert list(adata.var.columns) == list(before.var.columns)
    (job,) = server.jobs.values()
    assert job["sent"]["input_data"]["infoTags"] == {"run_label": "v1"}
    assert job["sent"]["input_data"]["studyInfo"].startswith("Human PBMC")
    assert found.provenance["report_url"].startswith(server.url + "/report/")
    assert found.provenance["service"]["summary"] == {"n": 4}
    assert found.evidence["0"]["latest"]["review"]["confidence"] == "High"


@pytest.mark.parametrize("shape", ["flat", "deep"])
def test_old_and_new_answers_give_the_same_rows(server, shape):
    server.shape = shape
    found = run_engine(server)
    assert found["0"].supporting
    assert found["0"].missing == (("CD3E", "CD19"))
    assert found["0"].ontology_id == "CL:0000084"
    assert found["0"].justification.startswith(found["0"].label)


def test_the_artifacts_are_with_the_service_before_the_job(server):
    run_engine(server)
    paths = [r["path"] for r in server.requests]
    last_upload = max(i for i, p in enumerate(paths) if p.endswith("complete"))
    assert paths.index("/annotate") > last_upload
    folder = newest_run().folder
    assert server.content("vars_h5") == (folder / "vars.h5").read_bytes()
    assert server.content("obs_duckdb") == (folder / "obs.duckdb").read_bytes()


def test_without_require_artifacts_the_job_goes_on_without_them(server):
    server.fault("answer", "POST", "initiate", times=99, status=500)
    assert_labels_are_right(server, run_engine(server, require_artifacts=False))
    (job,) = server.jobs.values()
    assert "uploaded_files" not in job["sent"]


def test_a_failed_cluster_has_a_failed_row_and_the_others_their_labels(server):
    server.failed_clusters = {"10"}
    found = run_engine(server)
    assert [r.status for r in found] == ["ok", "ok", "failed", "ok"]
    assert "could not annotate" in found["10"].error
    assert_labels_are_right(server, found)


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_cleanup_artifacts_deletes_them_when_the_run_ends(server, ends):
    if ends == "badly":
        server.fault("answer", "POST", "annotate", times=99, status=422)
        with pytest.raises(errors.ServiceRejectedError):
            run_engine(server, cleanup_artifacts=True)
    else:
        run_engine(server, cleanup_artifacts=True)
    assert not list(newest_run().folder.glob("*.h5"))
    assert not list(newest_run().folder.glob("*.duckdb"))
    server.faults.clear()
    run_engine(server)
    assert list(newest_run().folder.glob("*.h5"))


def test_progress_names_what_is_done(server):
    seen = []
    run_engine(server, on_event=seen.append)
    titles = [e.text for e in seen if e.kind == "started"]
    assert titles == [
        "Preparing the data", "Uploading vars.h5", "Uploading obs.duckdb", "Annotating clusters",
    ]  # fmt: skip
    units = [e.unit for e in seen if e.kind == "progress"]
    assert sorted(units[-4:]) == ["0", "1", "10", "2"]
    assert units[0].startswith("vars.h5 part")


def test_to_a_host_that_is_not_this_machine_nothing_goes_unasked():
    away = CyteType(api_url="https://cytetype.example.org")
    assert away.capabilities.host == "cytetype.example.org"
    with pytest.raises(errors.UploadNotAllowedError) as caught:
        annotate_clusters(plain(), group_key="cluster", engine=away, progress=False)
    message = str(caught.value)
    assert "cytetype.example.org" in message
    assert '"donor"' in message
    assert "bytes" in message
    assert CyteType(api_url="http://127.0.0.1:1").capabilities.host is None


def test_the_plan_makes_no_call_and_knows_columns_and_bytes(server):
    made = engine(server, obs_columns=["donor"])
    plan = verb.plan(study_for(made), made)
    assert server.requests == []
    assert plan.columns == ("cluster", "donor")
    assert plan.bytes_sent > 1000
    assert plan.clusters == 4


def test_what_would_be_sent_is_known_before_an_object_is_read(server):
    made = engine(server, obs_columns=["donor"])
    plan = made.estimate(Extent(1000, 2000, ("donor", "cluster")))
    assert plan.columns == ("donor",)
    assert 1_000_000 < plan.bytes_sent < 2_000_000
    assert server.requests == []


def test_what_it_describes_makes_the_same_engine(server):
    made = engine(server, llm_configs=[MODEL], metadata={"a": 1}, auth_token=CANARY)
    described = json.loads(json.dumps(made.describe()))
    assert CANARY not in json.dumps(described)
    again = create_engine("cytetype", described)
    assert again.describe() == described


def test_the_ranking_may_have_another_key(server):
    adata = plain()
    adata.uns["mine"] = adata.uns.pop("rank_genes_groups")
    found = annotate_clusters(
        adata, group_key="cluster", engine=engine(server, rank_key="mine"), progress=False
    )
    assert_labels_are_right(server, found)
    assert markers_sent(server)["0"][0] == plain().uns["rank_genes_groups"]["names"]["0"][0]


@pytest.mark.parametrize("column", ["gene_symbols", None])
def test_symbols_come_from_the_column_that_is_named_or_found(server, column):
    run_engine(server, symbols_in_a_column(), gene_symbols_column=column)
    assert all(g.startswith("SYMB") for g in markers_sent(server)["0"])


def test_the_size_of_the_steps_changes_no_payload(server):
    for size in (1, 7, 2000):
        run_engine(server, pcent_batch_size=size)
    first, *others = [job["sent"]["input_data"] for job in server.jobs.values()]
    assert others == [first, first]


@pytest.mark.slow
def test_the_time_out_of_an_upload_fires(server):
    server.fault("delay", "PUT", "chunk", times=99, seconds=1.0)
    with pytest.raises(errors.ServiceTimeoutError, match=r"0\.2 seconds"):
        run_engine(server, upload_timeout_seconds=0.2)


# --- secrets ------------------------------------------------------------------------------


def test_the_token_and_the_keys_are_sent_and_written_nowhere(
    server, own_home, caplog, no_token, tmp_path
):
    server.token = CANARY
    with caplog.at_level(logging.DEBUG):
        found = run_engine(server, auth_token=CANARY, llm_configs=[MODEL])
    (job,) = server.jobs.values()
    assert job["sent"]["llm_configs"][0]["apiKey"] == CANARY
    assert server.requests[0]["headers"]["Authorization"] == f"Bearer {CANARY}"
    from cellferry.annotations.report import write_report

    write_report(found, tmp_path / "report.html")
    written = everything_written(own_home) + (tmp_path / "report.html").read_bytes()
    assert CANARY.encode() not in written
    made = engine(server, auth_token=CANARY, llm_configs=[MODEL])
    shown = [repr(made), str(vars(made)), caplog.text, found.to_json(), repr(found)]
    assert not any(CANARY in text for text in shown)


@pytest.mark.parametrize("status", [401, 422, 500])
def test_an_error_and_its_record_hold_no_secret(server, own_home, no_token, status):
    body = json.dumps({"detail": f"bad request: Bearer {CANARY} apiKey {CANARY}"}).encode()
    server.fault("answer", "POST", "annotate", times=99, status=status, body=body)
    with pytest.raises(errors.ServiceError) as caught:
        run_engine(server, auth_token=CANARY, llm_configs=[MODEL])
    import traceback

    text = "".join(traceback.format_exception(caught.value))
    assert CANARY not in text
    assert CANARY.encode() not in everything_written(own_home)


def test_a_service_that_repeats_a_key_in_its_results_does_not_get_it_saved(
    server, own_home, no_token
):
    adata = plain()
    server.polls = 1
    body = {"annotations": {"0": {"latest": {"annotation": {"annotation": f"T {CANARY}"}}}},
            "summary": {"echo": CANARY}}  # fmt: skip
    server.fault("answer", "GET", "results", status=200, body=json.dumps(body).encode())
    found = run_engine(server, adata, auth_token=CANARY)
    assert CANARY.encode() not in everything_written(own_home)
    assert CANARY not in found.to_json()


def test_a_resumed_run_asks_for_the_token_again(server, no_token, monkeypatch):
    server.token = CANARY
    server.fault("answer", "GET", "status", times=99, status=403)
    with pytest.raises(errors.ServiceForbiddenError) as caught:
        run_engine(server, auth_token=CANARY)
    server.faults.clear()
    run = caught.value.data["run"]
    n = len(server.requests)
    with pytest.raises(errors.CredentialsRequiredError, match="CYTETYPE_AUTH_TOKEN"):
        resume(run)
    assert len(server.requests) == n
    monkeypatch.setenv("CYTETYPE_AUTH_TOKEN", CANARY)
    assert_labels_are_right(server, resume(run))


def test_a_resumed_run_asks_for_the_keys_of_models_only_if_they_are_needed(
    server, no_token, monkeypatch
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.fault("answer", "POST", "annotate", times=99, status=500)
    with pytest.raises(errors.ServiceFailedError) as caught:
        run_engine(server, llm_configs=[MODEL])
    server.faults.clear()
    with pytest.raises(errors.CredentialsRequiredError, match="OPENAI_API_KEY"):
        resume(caught.value.data["run"])
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    assert_labels_are_right(server, resume(caught.value.data["run"]))
    monkeypatch.delenv("OPENAI_API_KEY")
    server.fault("answer", "GET", "results", times=99, status=422)
    with pytest.raises(errors.ServiceRejectedError) as caught:
        run_engine(server, llm_configs=[MODEL])
    server.faults.clear()
    assert_labels_are_right(server, resume(caught.value.data["run"]))


# --- interrupt and resume -----------------------------------------------------------------


def with_identifiers(adata):
    """The same object with human Ensembl identifiers, of genes that have symbols."""
    known = sorted(symbols_by_number("human"))[: adata.n_vars]
    assert len(known) == adata.n_vars
    names = dict(zip(adata.var_names, (f"ENSG{n:011d}" for n in known), strict=True))
    made = adata.copy()
    made.var_names = [names[g] for g in adata.var_names]
    ranked = made.uns["rank_genes_groups"]
    stored = ranked["names"].copy()
    for field in stored.dtype.names:
        stored[field] = [names[g] for g in stored[field]]
    made.uns["rank_genes_groups"] = {**ranked, "names": stored}
    return made


def test_a_resumed_run_of_ensembl_identifiers_sends_what_an_undisturbed_one_sends(server):
    adata = with_identifiers(plain())
    run_engine(server, adata)
    (undisturbed,) = (job["sent"]["input_data"] for job in server.jobs.values())

    def interrupt(event):
        if event.text == "Preparing the data":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run_engine(server, adata, on_event=interrupt)
    for thread in threading.enumerate():
        if thread.name == "cellferry":
            thread.join(20)
    resume(caught.value.run, study_for(engine(server), adata))
    (_, again) = (job["sent"]["input_data"] for job in server.jobs.values())
    assert again["markerGenes"] == undisturbed["markerGenes"]
    assert again["expressionData"] == undisturbed["expressionData"]
    sent = {gene for genes in again["markerGenes"].values() for gene in genes}
    assert sent <= set(again["expressionData"])
    assert not any(gene.startswith("ENSG") for gene in sent)


@pytest.mark.parametrize(
    "moment", ["Preparing the data", "Uploading vars.h5", "Annotating clusters"]
)
def test_an_interrupt_returns_at_once_and_the_run_goes_on_later(server, moment):
    server.polls = 10**6

    def interrupt(event):
        if event.text == moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run_engine(server, on_event=interrupt)
    run = Run.open(caught.value.run)
    assert run.content["status"] == "interrupted"
    server.polls = 2
    # What was under way may still come to its end.
    for thread in threading.enumerate():
        if thread.name == "cellferry":
            thread.join(20)
    made = engine(server)
    given = study_for(made) if moment == "Preparing the data" else None
    assert_labels_are_right(server, resume(run.id, given))
    assert len(server.jobs) == 1


@pytest.mark.slow
def test_another_process_resumes_over_the_command_line(server):
    server.fault("answer", "GET", "results", times=99, status=422)
    with pytest.raises(errors.ServiceRejectedError) as caught:
        run_engine(server)
    server.faults.clear()
    other = python_process(
        f"""
        from click.testing import CliRunner
        from cellferry.cli import group
        done = CliRunner().invoke(group, ["runs", "resume", "{caught.value.data["run"]}"])
        assert done.exit_code == 0, done.output
        print(json.dumps(done.output))
        """
    )
    assert "GENE" in outcome(other)
    assert len(server.jobs) == 1


def interrupted(server, folder, moment="Annotating clusters"):
    """Stop the command of a folder while its job is under way."""
    polls, server.polls = server.polls, 10**6

    def interrupt(event):
        if event.text == moment:
            raise KeyboardInterrupt

    made = engine(server)
    with pytest.raises(KeyboardInterrupt):
        verb.annotate(study_for(made), made, folder=folder, on_event=interrupt)
    server.polls = polls
    for thread in threading.enumerate():
        if thread.name == "cellferry":
            thread.join(20)


def test_the_same_command_takes_up_its_job(server, tmp_path):
    interrupted(server, tmp_path / "x_run")
    made = engine(server)
    found = verb.annotate(study_for(made), made, folder=tmp_path / "x_run")
    assert_labels_are_right(server, found)
    assert len(server.jobs) == 1
    # What is asked otherwise is another job.
    other = engine(server, n_top_genes=3)
    verb.annotate(study_for(other), other, folder=tmp_path / "x_run")
    assert len(server.jobs) == 2


def test_a_request_whose_answer_was_lost_is_the_same_one_in_the_same_command(server, tmp_path):
    server.fault("lose", "POST", "/annotate", times=99)
    made = engine(server)
    with pytest.raises(errors.ServiceError):
        verb.annotate(study_for(made), made, folder=tmp_path / "x_run")
    server.faults.clear()
    verb.annotate(study_for(made), made, folder=tmp_path / "x_run")
    keys = {r["headers"]["Idempotency-Key"] for r in server.requests if r["path"] == "/annotate"}
    assert len(keys) == 1
    assert len(server.jobs) == 1


def test_a_run_that_was_moved_finishes_its_upload(server, tmp_path):
    interrupted(server, tmp_path / "x_run", "Uploading vars.h5")
    (tmp_path / "x_run").rename(tmp_path / "y_run")
    stored = Run.open(tmp_path / "y_run").content["prepared"]["artifacts"]
    assert stored == {"vars_h5": "vars.h5", "obs_duckdb": "obs.duckdb"}
    assert_labels_are_right(server, resume(tmp_path / "y_run"))


def test_an_engine_whose_options_were_refused_can_be_shown():
    from cellferry.engines.cellatlas import CellAtlas
    from cellferry.engines.llm import LLM

    for made in (CyteType, CellAtlas, LLM):
        assert repr(made.__new__(made))
