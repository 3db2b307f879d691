"""The drop-in: a script of the published tool, with only its import line changed."""

import inspect

import pandas as pd
import pytest

from cellferry import errors
from cellferry.compat import cassia as CASSIA
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
