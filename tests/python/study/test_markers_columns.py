import math

import pytest

from cellferry.errors import InvalidOptionError, MarkersFormatError, MarkersStatisticError
from cellferry.study.markers.columns import LOG2_OF_NATURAL, find_layout, no_statistic

SEURAT = ["p_val", "avg_log2FC", "pct.1", "pct.2", "p_val_adj", "cluster", "gene"]
SEURAT3 = ["p_val", "avg_logFC", "pct.1", "pct.2", "p_val_adj", "cluster", "gene"]
ROC = ["myAUC", "avg_diff", "power", "avg_log2FC", "pct.1", "pct.2", "cluster", "gene"]
ROC3 = ["myAUC", "avg_diff", "power", "pct.1", "pct.2", "cluster", "gene"]
SCALED = ["p_val", "avg_diff", "pct.1", "pct.2", "p_val_adj", "cluster", "gene"]
SCANPY = [
    *("group", "names", "scores", "logfoldchanges", "pvals", "pvals_adj"),
    *("pct_nz_group", "pct_nz_reference"),
]
PRESTO = [
    *("feature", "group", "avgExpr", "logFC", "statistic", "auc", "pval", "padj"),
    *("pct_in", "pct_out"),
]
LN = LOG2_OF_NATURAL


def layout(names, cluster_column=None, gene_column=None):
    return find_layout(names, "The table", cluster_column, gene_column)


def test_log2_of_a_natural_logarithm():
    assert math.log(8) * LN == pytest.approx(3)


@pytest.mark.parametrize(
    ("names", "roles", "source", "fold_change", "score"),
    [
        (SEURAT, ("cluster", "gene"), "seurat", ("avg_log2FC", 1), None),
        (SEURAT3, ("cluster", "gene"), "seurat", ("avg_logFC", LN), None),
        (ROC, ("cluster", "gene"), "seurat", ("avg_log2FC", 1), ("power", 1)),
        (ROC3, ("cluster", "gene"), "seurat", ("avg_diff", LN), ("power", 1)),
        (SCALED, ("cluster", "gene"), "seurat", None, ("avg_diff", 1)),
        (SCANPY, ("group", "names"), "scanpy", ("logfoldchanges", 1), ("scores", 1)),
        (PRESTO, ("group", "feature"), "seurat", ("logFC", LN), ("auc", 1)),
    ],
)
def test_every_format(names, roles, source, fold_change, score):
    found = layout(names)
    assert (found.cluster, found.gene) == roles
    assert found.source == source
    assert found.statistics.get("avg_log2fc") == fold_change
    assert found.statistics.get("score") == score
    assert layout(names[::-1]) == found


@pytest.mark.parametrize("names", [SCANPY, PRESTO])
def test_trap_prevalence_of_scanpy_and_presto_is_read(names):
    assert {"pct_1", "pct_2", "p_val", "p_val_adj"} <= set(layout(names).statistics)


def test_extra_columns_do_not_matter():
    extra = ["tissue", "n", "group", "myscore", "logFC"]
    assert layout([*extra, *SEURAT]) == layout(SEURAT)


def test_trap_explicit_columns_win_in_tables_with_statistics():
    names = ["seurat_clusters", "symbol_name", *SEURAT]
    found = layout(names, cluster_column="seurat_clusters", gene_column="symbol_name")
    assert (found.cluster, found.gene) == ("seurat_clusters", "symbol_name")
    assert found.statistics == layout(SEURAT).statistics


def test_one_explicit_column_leaves_the_other_to_be_recognised():
    found = layout([*SEURAT, "subcluster"], cluster_column="subcluster")
    assert (found.cluster, found.gene) == ("subcluster", "gene")
    found = layout([*SCANPY, "symbol"], gene_column="symbol")
    assert (found.cluster, found.gene) == ("group", "symbol")


def test_an_explicit_column_is_nothing_else():
    assert "score" not in layout([*SEURAT, "Score"], cluster_column="Score").statistics


def test_explicit_column_that_does_not_exist():
    with pytest.raises(InvalidOptionError) as caught:
        layout(SEURAT, cluster_column="Clusters")
    assert "`cluster_column`" in caught.value.message
    assert '"avg_log2FC"' in caught.value.message
    assert 'Did you mean "cluster"?' in caught.value.hint


def test_explicit_columns_must_differ():
    with pytest.raises(InvalidOptionError, match="both name"):
        layout(SEURAT, cluster_column="gene", gene_column="gene")


@pytest.mark.parametrize(
    ("alias", "field"),
    [
        *[("Avg_Log2FC", "avg_log2fc"), ("log2FoldChange", "avg_log2fc"), ("pct_1", "pct_1")],
        *[("padj", "p_val_adj"), ("FDR", "p_val_adj"), ("score", "score"), ("p.value", "p_val")],
    ],
)
def test_aliases_of_statistics(alias, field):
    assert layout(["Cluster", "Gene", alias]).statistics == {field: (alias, 1.0)}


def test_avg_logfc_is_natural_in_every_spelling():
    assert layout(["cluster", "gene", "avg.logFC"]).statistics["avg_log2fc"] == ("avg.logFC", LN)


def test_log_fc_alone_says_nothing_about_its_base():
    assert layout(["cluster", "gene", "logFC"]).statistics == {}


def test_exact_name_before_alias():
    assert layout(["Genes", "gene", "cluster", "score"]).gene == "gene"


def test_two_aliases_are_ambiguous_and_nothing_is_chosen():
    with pytest.raises(MarkersFormatError) as caught:
        layout(["Genes", "Symbol", "cluster", "Score"])
    assert '"Genes", "Symbol"' in caught.value.message
    assert "`gene_column`" in caught.value.hint
    assert layout(["Genes", "Symbol", "cluster", "Score"], gene_column="Symbol").gene == "Symbol"
    with pytest.raises(MarkersFormatError, match="avg_log2fc"):
        layout(["cluster", "gene", "log2fc", "Avg_log2FC"])


def test_two_formats_at_once():
    with pytest.raises(MarkersFormatError, match="several formats"):
        layout([*SEURAT, *SCANPY])
    found = layout([*SEURAT, *SCANPY], "cluster", "gene")
    assert (found.cluster, found.gene) == ("cluster", "gene")


def test_trap_single_group_of_scanpy_has_no_group_column():
    with pytest.raises(MarkersFormatError) as caught:
        layout(SCANPY[1:])
    assert 'no column "group"' in caught.value.message
    assert "group=None" in caught.value.hint
    assert 'frame["group"]' in caught.value.hint


def test_findmarkers_has_no_cluster():
    with pytest.raises(MarkersFormatError) as caught:
        layout(SEURAT[:5])
    assert "which cluster" in caught.value.message
    assert "FindAllMarkers()" in caught.value.hint


def test_row_names_are_no_gene_column():
    with pytest.raises(MarkersFormatError) as caught:
        layout(SEURAT[:6])
    assert "no column of genes" in caught.value.message
    assert "Row names" in caught.value.hint


def test_unknown_columns_are_listed_with_the_formats():
    with pytest.raises(MarkersFormatError) as caught:
        layout(["a", "b", "c"])
    assert '"a", "b", "c"' in caught.value.message
    for word in ("FindAllMarkers", "rank_genes_groups_df", "two-column", "cluster_column"):
        assert word in caught.value.hint


@pytest.mark.parametrize(
    ("names", "roles", "guessed"),
    [
        (["cluster", "marker_genes"], ("cluster", "marker_genes"), False),
        (["Broad.cell.type", "Top.Markers"], ("Broad.cell.type", "Top.Markers"), False),
        (["gene", "cluster"], ("cluster", "gene"), False),
        (["my clusters", "my genes"], ("my clusters", "my genes"), True),
        (["cluster", "best"], ("cluster", "best"), True),
        (["markers", "lineage"], ("lineage", "markers"), False),
    ],
)
def test_two_columns(names, roles, guessed):
    found = layout(names)
    assert (found.cluster, found.gene, found.guessed) == (*roles, guessed)


@pytest.mark.parametrize("names", [["gene", "avg_log2FC"], ["names", "scores"]])
def test_a_statistic_is_never_taken_for_a_cluster(names):
    with pytest.raises(MarkersFormatError):
        layout(names)


@pytest.mark.parametrize("names", [["cluster", "n_cells", "markers"], ["markers", "n", "cluster"]])
def test_trap_list_column_is_found_by_name_not_position(names):
    found = layout(names)
    assert (found.cluster, found.gene) == ("cluster", "markers")


def test_no_statistic_says_what_to_do():
    error = no_statistic(["cluster", "gene", "FC"], "The table")
    assert isinstance(error, MarkersStatisticError)
    assert '"FC"' in error.message
    assert "avg_log2FC" in error.hint
