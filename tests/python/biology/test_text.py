import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.biology.species import species_of
from cellferry.biology.text import ontology_id, ontology_id_in, says_unknown, token_of

NUMBERS = st.from_regex(r"[0-9]{7}", fullmatch=True)
FORMS = ["CL:{}", "CL_{}", "cl:{}", " CL_{} ", "http://purl.obolibrary.org/obo/CL_{}",
         "https://purl.obolibrary.org/obo/CL_{}", "obo:CL_{}"]  # fmt: skip


@given(NUMBERS, st.sampled_from(FORMS))
def test_every_form_of_an_id_is_one_id(number, form):
    assert ontology_id(form.format(number)) == f"CL:{number}"
    assert ontology_id(ontology_id(form.format(number))) == f"CL:{number}"


@pytest.mark.parametrize(
    "text", ["", "CL:236", "CL:00002361", "UBERON:0000955", "B cell", "0000236"]
)
def test_what_is_no_id(text):
    assert ontology_id(text) is None


@given(NUMBERS, st.sampled_from(["B cells ({})", "{}", "x {} y", "obo/{}"]))
def test_an_id_is_found_in_a_text(number, form):
    assert ontology_id_in(form.format(f"CL_{number}")) == f"CL:{number}"
    assert ontology_id_in(form.format(f"CL:{number}9")) is None


@pytest.mark.parametrize(
    "label", ["Unknown", " unknown cell_type", "UNASSIGNED", "unclassified", "Undetermined", "N/A"]
)
def test_labels_that_say_nothing(label):
    assert says_unknown(label)
    assert not says_unknown(f"{label} T cell")


@given(st.text())
def test_a_token_stays_one(text):
    assert token_of(token_of(text)) == token_of(text)


@pytest.mark.parametrize(
    ("text", "species"),
    [("Homo sapiens", "human"), ("human", "human"), (" HS", "human"), ("homo_sapiens", "human"),
     ("Mus  musculus", "mouse"), ("mice", "mouse"), ("Murine", "mouse"), ("10090", "mouse"),
     ("zebrafish", None), ("", None), (None, None), ("humanised mouse", None)],
)  # fmt: skip
def test_words_for_a_species(text, species):
    assert species_of(text) == species
