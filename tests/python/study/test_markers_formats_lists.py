"""Lists of genes per cluster, in two columns, in a dict, or one gene per row."""

import numpy as np
import pandas as pd
import pytest

from cellferry.errors import (
    MarkersEmptyError,
    MarkersFormatError,
    MarkersStatisticError,
    UnsupportedObjectError,
)
from cellferry.study.markers.read import read_markers
from marker_tables import SEURAT, genes

SPEC_LISTS = {
    "0": ["CD79A", "MS4A1", "CD79B", "HLA-DRA", "TCL1A"],
    "1": ["IL7R", "CCR7", "LEF1", "TCF7", "FHIT", "MAL"],
    "2": ["CD8A", "CD8B", "GZMK", "CCL5", "NKG7"],
}


@pytest.mark.parametrize("separator", [",", ", ", ";", "|", "\t", "\n", " "])
@pytest.mark.parametrize("names", [("cluster", "marker_genes"), ("Broad.cell.type", "what I like")])
def test_two_columns_of_lists(separator, names, tmp_path):
    rows = [(k, separator.join(v)) for k, v in SPEC_LISTS.items()]
    frame = pd.DataFrame(rows, columns=list(names))
    frame.to_csv(tmp_path / "lists.csv")
    for source in (frame, tmp_path / "lists.csv"):
        found = read_markers(source)
        assert found.source == "list"
        assert genes(found) == SPEC_LISTS


@pytest.mark.parametrize("as_text", [repr, list, tuple, np.array, ",".join])
def test_trap_lists_of_any_kind_in_cells_or_in_a_dict(as_text):
    cells = {k: as_text(v) for k, v in SPEC_LISTS.items()}
    assert genes(read_markers(cells)) == SPEC_LISTS
    frame = pd.DataFrame({"cluster": list(cells), "markers": list(cells.values())})
    assert genes(read_markers(frame)) == SPEC_LISTS


def test_trap_two_column_long_table_is_long(tmp_path):
    rows = [(k, gene) for k, v in SPEC_LISTS.items() for gene in v]
    frame = pd.DataFrame(rows, columns=["cluster", "gene"])
    frame.to_csv(tmp_path / "long.tsv", sep="\t", index=False)
    for source in (frame, tmp_path / "long.tsv", frame.rename(columns={"gene": "whatever"})):
        found = read_markers(source)
        assert found.source == "list"
        assert genes(found) == SPEC_LISTS


def test_trap_third_column_between_or_after_the_lists():
    base = pd.DataFrame({"cluster": ["0", "1"], "markers": ["A,B,C", "D"], "n_cells": [7, 9]})
    for order in (["cluster", "n_cells", "markers"], ["cluster", "markers", "n_cells"]):
        assert genes(read_markers(base[order])) == {"0": ["A", "B", "C"], "1": ["D"]}


def test_lists_beside_a_column_that_is_called_score():
    frame = pd.DataFrame({"cluster": ["0", "1"], "markers": ["A,B,C", "D"], "score": [0.7, 0.9]})
    found = read_markers(frame)
    assert found.source == "list"
    assert genes(found) == {"0": ["A", "B", "C"], "1": ["D"]}


def test_trap_short_first_list_does_not_change_the_format():
    frame = pd.DataFrame({"cluster": ["0", "1"], "markers": ["A", "B,C,D,E,F"]})
    assert genes(read_markers(frame)) == {"0": ["A"], "1": ["B", "C", "D", "E", "F"]}


def test_trap_a_gene_column_of_lists_is_read_as_lists():
    frame = pd.DataFrame({"cluster": [0, 1], "gene": ["A,B", "C,D"]})
    assert genes(read_markers(frame)) == {"0": ["A", "B"], "1": ["C", "D"]}


def test_trap_blank_and_missing_lists_keep_their_cluster():
    frame = pd.DataFrame({"cluster": ["0", "1", "2"], "markers": ["A,B", "", None]})
    assert genes(read_markers(frame)) == {"0": ["A", "B"], "1": [], "2": []}
    assert genes(read_markers({"0": "A,B", "1": None, "2": []})) == {
        "0": ["A", "B"],
        "1": [],
        "2": [],
    }


def test_trap_duplicated_clusters_in_lists_are_joined_the_same_way_every_time():
    frame = pd.DataFrame({"cluster": ["0", "1", "0"], "markers": ["A,B", "C", "B,D"]})
    assert genes(read_markers(frame)) == {"0": ["A", "B", "D"], "1": ["C"]}


def test_trap_numeric_clusters_of_lists():
    frame = pd.DataFrame({"cluster": [10.0, 2.0], "markers": ["A,B", "C"]})
    assert list(genes(read_markers(frame))) == ["2", "10"]
    assert list(genes(read_markers({10: "A", 2.0: "B"}))) == ["2", "10"]


def test_two_columns_of_numbers_are_no_lists():
    with pytest.raises(MarkersFormatError) as caught:
        read_markers(pd.DataFrame({"cluster": ["0", "1"], "n_cells": [70, 30]}))
    assert 'only numbers in "n_cells"' in caught.value.message
    assert "`gene_column`" in caught.value.hint


def test_long_table_with_more_columns_needs_a_statistic(tmp_path):
    rows = [("blood", k, gene) for k, v in SPEC_LISTS.items() for gene in v]
    frame = pd.DataFrame(rows, columns=["tissue", "cell_type", "gene"])
    with pytest.raises(MarkersStatisticError) as caught:
        read_markers(frame, cluster_column="cell_type", gene_column="gene")
    assert "keep only the columns" in caught.value.hint
    assert genes(read_markers(frame[["cell_type", "gene"]])) == SPEC_LISTS


@pytest.mark.parametrize(
    ("source", "error", "word"),
    [
        ({}, MarkersEmptyError, "empty dict"),
        ({"0": []}, MarkersEmptyError, "no gene"),
        ({"0": 5}, MarkersFormatError, 'a int where the genes of "0"'),
        ({"0": SEURAT}, MarkersFormatError, 'the clusters "0", "1" in its column "cluster"'),
        ({"0": SEURAT, "1": ["A"]}, MarkersFormatError, "a DataFrame where"),
        ({"0": {"A": 1}}, MarkersFormatError, "a dict where"),
        ({1: ["A"], "1": ["B"]}, MarkersFormatError, 'same cluster: "1"'),
        (["A", "B"], UnsupportedObjectError, "class list"),
        (None, UnsupportedObjectError, "class NoneType"),
        (SEURAT["gene"], UnsupportedObjectError, "class Series"),
    ],
)
def test_sources_that_cannot_be_used(source, error, word):
    with pytest.raises(error) as caught:
        read_markers(source, name="my table")
    assert word in caught.value.message
    assert "`my table`" in caught.value.message
    assert caught.value.hint


def test_unknown_format_lists_columns_and_formats():
    with pytest.raises(MarkersFormatError) as caught:
        read_markers(pd.DataFrame({"a": [1], "b": [2], "c": [3]}))
    assert '"a", "b", "c"' in caught.value.message
    assert "rank_genes_groups_df" in caught.value.hint
