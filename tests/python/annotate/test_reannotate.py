"""One cluster asked again with a person's remark: only this one, and nothing is lost by it."""

import anndata
import pytest

import cellferry
from cell_data import MARKERS, cells
from cellferry.errors import (
    CredentialsRequiredError,
    EngineNeedsError,
    InvalidOptionError,
    RunNotFoundError,
    ServiceError,
)
from cellferry.runs.run import Run
from llm_cases import LISTS, ask, engine

REMARK = "Sorted for plasma cells."
TABLE = {str(i): genes for i, genes in enumerate(MARKERS.values())}


def label(text):
    return {("B cell", "annotator"): [f"label:{text}"]}


def again(server, data, cluster="0", remark=REMARK, /, **options):
    server.log.clear()
    server.used.clear()
    return cellferry.reannotate(data, cluster, remark, progress=False, **options)


def test_only_this_cluster_is_asked_with_the_remark_and_its_earlier_answer(llm_server):
    first = ask(llm_server)
    llm_server.script = label("plasma cell=CL:0000786")
    found = again(llm_server, first)
    assert [r["label"] for r in llm_server.log] == ["B cell", "B cell"]
    assert f'- Earlier answer: "B cell". {REMARK}' in llm_server.log[0]["user"]
    assert found["0"].label == "plasma cell"
    assert found["0"].ontology_id == "CL:0000786"
    assert [a for a in found if a.cluster != "0"] == [a for a in first if a.cluster != "0"]
    earlier = found.evidence["0"]["earlier"]
    assert (earlier[0]["label"], earlier[0]["remark"]) == ("B cell", REMARK)


def test_the_new_answer_is_that_of_the_run_from_then_on(llm_server):
    first = ask(llm_server)
    llm_server.script = label("plasma cell=CL:0000786")
    again(llm_server, first.provenance["run"])
    run = Run.open(first.provenance["run"])
    assert run.content["status"] == "finished"
    assert run.results()["0"].label == "plasma cell"
    n = len(llm_server.log)
    assert cellferry.resume(run.id, progress=False)["0"].label == "plasma cell"
    assert len(llm_server.log) == n


def test_a_second_remark_is_beside_the_first(llm_server):
    first = ask(llm_server)
    llm_server.script = label("plasma cell=CL:0000786")
    again(llm_server, first)
    llm_server.script = label("plasmablast=CL:0000980")
    found = again(llm_server, first, "0", "They divide.")
    asked = llm_server.log[0]["user"]
    assert REMARK in asked
    assert 'Earlier answer: "plasma cell". They divide.' in asked
    assert [e["label"] for e in found.evidence["0"]["earlier"]] == ["B cell", "plasma cell"]


@pytest.mark.parametrize("fault", ["prose", "400"])
def test_without_an_answer_the_earlier_one_stays(llm_server, fault):
    first = ask(llm_server)
    llm_server.script = {("B cell", "*"): [fault, "..."]}
    with pytest.raises(ServiceError, match='Cluster "0" got no answer'):
        again(llm_server, first)
    run = Run.open(first.provenance["run"])
    assert run.content["status"] == "finished"
    assert run.content["options"]["remarks"] == {}
    assert run.results()["0"].label == "B cell"


def test_a_refused_key_changes_nothing(llm_server):
    first = ask(llm_server)
    llm_server.script = {("*", "*"): ["401", "..."]}
    with pytest.raises(CredentialsRequiredError):
        again(llm_server, first)
    assert Run.open(first.provenance["run"]).results()["0"].label == "B cell"


def test_an_object_is_labelled_in_place_and_its_expression_can_be_asked_for(llm_server, tmp_path):
    adata = cells()
    options = {"output_name": str(tmp_path / "r"), "evidence_rounds": 1}
    cellferry.annotate_clusters(
        adata, TABLE, engine=engine(llm_server, **options),
        group_key="leiden", species="human", progress=False,
    )  # fmt: skip
    llm_server.script = {("B cell", "annotator"): ["ask:LYZ", "label:plasma cell=CL:0000786"]}
    again(llm_server, adata)
    assert "LYZ\t" in llm_server.log[1]["user"]
    assert set(adata.obs["cell_type"][adata.obs["leiden"] == "0"]) == {"plasma cell"}
    assert set(adata.obs["cell_type"][adata.obs["leiden"] == "1"]) == {"T cell"}
    assert "plasma cell" in (tmp_path / "r_summary.csv").read_text()
    assert cellferry.read_annotations(adata)["0"].label == "plasma cell"
    # The table alone has no expression, so it is asked without.
    llm_server.script = label("plasmablast=CL:0000980")
    found = again(llm_server, str(tmp_path / "r_run"), "0", "They divide.")
    assert "`evidence`" not in llm_server.log[0]["user"]
    assert found["0"].label == "plasmablast"
    assert len(llm_server.log) == 2


@pytest.mark.parametrize(
    ("cluster", "remark", "wrong"),
    [("nine", REMARK, 'no cluster "nine"'), ("0", "  ", "`remark` must be")],
)
def test_what_cannot_be_asked_is_refused_before_any_call(llm_server, cluster, remark, wrong):
    first = ask(llm_server)
    with pytest.raises(InvalidOptionError, match=wrong):
        again(llm_server, first, cluster, remark)
    assert llm_server.log == []


def test_only_a_language_model_takes_remarks():
    found = cellferry.annotate_clusters(LISTS, progress=False)
    with pytest.raises(EngineNeedsError, match='"local" takes no remarks'):
        cellferry.reannotate(found, "0", REMARK)


def test_an_object_that_was_not_annotated_says_so():
    with pytest.raises(cellferry.errors.CellferryError, match="no annotations"):
        cellferry.reannotate(anndata.AnnData(), "0", REMARK)
    with pytest.raises(RunNotFoundError):
        cellferry.reannotate("no-such-run", "0", REMARK)


def test_remarks_can_be_given_at_once_and_name_clusters(llm_server):
    found = ask(llm_server, remarks={"1": "Not sorted."})
    assert found["1"].label == "T cell"
    assert [REMARK in r["user"] or "Not sorted." in r["user"] for r in llm_server.log].count(
        True
    ) == len([r for r in llm_server.log if r["label"] == "T cell"])
    with pytest.raises(InvalidOptionError, match="which is no cluster"):
        ask(llm_server, remarks={"99": "x"})
