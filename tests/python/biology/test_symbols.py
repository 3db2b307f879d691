import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.biology.gene_tables import to_symbols
from cellferry.biology.genes import identifier_kind, is_identifier
from cellferry.biology.recognition import detect_species
from cellferry.biology.symbols import choose_symbols, symbol_of
from cellferry.errors import GroupMissingError

IDENTIFIERS = ["ENSG00000167286.9", "ensmusg00000032094", "NM_0012", "XR_99", "672", "672.0"]
SYMBOLS = ["CD3E", "HLA-DRA", "Cd79a", "MT-CO1", "C1orf43", "A1BG"]


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_identifiers(name):
    assert is_identifier(name)
    assert is_identifier(f" {name} ")


@pytest.mark.parametrize("name", SYMBOLS)
def test_symbols(name):
    assert not is_identifier(name)


@given(st.sampled_from(SYMBOLS), st.sampled_from(IDENTIFIERS[:2]), st.sampled_from("_|"))
def test_a_name_of_both_gives_its_symbol_in_either_order(symbol, identifier, between):
    assert symbol_of(symbol + between + identifier) == symbol
    assert symbol_of(identifier + between + symbol) == symbol


@given(st.text(max_size=12))
def test_a_symbol_is_the_name_or_a_part_of_it(name):
    assert symbol_of(name) in name


def var(**columns):
    n = 20
    frame = {k: [v.format(i) for i in range(n)] for k, v in columns.items()}
    return pd.DataFrame(frame, index=[f"ENSG{i:011d}" for i in range(n)])


def test_the_column_with_symbols_is_found_among_others():
    table = var(feature_name="S{}", other="T{}", href="ENSG{:011d}")
    found = choose_symbols(list(table.index), table)
    assert found.column == "feature_name"
    assert found.symbols[3] == "S3"


def test_names_that_are_symbols_stay_unless_a_usual_column_has_symbols_too():
    names = [f"CD{i}" for i in range(20)]
    assert choose_symbols(names, var(notes="n{}")).symbols == tuple(names)
    assert choose_symbols(names, var(gene_name="G{}")).column == "gene_name"


def test_a_named_column_is_taken_as_it_is():
    table = var(feature_name="S{}", mine="M{}")
    assert choose_symbols(list(table.index), table, "mine").symbols[0] == "M0"
    with pytest.raises(GroupMissingError, match="feature_name"):
        choose_symbols(list(table.index), table, "feature_names")
    with pytest.raises(GroupMissingError, match="no columns"):
        choose_symbols(list(table.index), table[[]], "mine")


def test_where_nothing_is_a_symbol_the_names_stay():
    table = var(refseq="NM_{}")
    assert choose_symbols(list(table.index), table).symbols == tuple(table.index)


def column_of(var, given=None):
    return choose_symbols(list(var.index), var, given).column


def test_the_column_of_symbols_is_named_or_found():
    var = pd.DataFrame({"n": [1, 2], "gene_name": ["CD3E", "LYZ"]}, index=["a", "b"])
    assert column_of(var, "n") == "n"
    assert column_of(var) == "gene_name"
    assert column_of(var[["n"]]) is None
    ids = pd.DataFrame({"feature_name": ["ENSG00000000001", "ENSG00000000002"]})
    assert column_of(ids) is None
    with pytest.raises(GroupMissingError, match='no column "gene_nam"') as error:
        column_of(var, "gene_nam")
    assert 'Did you mean "gene_name"' in error.value.hint


def test_numbers_and_descriptions_are_no_symbols():
    table = var(feature_name="S{}")
    table.loc[table.index[:5], "feature_name"] = table.index[:5]
    table["means"] = [i + 0.123 for i in range(20)]
    assert column_of(table) == "feature_name"
    described = pd.DataFrame({"description": [f"protein {i}" for i in range(20)]})
    described.index = [f"CD{i}" for i in range(16)] + [f"ENSG{i:011d}" for i in range(4)]
    assert column_of(described) is None


def test_one_pattern_serves_all_who_ask_for_identifiers():
    ids = ["ENSG00000182378.14_PAR_Y", "ensg00000167286", "FBgn0000003", "WBGene00000001", "672.0"]
    assert all(map(is_identifier, ids))
    assert identifier_kind(ids[:4]) == "ensembl"
    assert identifier_kind(["672.0", "12.0"]) == "entrez"
    assert dict(to_symbols(["ENSG00000167286_PAR_Y"]).symbols) == {"ENSG00000167286_PAR_Y": "CD3D"}
    assert detect_species([f"ENSG{i:011d}.1_PAR_Y" for i in range(5)]).species == "human"
