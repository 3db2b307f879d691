"""What speaks for the labels, from an object or an answer."""

import warnings

import pandas as pd
import pytest

import cellferry
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.errors import AnnotationsMissingError, InvalidOptionError

FOUND = Annotations(
    (
        Annotation(
            "0", "ok", label="T cell", n_cells=2, supporting=("CD3E", "CD2", "CD3D", "TRAC")
        ),
        Annotation("1", "ok", label="NK cell", n_cells=1, supporting=("CD2", "NKG7")),
        Annotation("2", "ok", label="T cell", n_cells=1, supporting=("IL7R",)),
        Annotation("3", "unknown", label="Unknown", n_cells=4, supporting=("X",)),
        Annotation("4", "ok", label="B cell", n_cells=0, supporting=("MS4A1",)),
    ),
    {},
    {"gene_names": {"CD3E": "ENSG00000198851"}},
)


def test_genes_are_those_of_the_object_none_twice_and_of_labels_that_have_cells():
    assert cellferry.supporting_markers(FOUND) == {
        "T cell": ["ENSG00000198851", "CD2", "CD3D"],
        "NK cell": ["NKG7"],
    }
    assert cellferry.supporting_markers(FOUND, n=1) == {"T cell": ["ENSG00000198851"],
                                                        "NK cell": ["CD2"]}  # fmt: skip


@pytest.mark.parametrize("n", [0, True, 1.5, "3", None])
def test_the_number_of_genes_is_a_whole_number(n):
    with pytest.raises(InvalidOptionError, match="whole number"):
        cellferry.supporting_markers(FOUND, n=n)


def test_clusters_come_before_newer_labels_of_cells(blood):
    found = cellferry.annotate_clusters(blood, group_key="louvain", progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cellferry.annotate_cells(blood, group_key="louvain", progress=False)
    assert cellferry.supporting_markers(blood) == cellferry.supporting_markers(found)
    assert set(cellferry.supporting_markers(blood, "cell_type_cell", n=1)) != set()
    table = cellferry.markers(blood)
    assert table.equals(cellferry.markers(found))
    assert {"cluster", "gene", "avg_log2FC"} <= set(table)
    assert list(table["cluster"].cat.categories) == found.column("cluster")
    assert not len(cellferry.markers(blood, "cell_type_cell"))
    # A type that the subset has no cell of is no row of a dot plot.
    part = blood[blood.obs["louvain"] == "0"]
    assert list(cellferry.supporting_markers(part)) == [found["0"].label]


def test_without_annotations_it_is_said(blood):
    for read in (cellferry.supporting_markers, cellferry.markers):
        with pytest.raises(AnnotationsMissingError):
            read(blood)


def test_markers_of_an_answer_without_any_are_an_empty_table():
    assert isinstance(cellferry.markers(FOUND), pd.DataFrame)
    assert list(cellferry.markers(FOUND)) == ["cluster", "gene"]
