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


@pytest.mark.parametrize(
    "wrong", [{"confidence": 95}, {"confidence": -0.1}, {"main_type": ""}, {"subtypes": [{"a": 1}]}]
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(ValidationError):
        answer(**wrong)


def test_every_field_is_asked_for_and_explained():
    for schema in (Answer, Verdict):
        form = schema.model_json_schema()
        assert set(form["required"]) == set(form["properties"])
        assert all(p["description"] for p in form["properties"].values())
