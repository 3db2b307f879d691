"""What is understood of tissue and species is said, and what is not is a warning."""

import logging
import warnings

import pytest

import cellferry
from cellferry.errors import (
    CellferryWarning,
    GenesUnrecognisedWarning,
    InvalidOptionError,
    SpeciesWarning,
    TissueWarning,
)

B_CELLS = {"0": ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"]}
MOUSE = {"0": ["Cd79a", "Ms4a1", "Cd79b", "Cd19", "Bank1"]}


def said(caplog, markers=None, **context):
    with caplog.at_level(logging.INFO, "cellferry"), warnings.catch_warnings():
        warnings.simplefilter("error", CellferryWarning)
        found = cellferry.annotate_clusters(markers or B_CELLS, progress=False, **context)
    return caplog.text, found.provenance


@pytest.mark.parametrize(
    ("tissue", "line", "names"),
    [
        ("Lung tumor", "tissue: lung, from 'Lung tumor'.", ["lung"]),
        ("PBMC", "tissue: blood, from 'PBMC'.", ["blood"]),
        ("blood", "tissue: blood.", ["blood"]),
        ("blood and spleen", "tissue: blood, spleen, from", ["blood", "spleen"]),
        ("Human colon, healthy", "tissue: large intestine, from", ["large intestine"]),
    ],
)
def test_the_tissue_is_said_and_kept(caplog, tissue, line, names):
    text, provenance = said(caplog, tissue=tissue)
    assert line in text
    assert provenance["understood"]["tissue"]["names"] == names
    assert provenance["understood"]["tissue"]["given"] == tissue


@pytest.mark.parametrize(
    ("tissue", "hint"),
    [("blod", 'Did you mean "blood"?'), ("NSCLC", 'Did you mean "lung"?'),
     ("tumor", "Name one or more of: adipose tissue"), ("lung, blod", 'Did you mean "blood"?')],
)  # fmt: skip
def test_a_word_that_is_not_understood_is_a_warning_with_valid_ones(tissue, hint):
    with pytest.warns(TissueWarning) as caught:
        found = cellferry.annotate_clusters(B_CELLS, tissue=tissue, progress=False)
    (warning,) = [w.message for w in caught if isinstance(w.message, TissueWarning)]
    assert hint in warning.hint
    assert "KnownTissues()" in warning.hint
    assert found.provenance["understood"]["tissue"]["not_understood"]


def test_a_part_that_is_no_tissue_at_all_is_only_mentioned(caplog):
    text, _ = said(caplog, tissue="colon; Crohn's disease")
    assert 'Not read as a tissue: "Crohn\'s disease"' in text


@pytest.mark.parametrize("level", [cellferry.annotate_clusters, cellferry.annotate_cells])
@pytest.mark.parametrize("value", [["blood"], 5, ("blood", "lung"), {"blood": 1}])
@pytest.mark.parametrize("name", ["tissue", "species", "study_context"])
def test_what_is_no_text_is_an_invalid_option(level, value, name):
    with pytest.raises(InvalidOptionError, match=f"`{name}` must be text"):
        level(B_CELLS, progress=False, **{name: value})


@pytest.mark.parametrize(("species", "name"), [("9606", "human"), ("hg38", "human")])
def test_usual_names_of_a_species_are_mapped_and_said(caplog, species, name):
    text, provenance = said(caplog, species=species)
    assert f"species: {name}, from '{species}'." in text
    assert (provenance["species"], provenance["species_from"]) == (name, "stated")


def test_where_nothing_is_stated_the_species_is_from_the_genes(caplog):
    _, provenance = said(caplog, MOUSE)
    assert (provenance["species"], provenance["species_from"]) == ("mouse", "genes")


def test_a_species_without_markers_says_what_is_read_before_it_runs(caplog):
    text, provenance = said(caplog, MOUSE, species="Rattus norvegicus")
    assert "There are no markers of rat (Rattus norvegicus) of its own" in text
    assert "as those of mouse. 5 of 5 genes are mouse symbols, and 5 of them are markers" in text
    assert provenance["species"] == "rat"
    assert provenance["species_read"] == "mouse"


def test_a_species_of_whose_genes_few_are_known_is_a_warning():
    genes = ["zgc:1", "zgc:2", "si:ch211-5k11.unknown"]
    with (
        pytest.warns(GenesUnrecognisedWarning),
        pytest.warns(SpeciesWarning, match="0 of 3 genes are human symbols"),
    ):
        cellferry.annotate_clusters({"0": genes}, species="zebrafish", progress=False)


def test_a_species_that_is_not_understood_is_a_warning_with_the_valid_ones():
    with pytest.warns(SpeciesWarning, match='"mosue" was not understood') as caught:
        found = cellferry.annotate_clusters(MOUSE, species="mosue", progress=False)
    assert 'Did you mean "mouse"? Valid: human, mouse, rat' in caught[0].message.hint
    assert (found.provenance["species"], found.provenance["species_from"]) == ("mouse", "genes")


def test_a_stated_species_that_contradicts_the_genes_is_a_warning():
    with pytest.warns(SpeciesWarning, match="are of human"):
        cellferry.annotate_clusters(B_CELLS, species="mus musculus", progress=False)


def test_what_is_known_can_be_listed():
    tissues = cellferry.known_tissues()
    assert {"blood", "lung"} <= set(tissues.tissue)
    assert (tissues.cell_types > 0).all()
    types = cellferry.known_cell_types()
    lung = cellferry.known_cell_types("Lung tumor")
    assert set(lung.cell_type) < set(types.cell_type)
    assert "Hepatocyte" not in set(lung.cell_type)
    assert set(cellferry.known_cell_types(species="rat").species.str.contains("mouse")) == {True}
    with pytest.raises(InvalidOptionError, match="lng") as caught:
        cellferry.known_cell_types("lng")
    assert 'Did you mean "lung"?' in caught.value.hint
    with pytest.raises(InvalidOptionError, match="fly"):
        cellferry.known_cell_types(species="fly")
