import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.biology.gene_tables import (
    PREFIXES,
    aliases,
    known_symbols,
    orthologs,
    resolve,
    symbols_by_number,
    to_symbols,
)
from cellferry.biology.recognition import detect_species

SPECIES = tuple(PREFIXES)


def identifier(species, number):
    return f"{PREFIXES[species]}{number:011d}"


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("ENSG00000167286", "CD3D"),
        ("ENSG00000167286.9", "CD3D"),
        ("ENSG00000156738", "MS4A1"),
        ("ENSMUSG00000032094", "Cd3d"),
        ("ENSMUSG00000024673.7", "Ms4a1"),
    ],
)
def test_well_known_identifiers(name, symbol):
    assert to_symbols([name]).symbols == {name: symbol}


def test_what_has_no_symbol_is_told_and_never_guessed():
    given_names = ["ENSG00000167286", "ENSG99999999999", "CD3D", "ensg00000167286", ""]
    found = to_symbols([*given_names, "ENSG00000167286"])
    assert dict(found.symbols) == {"ENSG00000167286": "CD3D"}
    assert found.lost == ("ENSG99999999999", "CD3D", "ensg00000167286", "")
    assert found.share == pytest.approx(1 / 5)
    assert to_symbols([]).share == 0


def test_two_versions_of_one_identifier_are_not_ambiguous_but_two_identifiers_are():
    assert to_symbols(["ENSG00000167286", "ENSG00000167286.9"]).ambiguous == ()
    for species in SPECIES:
        by_symbol = {}
        for number, symbol in symbols_by_number(species).items():
            by_symbol.setdefault(symbol, []).append(number)
        symbol, numbers = next((s, n) for s, n in by_symbol.items() if len(n) > 1)
        assert to_symbols(identifier(species, n) for n in numbers).ambiguous == (symbol,)


@pytest.mark.parametrize(("species", "at_least"), [("human", 25_000), ("mouse", 30_000)])
def test_tables_are_whole(species, at_least):
    table = symbols_by_number(species)
    assert len(table) > at_least
    assert list(table) == sorted(table)
    assert not any(re.search(r"\s|^ENS", symbol) for symbol in table.values())
    assert detect_species(table.values()).species == species


@given(st.sampled_from(SPECIES), st.data())
def test_every_identifier_gets_its_symbol_with_any_version(species, data):
    number, symbol = data.draw(st.sampled_from(sorted(symbols_by_number(species).items())))
    name = f"{identifier(species, number)}.{data.draw(st.integers(1, 30))}"
    assert to_symbols([name]).symbols == {name: symbol}


def test_orthologs_are_one_to_one_and_symbols_of_their_species():
    there, back = orthologs("human"), orthologs("mouse")
    assert len(there) == len(back) > 15_000
    assert {mouse: human for human, mouse in there.items()} == dict(back)
    # The rest was renamed since that release of Ensembl.
    assert len(there.keys() & known_symbols("human")) > 0.92 * len(there)
    assert len(back.keys() & known_symbols("mouse")) > 0.92 * len(back)


@pytest.mark.parametrize(
    ("human", "mouse"), [("CD3E", "Cd3e"), ("CD24", "Cd24a"), ("CA1", "Car1"), ("GNLY", None)]
)
def test_orthologs_are_looked_up_and_not_spelt(human, mouse):
    assert orthologs("human").get(human) == mouse


def test_one_in_twelve_orthologs_is_not_the_same_word():
    there = orthologs("human")
    same = sum(mouse.upper() == human for human, mouse in there.items())
    assert 0.85 < same / len(there) < 0.95


@pytest.mark.parametrize(
    ("name", "species", "symbol"),
    [
        ("CD20", "human", "MS4A1"),
        ("CD8", "human", "CD8A"),
        ("IgD", "human", "IGHD"),
        ("SDPR", "human", "CAVIN2"),
        ("CTGF", "human", "CCN2"),
        ("Ctgf", "mouse", "Ccn2"),
        ("CD20", "mouse", "Ms4a1"),
        ("MS4A1", "human", "MS4A1"),
        ("MS4A1", "mouse", None),
        ("ms4a1", "human", None),
    ],
)
def test_names_out_of_use(name, species, symbol):
    assert resolve(name, species) == symbol


@pytest.mark.parametrize("species", SPECIES)
def test_no_alias_is_a_current_symbol_and_every_one_leads_to_one(species):
    table = aliases(species)
    assert len(table) > 400
    assert not table.keys() & known_symbols(species)
    assert set(table.values()) <= known_symbols(species)
