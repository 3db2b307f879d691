import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.errors import MarkersFormatError
from cellferry.study.markers.values import (
    check_probabilities,
    fractions,
    gene_text,
    numbers,
    split_genes,
)


def read(values, **options):
    return numbers(values, "p_val", "The table", **options)


@given(st.lists(st.floats()))
def test_numbers_survive_their_text(values):
    np.testing.assert_array_equal(read([repr(v) for v in values]), np.array(values, float))


@pytest.mark.parametrize("text", ["", "NA", "nan", "NaN", " n/a ", "#N/A", "None", "null", "<NA>"])
def test_missing_numbers(text):
    assert np.isnan(read([text, "1"])).tolist() == [True, False]


def test_missing_objects_are_missing_numbers():
    assert np.isnan(read([None, pd.NA, float("nan"), pd.NaT])).all()


@pytest.mark.parametrize(("text", "value"), [("inf", 1), ("-inf", -1), ("Inf", 1), ("-Inf", -1)])
def test_infinite_fold_changes_stay_infinite(text, value):
    assert read([text]).tolist() == [value * math.inf]


@pytest.mark.parametrize("text", ["<2e-16", "1_0", "1,5", "high", "#NUM!"])
def test_what_is_no_number_is_an_error_that_names_it(text):
    with pytest.raises(MarkersFormatError) as caught:
        read(["1", text])
    assert f'"{text}"' in caught.value.message
    assert '"p_val", row 2' in caught.value.message


def test_decimal_comma_only_where_it_is_one():
    assert read(["1,5", "2"], decimal=",").tolist() == [1.5, 2.0]


@pytest.mark.parametrize("dtype", ["int64", "float32", "uint8", "float64"])
def test_numeric_arrays(dtype):
    found = read(np.array([1, 2], dtype=dtype))
    assert found.dtype == np.float64
    assert found.tolist() == [1.0, 2.0]


def test_fractions_are_left_alone():
    table = {"pct_1": np.array([0.0, 1.0, np.nan])}
    assert fractions(table, "T") is table


def test_percentages_become_fractions_in_both_columns():
    # pct_2 alone would look like fractions
    found = fractions({"pct_1": np.array([80.0, np.nan]), "pct_2": np.array([0.5, 1.0])}, "T")
    np.testing.assert_allclose(found["pct_1"], [0.8, np.nan])
    np.testing.assert_allclose(found["pct_2"], [0.005, 0.01])


def test_percentages_of_rare_genes_only():
    assert fractions({"pct_1": np.array([1.5, 0.2])}, "T")["pct_1"].tolist() == [0.015, 0.002]


@pytest.mark.parametrize("wrong", [-0.1, 350.0, math.inf])
def test_impossible_percentages(wrong):
    with pytest.raises(MarkersFormatError, match=r"fractions of 0\.\.1"):
        fractions({"pct_1": np.array([0.5, wrong])}, "T")


@pytest.mark.parametrize("wrong", [-0.1, 300.0, math.inf])
def test_minus_log_p_is_no_p_value(wrong):
    with pytest.raises(MarkersFormatError, match="-log10"):
        check_probabilities({"p_val_adj": np.array([0.0, wrong, np.nan])}, "T")


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA, "", "  ", "NA"])
def test_missing_genes(value):
    assert gene_text(value) == ""


def test_gene_names_are_never_changed_but_for_the_space_around_them():
    assert [gene_text(g) for g in [" Cd3e\t", "nan", "HLA-DRA", 916, 916.0, b"CD3E"]] == [
        *("Cd3e", "nan", "HLA-DRA", "916", "916", "CD3E"),
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "CD3D,CD3E,CD2",
        "CD3D, CD3E , CD2",
        "CD3D;CD3E;CD2",
        "CD3D; CD3E; CD2;",
        "CD3D|CD3E|CD2",
        "CD3D\tCD3E\tCD2",
        "CD3D\nCD3E\r\nCD2",
        "CD3D CD3E  CD2",
        "['CD3D', 'CD3E', 'CD2']",
        '["CD3D", "CD3E", "CD2"]',
        "('CD3D', 'CD3E', 'CD2')",
        "{'CD3D', 'CD3E', 'CD2'}",
        "['CD3D' 'CD3E' 'CD2']",
        'c("CD3D", "CD3E", "CD2")',
        "array(['CD3D', 'CD3E', 'CD2'])",
        "CD3D,CD3E,CD3D,CD2,CD3E",
        "CD3D,,CD3E,NA,CD2",
        ["CD3D", "CD3E", "CD2", "CD3D"],
        np.array(["CD3D", "CD3E", "CD2"]),
        pd.Series(["CD3D", None, "CD3E", "CD2"]),
    ],
)
def test_trap_lists_in_any_form(cell):
    assert split_genes(cell) == ["CD3D", "CD3E", "CD2"]


@pytest.mark.parametrize("cell", [None, float("nan"), pd.NA, "", " ", "[]", "NA", []])
def test_trap_blank_lists(cell):
    assert split_genes(cell) == []


GENES = st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{1,9}", fullmatch=True), unique=True)


@given(
    GENES.filter(lambda g: "NA" not in g), st.sampled_from([",", ", ", ";", "|", "\t", "\n", " "])
)
def test_lists_survive_their_text(genes, separator):
    assert split_genes(separator.join(genes)) == genes


@given(GENES.filter(lambda g: "NA" not in g))
def test_lists_survive_repr(genes):
    assert split_genes(repr(genes)) == genes
