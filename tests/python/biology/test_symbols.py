import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.biology.symbols import choose_symbols, is_identifier, symbol_of
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
