"""Names that annotators write, and their terms."""

from importlib import resources

import pytest

from cellferry.biology.label_names import label_names, term_named, written_by_tools
from cellferry.biology.lineage import named
from cellferry.biology.ontology import cell_ontology

LINES = (resources.files("cellferry") / "data" / "label_names.tsv").read_text("utf-8").splitlines()
ROWS = [line.split("\t") for line in LINES if line and not line.startswith("#")][1:]


@pytest.mark.parametrize(("name", "identifier", "label"), ROWS)
def test_every_name_has_a_term_in_use_with_its_label(name, identifier, label):
    term = cell_ontology()[identifier]
    assert (term.label, term.obsolete) == (label, False)
    assert written_by_tools(name) == identifier


@pytest.mark.parametrize("name", [row[0] for row in ROWS])
def test_no_name_is_one_that_the_ontology_has(name):
    assert named(name) is None


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("CD4 T cell", "CL:0000624"),
        ("CD8+ T cells", "CL:0000625"),
        ("Naive CD4 T", "CL:0000895"),
        ("CD14 monocytes", "CL:0001054"),
        ("CD16 monocytes", "CL:0000875"),
        ("Kupffer cells", "CL:0000091"),
        ("Dendritic", None),
        ("CD19+ B", None),
    ],
)
def test_a_name_is_a_term_where_nothing_is_left_out(text, identifier):
    assert term_named(text) == identifier


def test_no_name_is_there_twice():
    assert len(label_names()) == len({row[0].casefold() for row in ROWS})


@pytest.mark.parametrize("text", ["CD4 TCM", "cd4_tcm", "CD4-Tcm"])
def test_case_blanks_and_hyphens_do_not_count(text):
    assert written_by_tools(text) == "CL:0000904"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("CD14+ Monocyte", "monocyte"),
        ("CD56+ NK", "natural killer cell"),
        ("CD4+/CD25 T Reg", "regulatory T cell"),
        ("CD4+/CD45RA+/CD25- Naive T", "naive thymus-derived CD4-positive, alpha-beta T cell"),
        ("CD8+/CD45RA+ Naive Cytotoxic", "naive thymus-derived CD8-positive, alpha-beta T cell"),
        ("CD8+ Cytotoxic T", "CD8-positive, alpha-beta cytotoxic T cell"),
        ("Dendritic", "dendritic cell"),
        ("acinar", "acinar cell"),
        ("mast", "mast cell"),
    ],
)
def test_a_name_may_be_short_and_begin_with_surface_markers(text, label):
    assert cell_ontology()[written_by_tools(text)].label == label


@pytest.mark.parametrize(
    "text",
    ["donor 1", "control", "lung", "blood", "alpha", "S", "CD45+", "CD3+ sorted", "Naive", ""],
)  # fmt: skip
def test_other_columns_have_no_names_of_cells(text):
    assert written_by_tools(text) is None
