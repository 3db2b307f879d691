import pytest
from pydantic import ValidationError

from cellferry.engines.llm.replies import Answer, Verdict
from llm_cases import answer


def test_a_text_is_a_list_of_one_and_never_letters():
    assert answer(subtypes="CD8 T cell", mixed_types=None, supporting_genes="").subtypes == [
        "CD8 T cell"
    ]
    found = answer(mixed_types=None, conflicting_genes=" ")
    assert (found.mixed_types, found.conflicting_genes) == ([], [])


@pytest.mark.parametrize("nothing", ["", "null", "None", "N/A", None])
def test_words_for_nothing_are_nothing(nothing):
    assert answer(ontology_id=nothing, state=nothing).ontology_id is None


@pytest.mark.parametrize("wrong", [{"main_type": ""}, {"subtypes": [{"a": 1}]}])
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(ValidationError):
        answer(**wrong)


@pytest.mark.parametrize("unclear", [-0.1, 700, 7, "sure?", None, [], True])
def test_a_confidence_that_is_not_clear_is_none_and_the_label_is_kept(unclear):
    found = answer(confidence=unclear)
    assert (found.main_type, found.confidence) == ("B cell", None)


@pytest.mark.parametrize(
    ("given", "genes"),
    [("CD79A, MS4A1 and CD19", ["CD79A", "MS4A1", "CD19"]), ('["CD79A"]', ["CD79A"]),
     ("['CD79A', 'MS4A1',]", ["CD79A", "MS4A1"]), ("CD79A MS4A1", ["CD79A", "MS4A1"]),
     ([{"gene": "CD79A", "why": "x"}], ["CD79A"]), ({"CD79A": 3.1}, ["CD79A"]),
     ("CD79A (3.1, high); MS4A1", ["CD79A (3.1, high)", "MS4A1"]), (["None"], [])],
)  # fmt: skip
def test_genes_are_read_from_any_list(given, genes):
    assert answer(supporting_genes=given).supporting_genes == genes


def test_a_comma_is_part_of_the_name_of_a_cell():
    label = "CD4-positive, alpha-beta T cell"
    assert answer(subtypes=label).subtypes == [label]
    assert answer(subtypes="1. **Naive B cell**\n2. Memory B cell").subtypes == [
        "Naive B cell", "Memory B cell",
    ]  # fmt: skip


def test_every_field_is_asked_for_and_explained():
    for schema in (Answer, Verdict):
        form = schema.model_json_schema()
        assert set(form["required"]) == set(form["properties"])
        assert all(p["description"] for p in form["properties"].values())
