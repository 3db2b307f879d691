"""Genes of other species by the table of their orthologs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.biology.gene_tables import known_symbols
from cellferry.biology.orthologs import (
    PREFIXES,
    has_orthologs,
    ortholog_table,
    species_read,
    species_shown,
)
from cellferry.biology.recognition import recognise, species_in_capitals
from cellferry.biology.species import KNOWN_SPECIES, known_species

ALL = sorted(PREFIXES.values())


@pytest.mark.parametrize("species", ALL)
def test_a_table_leads_to_symbols_that_are_known_only(species):
    table, vocabulary = ortholog_table(species), known_species(species).reads
    targets = {*table.by_symbol.values(), *table.by_number.values()}
    assert targets <= known_symbols(vocabulary)
    assert len(targets) > 13_000


@pytest.mark.parametrize("species", ALL)
def test_an_identifier_is_read_as_its_symbol_is(species):
    table = ortholog_table(species)
    for human in ("PTPRC", "CD79A", "EPCAM", "KDR"):
        symbols = [s for s, target in table.by_symbol.items() if target.upper() == human]
        numbers = [n for n, target in table.by_number.items() if target.upper() == human]
        assert symbols, human
        assert numbers, human
        name = f"{table.prefix}{numbers[0]:011}"
        assert table.find(f"{name}.3") == table.find(name) == table.find(symbols[0])


@given(st.sampled_from(ALL), st.integers(0, 10**6), st.sampled_from([str.upper, str.lower, str]))
def test_a_symbol_is_read_in_any_letters_and_as_one_gene(species, place, change):
    table = ortholog_table(species)
    symbols = sorted(table.by_symbol)
    symbol = symbols[place % len(symbols)]
    found = table.find(f" {change(symbol)} ")
    same = {table.by_symbol[s] for s in symbols if s.upper() == symbol.upper()}
    assert found in same
    assert table.find(symbol) == table.by_symbol[symbol]


@pytest.mark.parametrize("species", sorted(set(ALL) - {"rat"}))
def test_of_several_orthologs_the_one_of_the_same_name_wins(species):
    table, human = ortholog_table(species), known_symbols("human")
    same = sum(s.upper() == t for s, t in table.by_symbol.items())
    other = sum(s.upper() in human and s.upper() != t for s, t in table.by_symbol.items())
    # Where it does not, no database has that pair: the names have changed since.
    assert other < 0.01 * same


def test_a_rat_is_read_as_a_mouse_by_the_symbol_first():
    table = ortholog_table("rat")
    assert table.find("Cd3e") == "Cd3e"
    assert table.find("RT1-Da") == "H2-Ea"
    shared = known_symbols("mouse") & table.by_symbol.keys()
    changed = {s for s in shared if table.by_symbol[s] != s}
    assert not changed


def test_several_genes_are_read_as_the_same_one():
    table = ortholog_table("zebrafish")
    copies = [s for s, target in table.by_symbol.items() if target == "GATA1"]
    assert {"gata1a", "gata1b"} <= set(copies)
    found = recognise(["gata1a", "gata1b", "mpx"], orthologs_of="zebrafish")
    assert dict(found.readings) == {"gata1a": "GATA1", "gata1b": "GATA1", "mpx": "MPO"}


@pytest.mark.parametrize(
    ("names", "species"),
    [
        ([f"{prefix}{i:011}" for i in range(5)], name) for prefix, name in PREFIXES.items()
    ] + [
        (["RT1-Da", "RT1-Ba", "Cd3e"], "rat"), (["SLA-DRA", "SLA-DMA", "CD3E"], "pig"),
        (["Mamu-DRA", "MAMU-A"], "rhesus macaque"), (["DLA-DRA"], None), ([], None),
        (["DLA-DRA", "DLA-DMA", "HLA-A", "HLA-B"], None), (["ENSG00000167286"] * 3, None),
        (["ENSBTAG00000000001"], None), (["CD3E", "MS4A1"], None),
        (["ENSSSCG00000000001", "CD3E", "CD4", "CD8A"], None),
    ],
)  # fmt: skip
def test_the_genes_show_the_species_or_nothing(names, species):
    assert species_shown(names) == species


def test_what_is_stated_wins_over_what_the_genes_show():
    identifiers = ["ENSSSCG00000000001", "ENSSSCG00000000002"]
    assert species_read(None, identifiers) == "pig"
    assert species_read("human", identifiers) is None
    assert species_read("Sus scrofa", ["CD3E"]) == "pig"
    assert species_read("cow", ["CD3E"]) is None


def test_the_species_with_tables_are_known_ones():
    assert {s.name for s in KNOWN_SPECIES if has_orthologs(s.name)} == set(ALL)


def test_what_no_table_has_is_read_by_its_symbol():
    found = recognise(["DLA-DRA", "CD3E", "CD20", "zzz"], orthologs_of="dog")
    assert dict(found.readings) == {"DLA-DRA": "HLA-DRA"}
    assert (found.names, found.known, found.read) == (4, 2, 1)


def test_names_of_the_engines_own_table_stay():
    found = recognise(["mpx", "gata1a"], also=frozenset({"mpx"}), orthologs_of="zebrafish")
    assert dict(found.readings) == {"gata1a": "GATA1"}


def test_no_warning_is_due_for_orthologs():
    assert recognise(["mpx", "gata1a"], orthologs_of="zebrafish").noted() == {}


@pytest.mark.parametrize("n", [40, 1000])
def test_capitals_of_a_mouse_are_told_from_human_symbols(n):
    only = sorted(known_symbols("mouse"))
    assert species_in_capitals(s.upper() for s in only[: 30 * n : 30]) == "mouse"
    assert species_in_capitals(sorted(known_symbols("human"))[: 20 * n : 20]) == "human"
