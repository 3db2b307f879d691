"""What people call a species."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.biology.species import (
    KNOWN_SPECIES,
    known_species,
    nearest_species,
    species_of,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mmusculus", "mouse"), ("Mus musculus", "mouse"), ("10090", "mouse"), ("mm10", "mouse"),
        ("GRCm39", "mouse"), ("9606", "human"), ("hg38", "human"), ("GRCh38", "human"),
        ("Homo_sapiens", "human"), ("human (Homo sapiens)", "human"), ("rat", "rat"),
        ("Rattus norvegicus", "rat"), ("10116", "rat"), ("rno", "rat"), ("Sus scrofa", "pig"),
        ("9823", "pig"), ("Canis familiaris", "dog"), ("canfam3.1", "dog"), ("macaque",
        "rhesus macaque"), ("Macaca fascicularis", "crab-eating macaque"), ("Danio rerio",
        "zebrafish"), ("7955", "zebrafish"), ("NCBITaxon:9606", "human"), ("human PBMC", "human"),
        ("guinea pig", "guinea pig"), ("pig lung", "pig"), ("C57BL/6 mouse", "mouse"),
    ],
)  # fmt: skip
def test_usual_names_are_understood(text, name):
    assert known_species(text).name == name


@pytest.mark.parametrize(
    "text", ["martian", "", None, "human and mouse", "mouse xenograft", "humanised mouse", "42"]
)
def test_what_is_no_single_known_species_is_not_guessed(text):
    assert known_species(text) is None
    assert species_of(text) is None


@given(st.sampled_from(KNOWN_SPECIES), st.sampled_from([str.upper, str.title, str.lower]))
def test_every_name_and_number_finds_its_own_species_in_any_case(species, change):
    genus, name, *_ = species.latin.split()
    for text in (species.name, species.latin, str(species.taxon), *species.words):
        assert known_species(change(f" {text} ")) is species
    if species.name not in {"mouse lemur"}:  # M. murinus is fine; nobody else is M. musculus
        assert known_species(f"{genus[0]}. {name}") is not None


def test_only_species_with_tables_of_their_own_are_a_vocabulary():
    assert [s.name for s in KNOWN_SPECIES if s.is_own] == ["human", "mouse"]
    assert species_of("rat") is None
    assert {s.reads for s in KNOWN_SPECIES} == {"human", "mouse", None}


def test_the_nearest_name_is_suggested():
    assert nearest_species("humna").name == "human"
    assert nearest_species("martian") is None
