import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.artifacts.vars_h5.genes import (
    dataset_name,
    encoded,
    texts,
    write_var_metadata,
)


def written(var, genes=None, column=None):
    genes = genes or [str(i) for i in var.index]
    with h5py.File("x", "w", driver="core", backing_store=False) as file:
        write_var_metadata(file, genes, var, column)
        group = file["info/var"]
        columns = {}
        for name, dataset in group["columns"].items():
            values = dataset.asstr()[:] if dataset.dtype.kind == "O" else dataset[:]
            assert dataset.chunks is None
            columns[name] = (values, dict(dataset.attrs))
        return dict(group.attrs), list(group["var_names"].asstr()), columns


NA = pd.NA
KINDS = {
    "float64": [0.5, np.nan, -1.0],
    "float32": [0.5, np.nan, -1.0],
    "int8": [1, -2, 3],
    "int64": [1, 2, 2**62],
    "uint16": [1, 2, 65535],
    "bool": [True, False, True],
    "boolean": [True, NA, False],
    "Int64": [1, NA, 3],
    "Int32": [1, 2, 3],
    "UInt8": [1, 2, 255],
    "Float32": [0.5, NA, 3.5],
    "string": ["a", NA, "µ"],
    "object": ["a", None, 3],
    "category": ["x", None, "y"],
    "datetime64[ns]": ["2024-01-01", None, "2024-02-03"],
    "complex128": [1j, 2, 3],
}
EXPECTED = {
    "boolean": np.array([1, -1, 0], dtype="i1"),
    "Int64": np.array([1, np.nan, 3]),
    "Int32": np.array([1, 2, 3], dtype="i4"),
    "UInt8": np.array([1, 2, 255], dtype="u1"),
    "Float32": np.array([0.5, np.nan, 3.5]),
    "string": ["a", "", "µ"],
    "object": ["a", "", "3"],
    "category": ["x", "", "y"],
    "datetime64[ns]": ["2024-01-01 00:00:00", "", "2024-02-03 00:00:00"],
    "complex128": ["1j", "(2+0j)", "(3+0j)"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_is_stored_as_documented(kind):
    column = pd.Series(KINDS[kind], dtype=kind)
    _, _, columns = written(pd.DataFrame({"column": column}))
    values, attributes = columns["column"]
    expected = EXPECTED.get(kind, np.array(KINDS[kind], dtype=kind if kind in "bool" else None))
    np.testing.assert_array_equal(values, expected)
    if kind not in EXPECTED:
        assert values.dtype == np.dtype(kind)
    assert attributes.pop("source_name") == "column"
    assert attributes.pop("source_dtype") == kind
    assert attributes == ({"missing_sentinel": -1} if kind == "boolean" else {})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=8), max_size=8))
def test_names_of_datasets_are_plain_and_differ(columns):
    taken = []
    for position, column in enumerate(columns):
        name = dataset_name(column, position, taken)
        assert name not in taken
        assert name.strip(".")
        assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
        taken.append(name)


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.lists(names, max_size=8))
def test_columns_are_found_by_their_own_name(columns):
    var = pd.DataFrame([list(range(len(columns)))], columns=pd.Index(columns, dtype=object))
    _, _, stored = written(var, ["g"])
    found = sorted(
        (attributes["source_name"], int(values[0])) for values, attributes in stored.values()
    )
    # A lone surrogate cannot be stored, and the text of these names has none.
    assert found == sorted((name, i) for i, name in enumerate(columns))


def test_the_names_of_the_published_client_are_formed():
    assert dataset_name("__cytetype_gene_symbols", 0, []) == "cytetype_gene_symbols"
    assert dataset_name("a b", 1, ["a_b"]) == "a_b_1"
    assert dataset_name("..", 2, []) == "column_2"


def test_texts_without_values_and_with_odd_characters():
    assert texts(pd.Index(["a", None, 3], dtype=object)) == ["a", "", "3"]
    _, names, _ = written(pd.DataFrame(index=["a\0b", "c\ud800"]))
    assert names == ["ab", "c?"]
    assert written(pd.DataFrame(index=pd.Index([], dtype=object)))[1] == []


def test_the_column_of_symbols_is_an_attribute():
    var = pd.DataFrame({"n": [1, 2], "gene_name": ["CD3E", "LYZ"]}, index=["a", "b"])
    attributes, _, _ = written(var, column="gene_name")
    assert attributes == {"gene_symbols_column": "gene_name"}


def test_a_boolean_without_gaps_stays_boolean():
    values, sentinel = encoded(pd.Series(pd.array([True, False], dtype="boolean")))
    assert values.dtype == bool
    assert sentinel is None
