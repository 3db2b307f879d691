import logging

import numpy as np
import pandas as pd
import pytest

from cellferry.errors import MarkersEmptyError
from cellferry.study.markers.read import assemble, assemble_lists, cluster_order


def test_natural_order_without_levels():
    assert cluster_order(["10", "2", "a", "1", "11", "2"], None) == ("1", "2", "10", "11", "a")


def test_levels_give_the_order_and_unused_ones_are_dropped():
    assert cluster_order(["b", "a"], ["c", "b", "a"]) == ("b", "a")
    assert cluster_order(["1", "0"], [1.0, 0.0, 2.0]) == ("1", "0")


def test_trap_missing_genes_and_clusters_are_counted_not_silent(caplog):
    labels = ["0", None, "0", float("nan"), pd.NA, "1"]
    genes = ["A", "B", "", "C", "D", "E"]
    score = {"score": np.arange(6.0)}
    with caplog.at_level(logging.INFO, logger="cellferry"):
        found = assemble("The table", labels, None, genes, score, source="seurat")
    assert found.gene.tolist() == ["A", "E"]
    assert found.score.tolist() == [0.0, 5.0]
    assert "4 rows without a cluster or a gene were left out" in caplog.text


def test_a_cluster_without_any_gene_stays():
    found = assemble(
        "T", ["0", "1"], None, ["A", ""], {"score": np.array([1.0, 2.0])}, source="seurat"
    )
    assert found.clusters == ("0", "1")
    assert found.select("Score")["1"].genes == ()


def test_a_statistic_without_any_value_is_missing():
    found = assemble(
        "T",
        ["0"],
        None,
        ["A"],
        {"score": np.array([1.0]), "avg_log2fc": np.array([np.nan])},
        source="seurat",
    )
    assert found.avg_log2fc is None


def test_nothing_left_is_an_error():
    with pytest.raises(MarkersEmptyError, match="no row with both a cluster and a gene"):
        assemble("T", ["0", None], None, ["", "A"], {"score": np.ones(2)}, source="seurat")


def test_trap_two_lists_of_one_cluster_are_joined_in_order():
    found = assemble_lists("T", ["0", "1", "0"], None, [["A", "B"], ["C"], ["B", "D"]])
    assert {k: v.genes for k, v in found.select().items()} == {"0": ("A", "B", "D"), "1": ("C",)}


def test_trap_a_cluster_with_a_blank_list_stays():
    found = assemble_lists("T", ["0", "1", ""], None, [["A"], [], ["B"]])
    assert {k: v.genes for k, v in found.select().items()} == {"0": ("A",), "1": ()}


def test_only_blank_lists_are_an_error():
    with pytest.raises(MarkersEmptyError, match="lists no gene for any cluster"):
        assemble_lists("T", ["0", "1"], None, [[], []])


@pytest.mark.parametrize("more", [{}, {"score": [3.0, np.nan]}, {"n_samples": [2.0, np.nan]}])
def test_plain_columns_are_those_of_the_frame(more):
    statistics = {k: np.array(v) for k, v in {"avg_log2fc": [1.5, -np.inf], **more}.items()}
    table = assemble("x", ["b", "a"], None, ["G1", "G2"], statistics, source="seurat")
    frame = table.to_frame().iloc[[1]]
    expected = {name: [plain(frame[name].tolist()[0])] for name in frame.columns}
    found = table.columns([1])
    assert list(found) == list(expected)
    assert {name: [plain(v) for v in values] for name, values in found.items()} == expected


def plain(value):
    return None if pd.isna(value) else value
