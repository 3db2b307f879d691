"""The engine at its door: what it says of itself, and that no key is anywhere."""

import json
import logging

import pytest

import cellferry
from cellferry import errors
from cellferry.annotate import resume
from cellferry.engines.llm import LLM
from cellferry.runs.run import Run
from llm_cases import LABELS, LISTS, TWO, ask, engine

CANARY = "sk-canary-0123456789"


def test_every_cluster_is_answered_with_evidence(llm_server):
    found = ask(llm_server, tissue="blood", additional_info="Watch for doublets.")
    assert found.labels() == LABELS
    row = found["0"]
    assert row.supporting == ("CD79A", "MS4A1", "CD79B")
    assert row.ontology_id == "CL:0000236"
    assert row.engine == "llm"
    question = next(r["user"] for r in llm_server.log if r["label"] == "B cell")
    assert "Tissue: blood" in question
    assert "Additional information: Watch for doublets." in question


def test_a_tissue_that_is_not_said_is_unknown(llm_server):
    ask(llm_server, TWO)
    assert "Tissue: unknown" in llm_server.log[0]["user"]


def test_any_species_reaches_the_model_by_name(llm_server):
    ask(llm_server, TWO, species="zebrafish")
    assert "Species: zebrafish" in llm_server.log[0]["user"]


def test_a_base_url_as_provider_is_used_exactly_as_given(llm_server):
    ask(llm_server, TWO, provider=llm_server.url + "/Deployments/Mine/V1", base_url=None)
    assert llm_server.log[0]["path"] == "/Deployments/Mine/V1/chat/completions"


def test_the_address_of_a_server_of_ones_own_gets_no_providers_key(llm_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    ask(llm_server, TWO)
    assert CANARY not in json.dumps(llm_server.log)


@pytest.mark.parametrize("number", [1, 3, 50])
def test_n_genes_are_sent_and_no_more(llm_server, number):
    genes = ["CD79A", *(f"G{i}" for i in range(99))]
    ask(llm_server, {"0": genes}, n_genes=number)
    assert f"Marker genes ({number})" in llm_server.log[0]["user"]


def test_a_cluster_without_any_marker_to_ask_about_is_skipped_with_the_reason(llm_server):
    import pandas as pd

    table = pd.DataFrame(
        {"cluster": ["a", "b"], "gene": ["CD79A", "CD3D"], "avg_log2FC": [2.0, 0.1],
         "p_val_adj": [0.0, 0.0], "pct.1": [0.9, 0.9], "pct.2": [0.1, 0.1]}
    )  # fmt: skip
    found = ask(llm_server, table)
    assert (found["a"].label, found["b"].status) == ("B cell", "skipped")
    assert "passes the filter" in found["b"].error
    assert llm_server.annotated() == ["B cell"]


def test_what_leaves_the_machine_is_said(llm_server):
    assert engine(llm_server).capabilities.host is None
    assert engine(llm_server).capabilities.sends == frozenset()
    away = LLM(provider="anthropic", api_key=CANARY).capabilities
    assert (away.host, away.sends) == ("api.anthropic.com", frozenset({"markers"}))


def test_a_missing_key_is_reported_before_a_run_is_made(own_home, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(errors.CredentialsRequiredError, match="openrouter"):
        cellferry.annotate_clusters(TWO, engine="llm", species="human")
    assert not (own_home / "runs").exists()


@pytest.mark.slow
def test_the_key_reaches_the_server_and_nothing_else(llm_server, tmp_path, own_home, caplog, capfd):
    """The canary: in the request, and in no file, log, message, repr or error."""
    caplog.set_level(logging.DEBUG)
    llm_server.script = {("T cell", "annotator"): [f"500:bad key {CANARY}"] * 9}
    from cellferry.engines.llm.client import Client

    patched = pytest.MonkeyPatch()
    patched.setattr(Client, "base_wait", 0.01)
    made = engine(llm_server, api_key=CANARY, output_name=str(tmp_path / "x"))
    found = cellferry.annotate_clusters(LISTS, engine=made, species="human")
    llm_server.script = {("*", "*"): [f"401:your key {CANARY} is wrong", "..."]}
    with pytest.raises(errors.CredentialsRequiredError) as caught:
        cellferry.annotate_clusters({"9": ["LYZ"]}, engine=made, species="human")
    patched.undo()
    assert {r["key"] for r in llm_server.log} == {f"Bearer {CANARY}"}
    assert "<hidden>" in found["1"].error
    printed = capfd.readouterr()
    shown = [repr(made), str(made.describe()), str(made._settings), found.to_json(), repr(found)]
    shown += [str(caught.value), json.dumps(caught.value.to_dict()), caplog.text, *printed]
    files = [p for root in (tmp_path, own_home) for p in root.rglob("*") if p.is_file()]
    assert len(files) >= 8
    shown += [p.read_text(encoding="utf-8") for p in files]
    assert [text for text in shown if CANARY in text] == []


@pytest.mark.parametrize("by_configs", [False, True])
def test_extras_reach_the_server_and_no_file(llm_server, tmp_path, own_home, by_configs):
    """What is sent as it is may contain a secret: of it only the names are remembered."""
    extras = {
        "extra_headers": {"X-Gateway-Key": CANARY, "X-Lab": f"lab-{CANARY}"},
        "extra_body": {"user": f"user-{CANARY}", "deep": {"password": [CANARY]}},
    }
    options = {"model_settings": extras}
    if by_configs:
        config = {"provider": "openai", "name": "m", "baseUrl": llm_server.url}
        options = {"provider": "openai", "model": None, "base_url": None,
                   "llm_configs": [{**config, "modelSettings": extras}]}  # fmt: skip
    llm_server.script = {("T cell", "annotator"): [f"422:{CANARY}", "..."]}
    made = engine(llm_server, output_name=str(tmp_path / "x"), **options)
    found = cellferry.annotate_clusters(TWO, engine=made, species="human", progress=False)
    assert llm_server.log[0]["headers"]["x-lab"] == f"lab-{CANARY}"
    assert llm_server.log[0]["body"]["deep"] == {"password": [CANARY]}
    assert found["0"].label == "B cell"
    assert "<hidden>" in found["1"].error
    shown = [repr(made), str(made.describe()), repr(made._settings), found.to_json()]
    files = [p for root in (tmp_path, own_home) for p in root.rglob("*") if p.is_file()]
    assert {p.name for p in files} >= {"run.json", "annotations.json", "x_conversations.json"}
    shown += [p.read_text(encoding="utf-8") for p in files]
    assert [text for text in shown if CANARY in text] == []
    assert "X-Gateway-Key" in (tmp_path / "x_run" / "run.json").read_text(encoding="utf-8")
    run = found.provenance["run"]
    llm_server.script = {}
    with pytest.raises(errors.InvalidOptionError, match=r"extra_headers\.X-Gateway-Key"):
        resume(run)
    before = len(llm_server.log)
    given = {k: v for k, v in options.items() if k in {"model_settings", "llm_configs"}}
    assert resume(run, **given).labels() == {"0": "B cell", "1": "T cell"}
    assert {r["label"] for r in llm_server.log[before:]} == {"T cell"}


def test_a_resumed_run_takes_its_key_from_the_environment_or_asks(llm_server, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    llm_server.script = {("B cell", "annotator"): ["refusal"]}
    monkeypatch.setenv("MY_KEY", CANARY)
    run = ask(llm_server, TWO, api_key_env="MY_KEY").provenance["run"]
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(errors.CredentialsRequiredError, match="key"):
        resume(run)
    assert CANARY not in json.dumps(Run.open(run).content)
    monkeypatch.setenv("MY_KEY", CANARY)
    assert resume(run)["0"].label == "B cell"
    assert llm_server.log[-1]["key"] == f"Bearer {CANARY}"


def test_an_anndata_gets_its_labels(llm_server, blood):
    found = cellferry.annotate_clusters(
        blood, engine=engine(llm_server, n_genes=30), group_key="louvain", progress=False
    )
    sizes = blood.obs["louvain"].value_counts()
    text = next(r["user"] for r in llm_server.log)
    assert "Cells in this cluster:" in text
    assert {row.n_cells for row in found} == set(sizes)
    for row in found:
        labels = blood.obs.loc[blood.obs["louvain"] == row.cluster, "cell_type"]
        assert set(labels) == {row.label}
