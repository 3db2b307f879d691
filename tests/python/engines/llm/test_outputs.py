"""The three files: published columns first, every cluster, every word that was said."""

import csv
import json

import pytest

from cellferry import errors
from cellferry.engines.llm.outputs import OURS, PUBLISHED, output_files, run_folder
from llm_cases import LISTS, TWO, ask

COLUMNS = [
    "Cluster ID", "Predicted General Cell Type", "Predicted Detailed Cell Type",
    "Possible Mixed Cell Types", "Marker Number", "Marker List", "Iterations", "Model", "Provider",
    "Tissue", "Species",
]  # fmt: skip


def rows(path):
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_the_summary_has_the_published_columns_first_and_every_cluster(llm_server, tmp_path):
    llm_server.script = {("T cell", "annotator"): ["refusal"]}
    lists = {"10": LISTS["0"], "2": LISTS["1"], "3": ["ACTB", "GAPDH"]}
    ask(llm_server, lists, output_name=str(tmp_path / "res_v1.2"), tissue="blood")
    found = rows(tmp_path / "res_v1.2_summary.csv")
    assert list(found[0])[:11] == COLUMNS == list(PUBLISHED)
    assert list(found[0])[11:] == list(OURS)
    assert [r["Cluster ID"] for r in found] == ["2", "3", "10"]
    refused, unknown, ok = found
    assert (refused["Status"], refused["Predicted General Cell Type"]) == ("failed", "")
    assert "refused" in refused["Error"]
    assert unknown["Predicted General Cell Type"] == "Unknown"
    assert ok["Predicted General Cell Type"] == "B cell"
    assert ok["Predicted Detailed Cell Type"] == "Naive B cell"
    assert ok["Marker List"] == "CD79A, MS4A1, CD79B, CD19, BANK1"
    assert (ok["Marker Number"], ok["Iterations"]) == ("5", "1")
    assert (ok["Model"], ok["Provider"]) == ("test-model", "openai")
    assert (ok["Tissue"], ok["Species"]) == ("blood", "human")
    assert (ok["Input Tokens"], ok["Cost USD"]) == ("2000", "")
    assert ok["Ontology ID"] == "CL:0000236"


def test_the_output_name_is_used_as_given():
    assert output_files("a/res_v1.2")["summary"].name == "res_v1.2_summary.csv"
    assert run_folder("a/res_v1.2").name == "res_v1.2_run"


def test_conversations_hold_every_prompt_and_reply_by_role(llm_server, tmp_path):
    llm_server.script = {("B cell", "annotator"): ["invented"]}
    ask(llm_server, TWO, output_name=str(tmp_path / "x"))
    kept = json.loads((tmp_path / "x_conversations.json").read_text(encoding="utf-8"))
    assert kept["schema"] == "cellferry.conversations/1"
    assert kept["parameters"]["model"] == "test-model"
    assert kept["prompts"]["version"] == "v1"
    conversation = kept["clusters"]["0"]
    assert [(m["stage"], m["role"]) for m in conversation["messages"]] == [
        (stage, role)
        for stage in ("annotator", "annotator", "validator")
        for role in ("system", "user", "assistant")
    ]
    sent = [r for r in llm_server.log if r["label"] == "B cell"]
    said = [m["content"] for m in conversation["messages"] if m["role"] == "user"]
    assert said == [r["user"] for r in sent]
    systems = [m["content"] for m in conversation["messages"] if m["role"] == "system"]
    assert systems == [r["system"] for r in sent]
    reply = conversation["messages"][2]
    assert "MADEUP1" in reply["content"]
    assert {"model", "mode", "input_tokens", "output_tokens", "seconds", "time"} <= set(reply)


def test_the_report_opens_with_the_same_labels(llm_server, tmp_path):
    ask(llm_server, TWO, output_name=str(tmp_path / "x"))
    text = (tmp_path / "x_report.html").read_text(encoding="utf-8")
    assert "B cell" in text
    assert "Cluster token:" in text


@pytest.mark.parametrize("place", ["file/x", "dir"])
def test_a_path_that_cannot_be_written_is_found_before_the_first_call(llm_server, tmp_path, place):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "dir_summary.csv").mkdir()
    with pytest.raises(errors.OutputError):
        ask(llm_server, TWO, output_name=str(tmp_path / place))
    assert llm_server.log == []


def test_a_foreign_file_is_never_replaced_and_its_own_are(llm_server, tmp_path):
    mine = tmp_path / "x_summary.csv"
    mine.write_text("my notes", encoding="utf-8")
    with pytest.raises(errors.OutputError, match="was not written by this run"):
        ask(llm_server, TWO, output_name=str(tmp_path / "x"))
    assert (mine.read_text(encoding="utf-8"), llm_server.log) == ("my notes", [])
    ask(llm_server, TWO, output_name=str(tmp_path / "x"), overwrite_files=True)
    ask(llm_server, TWO, output_name=str(tmp_path / "x"))
    llm_server.script = {("*", "*"): ["401", "..."]}
    changed = {"0": LISTS["0"][:3], "1": LISTS["1"]}
    with pytest.raises(errors.CredentialsRequiredError):
        ask(llm_server, changed, output_name=str(tmp_path / "x"))
    # A run that broke off does not disown what an earlier run of the name wrote.
    llm_server.script = {}
    ask(llm_server, changed, output_name=str(tmp_path / "x"))


def test_a_comma_in_a_label_does_not_make_two(llm_server, tmp_path):
    llm_server.script = {("B cell", "annotator"): ["label:Kupffer cell (KC), CLEC4F+ macrophage"]}
    ask(llm_server, {"0": LISTS["0"]}, output_name=str(tmp_path / "x"))
    (row,) = rows(tmp_path / "x_summary.csv")
    assert row["Predicted General Cell Type"] == "Kupffer cell (KC), CLEC4F+ macrophage"
