import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.biology.ontology import ROOT, Ontology, Term, cell_ontology
from cellferry.biology.text import normalized, singular

CL = cell_ontology()
IN_USE = sorted(i for i, t in CL.terms.items() if not t.obsolete)
TERMS = st.sampled_from(IN_USE)


@pytest.mark.parametrize(
    ("text", "identifier", "how"),
    [
        ("CL:0000236", "CL:0000236", "id"),
        (" cl_0000236 ", "CL:0000236", "id"),
        ("T cell", "CL:0000084", "label"),
        ("T-Cell", "CL:0000084", "label"),
        ("T cells", "CL:0000084", "plural"),
        ("B lymphocyte", "CL:0000236", "synonym"),
        ("B lymphocytes", "CL:0000236", "plural"),
        ("NK cell", "CL:0000623", "synonym"),
        ("natural_killer  cells", "CL:0000623", "plural"),
        ("nerve cell", "CL:0000540", "synonym"),
    ],
)
def test_names_lead_to_terms(text, identifier, how):
    found = CL.find(text)
    assert (found.term.id, found.how) == (identifier, how)


@pytest.mark.parametrize("text", ["", "s", "cluster 3", "T", "CL:9999999", "🧬", "no such cell"])
def test_what_names_no_term_finds_none(text):
    assert CL.find(text) is None


def test_the_extract_is_whole_and_small():
    assert len(IN_USE) > 3000
    assert CL.version >= "2026"
    assert CL[ROOT].label == "cell"


def test_relations_that_everybody_knows():
    assert CL.is_a("CL:0000624", "CL:0000084")
    assert not CL.is_a("CL:0000084", "CL:0000624")
    assert CL[CL.common_ancestor("CL:0000084", "CL:0000236")].label == "lymphocyte"
    assert CL[CL.common_ancestor("CL:0000576", "CL:0000235")].label == "mononuclear phagocyte"
    assert CL.distance("CL:0000084", "CL:0000084") == 0
    assert CL.distance("CL:0000860", "CL:0000576") == 1
    with pytest.raises(KeyError):
        CL.ancestors("CL:9999999")


def test_obsolete_terms_lead_to_their_replacement():
    replaced = [t for t in CL.terms.values() if t.obsolete and t.replaced_by in CL]
    assert len(replaced) > 20
    for term in replaced:
        current = CL.current(term.id)
        assert current is None or not CL[current].obsolete
    assert CL.current("CL:0000003") == ROOT
    assert CL.find("CL:0000003").term.id == ROOT


def test_a_replacement_in_a_circle_ends():
    terms = {i: Term(i, i, obsolete=True, replaced_by=r) for i, r in (("A", "B"), ("B", "A"))}
    assert Ontology(terms).current("A") is None


def test_an_unclear_name_finds_nothing_and_an_old_one_does_not_make_it_unclear():
    terms = {
        "A": Term("A", "one", ("both",)),
        "B": Term("B", "two", ("both",)),
        "C": Term("C", "obsolete one", obsolete=True),
    }
    assert Ontology(terms).find("both") is None
    assert Ontology(terms).find("one").term.id == "A"


@given(TERMS)
def test_every_term_is_found_by_its_id_and_label(identifier):
    assert CL.find(identifier).term.id == identifier
    found = CL.find(CL[identifier].label)
    assert normalized(found.term.label) == normalized(CL[identifier].label)


@given(TERMS)
def test_ancestors_are_transitive_and_never_the_term_itself(identifier):
    above = CL.ancestors(identifier)
    assert identifier not in above
    for ancestor, steps in above.items():
        for further, more in CL.ancestors(ancestor).items():
            assert above[further] <= steps + more


@given(TERMS, TERMS)
def test_common_ancestor_and_distance_are_symmetric(one, other):
    found = CL.common_ancestor(one, other)
    assert found == CL.common_ancestor(other, one)
    assert CL.distance(one, other) == CL.distance(other, one)
    assert (found is None) == (CL.distance(one, other) is None)
    if found is not None:
        assert CL.is_a(one, found)
        assert CL.is_a(other, found)
    assert (CL.distance(one, other) == 0) == (one == other)


@given(TERMS, TERMS, TERMS)
def test_common_ancestor_is_the_lowest(one, other, third):
    found = CL.common_ancestor(one, other)
    shared = {one, *CL.ancestors(one)} & {other, *CL.ancestors(other)}
    if third in shared:
        assert len(CL.ancestors(found)) >= len(CL.ancestors(third))


@given(st.text(max_size=30))
def test_any_text_is_normalised_once(text):
    assert normalized(normalized(text)) == normalized(text)


@pytest.mark.parametrize(
    ("plural", "one"), [("b cells", "b cell"), ("bodies", "body"), ("thymus", "thymus")]
)
def test_singular(plural, one):
    assert singular(plural) == one


MINUS = re.compile(r"\b(\w*\d\w*|Ig[A-Z])-(?=[\s+]|CD\d|$)")
NEGATIVE = [(i, n) for i in IN_USE for n in (CL[i].label, *CL[i].synonyms) if MINUS.search(n)]


@pytest.mark.parametrize(("identifier", "name"), NEGATIVE)
def test_cells_without_a_marker_are_no_cells_with_it(identifier, name):
    assert CL.find(name).term.id == identifier
    assert CL.find(MINUS.sub("\\1\u207b", name)).term.id == identifier
    for sign in (" ", "+ "):
        found = CL.find(MINUS.sub(f"\\1{sign}", name))
        assert found is None or found.term.id != identifier
