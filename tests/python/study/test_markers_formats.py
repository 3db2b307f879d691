"""Frames of Seurat, scanpy and presto; lists and files have test files of their own.

`test_trap_...`: what other readers get wrong.
"""

import logging
import math

import numpy as np
import pandas as pd
import pytest

from cellferry.errors import (
    InvalidOptionError,
    MarkersEmptyError,
    MarkersFormatError,
    MarkersStatisticError,
)
from cellferry.study.markers.read import read_markers
from marker_tables import SEURAT, genes


def test_seurat_frame():
    found = read_markers(SEURAT)
    assert found.source == "seurat"
    assert found.clusters == ("0", "1")
    assert found.cluster.tolist() == [0, 0, 1, 1]
    assert found.cluster.dtype == np.int32
    assert found.gene.tolist() == SEURAT["gene"].tolist()
    assert found.avg_log2fc.tolist() == SEURAT["avg_log2FC"].tolist()
    assert found.pct_1.tolist() == SEURAT["pct.1"].tolist()
    assert found.p_val_adj.tolist() == SEURAT["p_val_adj"].tolist()
    assert found.score is None


def test_seurat_3_has_natural_logarithms():
    old = SEURAT.assign(avg_logFC=SEURAT["avg_log2FC"] * math.log(2)).drop(columns="avg_log2FC")
    np.testing.assert_allclose(read_markers(old).avg_log2fc, SEURAT["avg_log2FC"], rtol=1e-14)


# The first rows of FindAllMarkers(pbmc_small, test.use = "roc") of Seurat 4.3.
ROC = pd.DataFrame(
    {
        "myAUC": [0.057, 0.080, 0.135],
        "avg_diff": [-4.034691, -3.760972, 3.019608],
        "power": [0.886, 0.840, 0.730],
        "avg_log2FC": [-5.820829, -5.425935, 4.356374],
        "pct.1": [0.083, 0.083, 0.556],
        "pct.2": [0.909, 0.864, 0.773],
        "cluster": ["0", "0", "0"],
        "gene": ["HLA-DPB1", "HLA-DRB1", "HLA-DRB5"],
    }
)


def test_seurat_roc():
    found = read_markers(ROC)
    assert found.avg_log2fc.tolist() == ROC["avg_log2FC"].tolist()
    assert found.score.tolist() == ROC["power"].tolist()
    assert found.p_val_adj is None
    # Power is large for genes that are absent too; the fold change keeps those out.
    assert genes(found, "Score") == {"0": ["HLA-DRB5"]}


def test_difference_of_roc_is_a_natural_logarithm():
    found = read_markers(ROC.drop(columns="avg_log2FC"))
    np.testing.assert_allclose(found.avg_log2fc, ROC["avg_log2FC"], rtol=1e-6)


def test_difference_of_scaled_values_is_a_score_and_no_fold_change():
    scaled = SEURAT.rename(columns={"avg_log2FC": "avg_diff"})
    found = read_markers(scaled)
    assert found.avg_log2fc is None
    assert found.score.tolist() == scaled["avg_diff"].tolist()


def test_trap_gene_column_and_never_row_names():
    made_unique = SEURAT.assign(gene="CD74").set_index(pd.Index(["CD74", "CD74.1", "CD74.2", "X"]))
    assert set(read_markers(made_unique).gene) == {"CD74"}


@pytest.mark.parametrize("index", [True, False])
def test_row_names_in_a_file_are_left_out(tmp_path, index):
    SEURAT.set_index(pd.Index(["a", "b", "c", "d"])).to_csv(tmp_path / "m.csv", index=index)
    assert read_markers(tmp_path / "m.csv").gene.tolist() == SEURAT["gene"].tolist()
    again = pd.read_csv(tmp_path / "m.csv")
    assert read_markers(again).gene.tolist() == SEURAT["gene"].tolist()


def test_trap_column_names_that_are_no_text():
    found = read_markers(SEURAT.assign(x=1).rename(columns={"x": 0}))
    assert len(found) == 4


@pytest.mark.parametrize(
    ("values", "clusters"),
    [
        ([10, 2, 10, 1], ("1", "2", "10")),
        ([10.0, 2.0, 0.0, 1.0], ("0", "1", "2", "10")),
        (["10", "2", "T cell", "7_0"], ("2", "7_0", "10", "T cell")),
        (pd.Categorical(["b", "a", "b", "a"], ["c", "b", "a"]), ("b", "a")),
        (pd.Categorical([3.0, 1.0, 3.0, 1.0], [3.0, 2.0, 1.0]), ("3", "1")),
        (pd.array([3, 1, 3, 1], dtype="Int64"), ("1", "3")),
        (pd.array(["b", "a", "b", "a"], dtype="string"), ("a", "b")),
    ],
)
def test_trap_clusters_are_text_in_natural_or_categorical_order(values, clusters):
    assert read_markers(SEURAT.assign(cluster=values)).clusters == clusters


@pytest.mark.parametrize("missing", [None, math.nan, pd.NA])
def test_trap_rows_without_gene_or_cluster_are_counted(missing, caplog):
    frame = SEURAT.astype({"cluster": object, "gene": object})
    frame.loc[0, "cluster"] = missing
    frame.loc[2, "gene"] = missing
    with caplog.at_level(logging.INFO, logger="cellferry"):
        found = read_markers(frame)
    assert found.gene.tolist() == ["MS4A1", "CCR7"]
    assert found.avg_log2fc.tolist() == [2.74, 1.76]
    assert found.clusters == ("0", "1")
    assert "2 rows" in caplog.text


def test_clusters_that_became_float_by_a_missing_value():
    assert read_markers(SEURAT.assign(cluster=[0, 10, None, 1])).clusters == ("0", "1", "10")
    nullable = SEURAT.assign(cluster=pd.array([0, 10, None, 1], dtype="Int64"))
    assert read_markers(nullable).clusters == ("0", "1", "10")


def test_percentages_become_fractions():
    hundred = SEURAT.assign(**{"pct.1": SEURAT["pct.1"] * 100, "pct.2": SEURAT["pct.2"] * 100})
    np.testing.assert_allclose(read_markers(hundred).pct_1, SEURAT["pct.1"])


@pytest.mark.parametrize("infinite", ["inf", math.inf])
def test_trap_infinite_fold_changes_are_kept_and_the_frame_is_unchanged(infinite):
    frame = SEURAT.astype({"avg_log2FC": object})
    frame.loc[1, "avg_log2FC"] = infinite
    before = frame.copy()
    assert read_markers(frame).avg_log2fc[1] == math.inf
    pd.testing.assert_frame_equal(frame, before)


def test_numbers_as_text_in_a_frame():
    assert read_markers(SEURAT.astype(str)).avg_log2fc.tolist() == SEURAT["avg_log2FC"].tolist()


def test_duplicated_columns():
    doubled = pd.concat([SEURAT, SEURAT[["gene"]]], axis=1)
    with pytest.raises(MarkersFormatError, match='same name: "gene"'):
        read_markers(doubled)


@pytest.mark.parametrize("frame", [pd.DataFrame(), SEURAT.iloc[:0]])
def test_trap_empty_table_names_the_usual_cause(frame):
    with pytest.raises(MarkersEmptyError) as caught:
        read_markers(frame)
    assert "`markers` has no rows" in caught.value.message
    assert "JoinLayers" in caught.value.hint


def test_trap_missing_columns_are_a_sentence_and_no_key_error():
    only = read_markers(SEURAT[["cluster", "gene", "avg_log2FC"]])
    assert genes(only) == {"0": ["CD79A", "MS4A1"], "1": ["IL7R", "CCR7"]}
    with pytest.raises(MarkersStatisticError, match="nothing to rank genes by"):
        read_markers(SEURAT[["cluster", "gene", "pct.1"]])
    with pytest.raises(MarkersStatisticError, match='"FC"'):
        read_markers(SEURAT.rename(columns={"avg_log2FC": "FC"})[["cluster", "gene", "FC"]])
    with pytest.raises(MarkersStatisticError):
        read_markers(SEURAT[["cluster", "gene", "avg_log2FC"]].assign(avg_log2FC=math.nan))


def test_percentages_alone_can_be_ranked():
    found = read_markers(SEURAT[["cluster", "gene", "pct.1", "pct.2"]])
    assert found.ranking_methods == ("pct_diff",)


def test_trap_explicit_columns_work_with_statistics():
    frame = SEURAT.rename(columns={"cluster": "annotation", "gene": "my name"})
    found = read_markers(frame, cluster_column="annotation", gene_column="my name")
    assert genes(found) == genes(read_markers(SEURAT))
    with pytest.raises(InvalidOptionError, match="cluster_column"):
        read_markers(frame, cluster_column="seurat_clusters")


def test_explicit_column_may_be_the_one_without_a_name(tmp_path):
    SEURAT.drop(columns="gene").set_index(SEURAT["gene"].rename(None)).to_csv(tmp_path / "m.csv")
    found = read_markers(tmp_path / "m.csv", gene_column="")
    assert found.gene.tolist() == SEURAT["gene"].tolist()


def test_genes_with_separators_stay_whole_in_a_table_with_statistics():
    frame = SEURAT.assign(gene=["A,B", "C;D", "E|F", "G H"])
    assert read_markers(frame).gene.tolist() == ["A,B", "C;D", "E|F", "G H"]


def test_presto():
    frame = pd.DataFrame(
        {
            "feature": ["A", "B"],
            "group": ["0", "0"],
            "avgExpr": [1.0, 1.0],
            "logFC": [math.log(8), 0.1],
        }
        | {"statistic": [9.0, 8.0], "auc": [0.9, 0.6], "pval": [0.0, 0.1], "padj": [0.0, 0.2]}
        | {"pct_in": [0.9, 0.5], "pct_out": [0.0, 0.1]}
    )
    found = read_markers(frame)
    assert found.avg_log2fc[0] == pytest.approx(3.0)
    assert found.score.tolist() == [0.9, 0.6]
    # Percentages by definition, although none is above 1.
    np.testing.assert_allclose(found.pct_1, [0.009, 0.005])
