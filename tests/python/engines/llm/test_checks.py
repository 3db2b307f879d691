import pytest

from cellferry.engines.llm.checks import (
    check_answer,
    disagreement,
    is_unknown,
    ontology_problem,
    resolved_term,
    term_of,
)
from llm_cases import answer, question


def test_a_right_answer_passes():
    assert check_answer(answer(), question()) == []


def test_another_clusters_token_is_the_only_problem_reported():
    other = question(("CD3D", "CD3E", "TRAC"))
    problems = check_answer(answer(other, supporting_genes=["NOPE"]), question())
    assert len(problems) == 1
    assert question().token in problems[0]


@pytest.mark.parametrize("role", ["supporting", "conflicting"])
def test_genes_that_were_not_sent_are_named(role):
    genes = {f"{role}_genes": ["CD79A", "MADEUP1", "cd79b"]}
    (problem,) = check_answer(answer(**genes), question())
    assert problem == f'These {role} genes are not in the list: "MADEUP1", "cd79b".'


def test_an_answer_without_evidence_does_not_pass_and_an_honest_unknown_does():
    assert check_answer(answer(supporting_genes=[]), question()) == ["No supporting gene is cited."]
    honest = answer(main_type="unknown", supporting_genes=[], ontology_id=None)
    assert is_unknown(honest)
    assert check_answer(honest, question()) == []


@pytest.mark.parametrize(
    ("label", "subtypes", "identifier"),
    [("B cell", [], "CL:0000236"), ("B cells", [], "CL_0000236"), ("B cell", [], None),
     ("B cell", [], "CL:0000788"), ("lymphocyte", ["B cell"], "CL:0000236"),
     ("cycling B cell", [], "CL:0000236"), ("Kupffer cell (KC)", [], "CL:0000235")],
)  # fmt: skip
def test_a_term_of_the_label_its_kinds_or_its_ancestors_fits(label, subtypes, identifier):
    assert ontology_problem(label, subtypes, identifier) is None


@pytest.mark.parametrize(
    ("label", "identifier", "message"),
    [("B cell", "CL:9999999", "no term"), ("B cell", "hepatocyte", "no term"),
     ("B cell", "CL:0000084", '"T cell"'), ("hepatocyte", "CL:0000236", '"B cell"'),
     ("mystery thing", "CL:0000236", '"B cell"')],
)  # fmt: skip
def test_a_term_that_does_not_exist_or_fit_is_a_problem(label, identifier, message):
    assert message in ontology_problem(label, [], identifier)


def test_the_head_of_a_name_is_understood_and_cell_alone_says_nothing():
    assert term_of("strange new B cells") == "CL:0000236"
    assert term_of("weird cell") is None
    assert resolved_term(answer(ontology_id=None)) == "CL:0000236"


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [("B cell", "b cells", True), ("B cell", "T cell", False),
     ("B cell", "lymphocyte of B lineage", True),
     ("B cell", "cell", False), ("mystery thing", "Mystery Thing", True),
     ("mystery thing", "other thing", False)],
)  # fmt: skip
def test_two_readers_agree_within_parent_and_child(one, other, agree):
    message = disagreement(
        answer(main_type=one, ontology_id=None), answer(main_type=other, ontology_id=None)
    )
    assert (message is None) is agree
    if not agree:
        assert other in message
