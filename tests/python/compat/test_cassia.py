"""The drop-in: a script of the published tool, with only its import line changed."""

import inspect
import os

import pandas as pd
import pytest

from cellferry import errors
from cellferry.compat import cassia as CASSIA
from cytetype_runs import CANARY
from llm_cases import LISTS

SPEC_DEFAULTS = {
    "max_workers": 4, "n_genes": 50, "additional_info": None, "temperature": 0,
    "validator_involvement": "v1", "reasoning": None, "ranking_method": "avg_log2FC",
    "ascending": None, "celltype_column": None, "gene_column_name": None, "max_retries": 1,
}  # fmt: skip


def batch(server, marker, name, **options):
    given = {"model": "m", "tissue": "blood", "species": "human", "provider": server.url + "/v1"}
    return CASSIA.runCASSIA_batch(marker=marker, output_name=str(name), **{**given, **options})


def test_names_and_defaults_are_those_of_the_specification():
    parameters = inspect.signature(CASSIA.runCASSIA_batch).parameters
    assert list(parameters)[:6] == [
        "marker",
        "output_name",
        "model",
        "tissue",
        "species",
        "provider",
    ]
    assert {k: parameters[k].default for k in SPEC_DEFAULTS} == SPEC_DEFAULTS


def test_the_quick_start_runs(llm_server, tmp_path):
    markers = CASSIA.loadmarker(marker_type="unprocessed")
    found = batch(llm_server, markers, tmp_path / "my_annotation")
    assert list(found["Predicted General Cell Type"]) == [
        "T cell", "B cell", "Monocyte", "Natural killer cell", "Platelet", "Dendritic cell",
    ]  # fmt: skip
    for suffix in ("summary.csv", "conversations.json", "report.html"):
        assert (tmp_path / f"my_annotation_{suffix}").exists()
    written = pd.read_csv(tmp_path / "my_annotation_summary.csv", dtype=str)
    assert list(written["Cluster ID"]) == [str(i) for i in range(6)]
    assert "gene\tlog2 fold change" in llm_server.log[0]["user"]


def test_all_three_formats_and_files_give_the_same(llm_server, tmp_path):
    seurat = CASSIA.loadmarker("unprocessed")
    scanpy = seurat.rename(
        columns={"cluster": "group", "gene": "names", "avg_log2FC": "logfoldchanges",
                 "p_val": "pvals", "p_val_adj": "pvals_adj"}
    ).drop(columns=["pct.1", "pct.2"])  # fmt: skip
    path = tmp_path / "m.csv"
    seurat.to_csv(path, index=False)
    found = [
        list(batch(llm_server, marker, tmp_path / f"x{i}")["Predicted General Cell Type"])
        for i, marker in enumerate([seurat, scanpy, CASSIA.loadmarker("processed"), str(path)])
    ]
    assert found[0] == found[1] == found[2] == found[3]


def test_columns_can_be_named_for_any_format(llm_server, tmp_path):
    table = CASSIA.loadmarker("unprocessed").rename(columns={"cluster": "seurat_clusters"})
    found = batch(llm_server, table, tmp_path / "x", celltype_column="seurat_clusters",
                  gene_column_name="gene")  # fmt: skip
    assert len(found) == 6


def test_its_files_are_replaced_as_the_published_tool_does(llm_server, tmp_path):
    (tmp_path / "x_summary.csv").write_text("old", encoding="utf-8")
    batch(llm_server, LISTS, tmp_path / "x")
    assert "old" not in (tmp_path / "x_summary.csv").read_text(encoding="utf-8")


def test_a_dry_run_prints_and_calls_nobody(llm_server, tmp_path, capsys):
    found = batch(llm_server, LISTS, tmp_path / "x", dry_run=True)
    printed = capsys.readouterr().out
    assert "10 calls" in printed
    assert "cost unknown" in printed
    assert found.empty
    assert llm_server.log == []


def test_every_option_reaches_the_model(llm_server, tmp_path):
    batch(
        llm_server, CASSIA.loadmarker("unprocessed"), tmp_path / "x", temperature=0.3,
        reasoning="low", additional_info="Antibody-treated.", n_genes=4, max_workers=1,
        ranking_method="pct_diff", ascending=False, validator_involvement="v0",
    )  # fmt: skip
    first = llm_server.log[0]
    assert first["settings"] == {"temperature": 0.3, "reasoning_effort": "low"}
    assert "Antibody-treated." in first["user"]
    assert "Marker genes (4), best first, ranked by difference" in first["user"]
    assert {r["stage"] for r in llm_server.log} == {"annotator", "validator", "blind"}
    assert llm_server.most_at_once == 1


@pytest.mark.parametrize("tissue", [None, "none", "tissue blind"])
def test_no_tissue_is_no_default_tissue(llm_server, tmp_path, tissue):
    batch(llm_server, {"0": LISTS["0"]}, tmp_path / "x", tissue=tissue)
    assert "Tissue: unknown" in llm_server.log[0]["user"]


def test_an_unknown_example_is_an_error():
    with pytest.raises(errors.InvalidOptionError, match="unprocessed"):
        CASSIA.loadmarker("nope")


def test_what_scripts_of_the_package_use_is_taken(llm_server, tmp_path):
    parameters = inspect.signature(CASSIA.runCASSIA_batch).parameters
    theirs = {"auto_convert_ids": True, "use_reference": False, "verbose": True,
              "validate_api_key_before_start": True}  # fmt: skip
    assert {k: parameters[k].default for k in theirs} == theirs
    assert inspect.signature(CASSIA.set_api_key).parameters["provider"].default == "openai"
    found = batch(llm_server, LISTS, tmp_path / "x", **{**theirs, "verbose": False})
    assert len(found) == len(LISTS)


def test_a_key_that_was_set_is_sent_to_its_provider_and_to_no_other(
    llm_server, tmp_path, monkeypatch
):
    monkeypatch.setattr(CASSIA, "_keys", {})
    CASSIA.set_api_key(CANARY, provider=llm_server.url + "/v1/")
    CASSIA.set_api_key("another-" + CANARY)
    batch(llm_server, LISTS, tmp_path / "x")
    assert {r["headers"].get("authorization") for r in llm_server.log} == {f"Bearer {CANARY}"}
    assert CANARY not in "".join(
        p.read_text("utf-8", "replace") for p in tmp_path.rglob("*") if p.is_file()
    )
    assert CANARY not in str(os.environ) + str(CASSIA._keys)
    with pytest.raises(errors.InvalidOptionError, match="provider"):
        CASSIA.set_api_key("k", provider="opnai")


def test_the_provider_column_is_as_it_was_given(llm_server, tmp_path):
    found = batch(llm_server, LISTS, tmp_path / "x")
    written = pd.read_csv(tmp_path / "x_summary.csv", dtype=str)
    assert set(found["Provider"]) == set(written["Provider"]) == {llm_server.url + "/v1"}


def test_reference_texts_that_are_not_here_are_reported(llm_server, tmp_path, caplog):
    batch(llm_server, LISTS, tmp_path / "x", use_reference=True)
    assert "no reference texts" in caplog.text


def test_identifiers_stay_an_error_where_they_may_not_be_converted(llm_server, tmp_path):
    lists = {"0": ["ENSG00000167286", "ENSG00000198851", "ENSG00000177455"]}
    with pytest.raises(errors.GeneIdentifiersError, match="auto_convert_ids"):
        batch(llm_server, lists, tmp_path / "x", auto_convert_ids=False)
    assert llm_server.log == []
    assert len(batch(llm_server, lists, tmp_path / "x")) == 1
