import json

from cellferry.annotations.clusters import Annotation
from cellferry.engines.llm.answer import payload_of
from cellferry.engines.llm.conversation import Conversation, Round
from cellferry.engines.llm.endpoints import endpoint
from llm_cases import answer, question

ENDPOINT = endpoint(provider="http://localhost/v1", model="m")


def row(outcome, given=None, **changes):
    made = Conversation(question(), outcome, given, **changes)
    return Annotation.from_dict(json.loads(json.dumps(payload_of(made, ENDPOINT)))["annotation"])


def test_a_passed_answer_fills_the_row():
    rounds = [Round(1, "B cell", "validator", [])]
    found = row(
        "passed", answer(subtypes=["B cell", "Naive", "Memory"], state="resting"), rounds=rounds
    )
    assert (found.status, found.label, found.detail, found.alternatives) == (
        "ok", "B cell", "Naive", ("Memory",),
    )  # fmt: skip
    assert (found.ontology_id, found.ontology_label) == ("CL:0000236", "B cell")
    assert (found.confidence, found.confidence_kind, found.iterations) == (0.9, "stated", 1)
    assert (found.state, found.n_markers, found.model, found.provider) == (
        "resting", 3, "m", "openai",
    )  # fmt: skip


def test_the_term_comes_from_the_label_where_the_model_gave_none():
    assert row("passed", answer(ontology_id=None)).ontology_id == "CL:0000236"


def test_an_answer_that_never_passed_is_unknown_with_the_reason():
    rounds = [Round(3, "B cell", "checks", ["These are not in the list: X."])]
    found = row("not_passed", answer(supporting_genes=["X", "CD79A"]), rounds=rounds)
    assert (found.status, found.label) == ("unknown", "Unknown")
    assert "These are not in the list: X." in found.error
    assert found.alternatives[0] == "B cell"
    assert found.supporting == ("CD79A",)
    assert found.ontology_id is None
    assert found.confidence is None


def test_an_abstention_is_unknown_and_no_error():
    found = row("abstained", answer(main_type="Unknown"))
    assert (found.status, found.error) == ("unknown", None)


def test_a_failure_has_no_label():
    found = row("failed", None, error="No answer.")
    assert (found.status, found.label, found.error) == ("failed", None, "No answer.")
