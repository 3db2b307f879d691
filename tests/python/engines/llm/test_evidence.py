"""Evidence: what a model asks to have looked up, in every mode, and what it never costs."""

import json
import re

import numpy as np
import pytest

import cellferry
from cell_data import MARKERS, cells
from cellferry.engines.llm.evidence import Evidence, EvidenceRequest, request_in
from cellferry.errors import EngineNeedsError, InvalidOptionError, UploadNotAllowedError
from cellferry.study.expression.lookup import Figures
from llm_cases import ask, engine

MODES = ("tool", "schema", "prompted")
TABLE = {str(i): genes for i, genes in enumerate(MARKERS.values())}


def annotate(server, /, adata=None, **options):
    options = {"evidence_rounds": 2, "max_workers": 1, **options}
    adata = cells() if adata is None else adata
    made = engine(server, **options)
    return cellferry.annotate_clusters(
        adata, TABLE, engine=made, group_key="leiden", species="human", progress=False
    )


def users(server, label="B cell", stage="annotator"):
    return [r["user"] for r in server.log if (r["label"], r["stage"]) == (label, stage)]


def line_of(gene, text):
    return next(line for line in text.splitlines() if line.startswith(f"{gene}\t"))


@pytest.mark.parametrize("mode", MODES)
def test_genes_that_are_asked_for_are_looked_up_and_the_model_then_answers(llm_server, mode):
    llm_server.script = {("B cell", "annotator"): ["ask:LYZ,CD3D"]}
    adata = cells()
    found = annotate(llm_server, adata, output_mode=mode)
    first, second = users(llm_server)
    assert "`evidence`" in first
    figures = re.split(r"\t", [ln for ln in second.splitlines() if ln.startswith("LYZ\t")][-1])
    inside = np.asarray(adata[adata.obs.leiden == "0", "LYZ"].X.todense()).ravel()
    assert figures[1:3] == [f"{100 * np.mean(inside > 0):.0f}", f"{inside.mean():.2f}"]
    assert [row.label for row in found] == ["B cell", "T cell", "Monocyte"]
    assert found["0"].status == "ok"
    # Who did not ask is not asked twice.
    assert len(users(llm_server, "T cell")) == 1


@pytest.mark.parametrize("mode", MODES)
def test_when_the_rounds_are_used_up_the_model_is_asked_without_the_offer(llm_server, mode):
    llm_server.script = {("B cell", "annotator"): ["ask:LYZ", "..."]}
    found = annotate(llm_server, output_mode=mode)
    asked = users(llm_server)
    assert ["`evidence`" in text for text in asked] == [True, True, False]
    assert ("2 times" in asked[0], "once" in asked[1]) == (True, True)
    assert (found["0"].label, found["0"].status, found["0"].iterations) == ("B cell", "ok", 1)


@pytest.mark.parametrize("mode", ["tool", "schema"])
def test_a_model_that_asks_unasked_in_the_end_keeps_its_answer(llm_server, mode):
    llm_server.script = {("B cell", "annotator"): ["beg:LYZ", "beg:LYZ", "beg:LYZ"]}
    assert annotate(llm_server, output_mode=mode)["0"].label == "B cell"


@pytest.mark.parametrize("mode", MODES)
def test_an_offer_that_confuses_a_model_costs_no_label(llm_server, mode):
    llm_server.script = {("B cell", "annotator"): ["prose", "prose"]}
    found = annotate(llm_server, output_mode=mode)
    assert found["0"].label == "B cell"
    assert "`evidence`" not in users(llm_server)[-1]


def test_unknown_genes_are_said_and_too_many_are_cut(llm_server):
    genes = ["NOSUCH1", *(f"G{i}" for i in range(30))]
    llm_server.script = {("B cell", "annotator"): ["ask:" + ",".join(genes)]}
    found = annotate(llm_server)
    text = users(llm_server)[1]
    assert 'Not measured, which is no evidence: "NOSUCH1"' in text
    assert "At most 20 genes are looked up at once; 11 more genes not looked up." in text
    assert found.evidence["0"]["lookups"][0]["not_found"][0] == "NOSUCH1"
    assert found["0"].label == "B cell"


def test_a_gene_that_was_looked_up_may_be_cited(llm_server):
    from cellferry.engines.llm.checks import check_answer
    from cellferry.engines.llm.evidence import Finding, Looked
    from llm_cases import answer, question

    of = question()
    looked = Looked([Finding(("PAX5",), (), "PAX5\t90")])
    cited = answer(of, supporting_genes=["CD79A", "PAX5"])
    assert check_answer(cited, of) == ['These supporting genes are not in the list: "PAX5".']
    assert check_answer(cited, looked.known(of)) == []


def test_only_columns_that_were_allowed_are_looked_up(llm_server):
    adata = cells()
    adata.obs["donor"] = ["d1", "d2"] * 30
    adata.obs["secret"] = "hidden"
    script = {("B cell", "annotator"): ["ask:|donor,secret"]}
    llm_server.script = script
    annotate(llm_server, adata, evidence_columns=["donor"])
    first, second = users(llm_server)
    assert "values of: donor" in first
    assert "d1\t50\t50" in second
    assert 'no column "secret"' in second
    assert "hidden" not in second


def test_what_was_looked_up_is_in_the_conversation_the_card_and_the_validator(llm_server, tmp_path):
    llm_server.script = {("B cell", "annotator"): ["ask:LYZ"]}
    found = annotate(llm_server, output_name=str(tmp_path / "r"))
    kept = found.evidence["0"]
    assert [m["role"] for m in kept["conversation"]] == [
        "user", "assistant", "evidence", "user", "assistant", "user", "assistant",
    ]  # fmt: skip
    assert kept["lookups"][0]["genes"] == ["LYZ"]
    assert line_of("LYZ", kept["lookups"][0]["found"]) in users(llm_server, stage="validator")[0]
    logged = json.loads((tmp_path / "r_conversations.json").read_text())
    assert "evidence" in [m["role"] for m in logged["clusters"]["0"]["messages"]]
    report = (tmp_path / "r_report.html").read_text()
    assert "Looked up for the annotator" in report


def test_a_finished_cluster_is_not_asked_again_after_a_kill(llm_server, tmp_path):
    options = {"output_name": str(tmp_path / "r"), "overwrite_files": True}
    llm_server.script = {
        ("B cell", "annotator"): ["ask:LYZ"], ("T cell", "annotator"): ["401"],
    }  # fmt: skip
    with pytest.raises(cellferry.errors.CellferryError):
        annotate(llm_server, **options)
    before = len(users(llm_server))
    assert annotate(llm_server, **options)["0"].label == "B cell"
    assert (before, len(users(llm_server))) == (2, 2)


def test_the_dry_run_has_the_calls_and_tokens_of_the_requests(llm_server):
    def plan(**options):
        made = engine(llm_server, **options)
        return cellferry.annotate_clusters(
            cells(), TABLE, engine=made, group_key="leiden", species="human", dry_run=True
        )

    without, with_it = plan(), plan(evidence_rounds=2)
    assert (without.calls, with_it.calls) == (6, 12)
    assert with_it.input_tokens > 2 * without.input_tokens
    assert "6 of them only where the model asks for evidence" in str(with_it)


def test_expression_goes_elsewhere_with_consent_only():
    from cellferry.engines.llm import LLM

    given = {"provider": "openai", "model": "m", "api_key": "sk-x"}
    assert LLM(**given).capabilities.sends == {"markers"}
    made = LLM(**given, evidence_rounds=1, evidence_columns=["donor"])
    assert made.capabilities.sends == {"markers", "expression", "metadata"}
    adata = cells()
    adata.obs["donor"] = "d1"
    with pytest.raises(UploadNotAllowedError, match=r"expression and metadata .*donor"):
        cellferry.annotate_clusters(adata, TABLE, engine=made, group_key="leiden", progress=False)


def test_a_table_alone_cannot_be_looked_up_in(llm_server):
    with pytest.raises(EngineNeedsError, match="needs normalised expression"):
        ask(llm_server, TABLE, evidence_rounds=1)
    assert llm_server.log == []


def test_without_rounds_the_question_is_what_it_was(llm_server):
    annotate(llm_server, evidence_rounds=0)
    ask(llm_server, TABLE)
    assert "`evidence`" not in "".join(r["user"] for r in llm_server.log)
    assert all(len(r["body"].get("tools", [1])) == 1 for r in llm_server.log)


def test_a_column_that_is_not_there_is_refused_before_any_call(llm_server):
    with pytest.raises(InvalidOptionError, match='no column "donr"'):
        annotate(llm_server, evidence_columns=["donr"])
    assert llm_server.log == []


@pytest.mark.parametrize(
    ("calls", "text", "genes"),
    [
        ([("evidence", '{"genes": "CD3D"}')], "", ["CD3D"]),
        ([("evidence", '{"evidence": {"genes": ["A", "B"], "columns": null}}')], "", ["A", "B"]),
        ([("evidence", '{"genes": ["A"]}'), ("answer", "{}")], "", None),
        ([("evidence", "{not json")], "", None),
        ([("evidence", "{'genes': ['A'],}")], "", ["A"]),
        ([], '{"evidence": "CD3D, LYZ"}', ["CD3D", "LYZ"]),
        ([], '{"evidence": ["CD3D"]}', ["CD3D"]),
        ([], '{"evidence": "{\\"genes\\": [\\"CD3D\\"]}"}', ["CD3D"]),
        ([], 'I want {"evidence": {"genes": ["CD3D"], "columns": []}} first.', ["CD3D"]),
        ([], '{"evidence": {"genes": [], "columns": []}}', None),
        ([], '{"evidence": null, "main_type": "B cell"}', None),
        ([("answer", '{"evidence": {"genes": ["X"]}}')], "", ["X"]),
    ],
)
def test_a_request_is_read_in_the_forms_that_models_give_it(calls, text, genes):
    found = request_in([name for name, _ in calls], [given for _, given in calls], text)
    assert (None if found is None else found.genes) == genes


def test_figures_that_cannot_be_had_are_said():
    class Nowhere:
        def figures(self, genes):
            return None

        def composition(self, column):
            return None

    found = Evidence(Nowhere(), 1).look_up("0", EvidenceRequest(genes=["A"], columns=["b"]))
    assert "cannot be looked up in these data" in found.text
    assert 'no column "b"' in found.text


def test_the_other_clusters_are_in_the_order_of_the_contrast_and_have_no_names():
    class Three:
        def figures(self, genes):
            counts = np.array([[8, 1, 10]])
            return Figures(("G",), ("own", "x", "y"), np.array([10, 10, 10]), counts, counts * 1.0)

    evidence = Evidence(Three(), 1, (), ("y", "own", "x"))
    text = evidence.look_up("own", EvidenceRequest(genes=["G"], columns=[])).text
    assert text.splitlines()[1] == "G\t80\t0.80\t55\t0.55\t100 10"
