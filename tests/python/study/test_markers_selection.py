"""Each rule of the choice of genes on its own; test_markers_selection_rules.py has all at once."""

import math

import numpy as np
import pandas as pd
import pytest

from cellferry.errors import InvalidOptionError, MarkersStatisticError
from cellferry.study.markers.read import read_markers

OPEN = {"max_p_val_adj": None, "min_avg_log2fc": None, "min_pct": None}


def table(genes, **columns):
    rows = len(genes)
    base = {"cluster": ["0"] * rows, "gene": genes}
    renamed = {k.replace("pct_", "pct."): v for k, v in columns.items()}
    return read_markers(pd.DataFrame(base | renamed))


def chosen(markers, *args, **options):
    return "".join(markers.select(*args, **options)["0"].genes)


def test_filters_are_those_of_the_specification():
    markers = table(
        list("ABCDEFG"),
        avg_log2FC=[5.0, 4.0, 0.25, 0.26, 2.0, 2.0, 9.0],
        p_val_adj=[0.0, 0.05, 0.0, 0.04, 0.0, 0.0, 0.9],
        pct_1=[0.5, 0.5, 0.5, 0.5, 0.1, 0.09, 0.5],
        pct_2=[0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0],
    )
    assert chosen(markers) == "AED"
    assert chosen(markers, max_p_val_adj=0.06) == "ABED"
    assert chosen(markers, min_avg_log2fc=3) == "A"
    assert chosen(markers, min_pct=0.09) == "AEFD"
    assert chosen(markers, **OPEN) == "GABEFDC"


def test_trap_a_gene_of_the_other_cells_only_is_no_marker():
    markers = table(["A", "B"], avg_log2FC=[1.0, 2.0], pct_1=[0.5, 0.0], pct_2=[0.1, 0.1])
    assert chosen(markers) == "A"


@pytest.mark.parametrize(
    ("method", "downward"), [("avg_log2FC", "CAB"), ("p_val_adj", "CBA"), ("pct_diff", "ACB")]
)
def test_ranking_methods_and_their_directions(method, downward):
    markers = table(
        list("ABC"),
        avg_log2FC=[2.0, 1.0, 3.0],
        p_val_adj=[0.0, 0.01, 0.02],
        pct_1=[0.9, 0.9, 0.9],
        pct_2=[0.1, 0.8, 0.5],
    )
    usual = downward[::-1] if method == "p_val_adj" else downward
    assert chosen(markers, method) == usual
    assert chosen(markers, method, ascending=False) == downward
    assert chosen(markers, method, ascending=True) == downward[::-1]


def test_score_of_the_user():
    markers = table(list("ABC"), Score=[1.0, 3.0, 2.0])
    assert chosen(markers, "Score") == "BCA"
    assert chosen(markers, "Score", ascending=True) == "ACB"


def test_trap_score_of_scanpy_ranks():
    frame = pd.DataFrame({"group": "0", "names": list("ABC"), "scores": [1.0, 3.0, 2.0]})
    assert chosen(read_markers(frame), "Score") == "BCA"


def test_trap_pct_diff_of_scanpy_ranks():
    frame = pd.DataFrame({"group": "0", "names": list("AB"), "logfoldchanges": [2.0, 1.0]})
    frame = frame.assign(pct_nz_group=[0.5, 0.9], pct_nz_reference=[0.4, 0.1])
    assert chosen(read_markers(frame), "pct_diff") == "BA"


def test_trap_prevalence_filter_applies_to_scanpy():
    frame = pd.DataFrame({"group": "0", "names": list("AB"), "logfoldchanges": [9.0, 1.0]})
    frame = frame.assign(pct_nz_group=[0.01, 0.9], pct_nz_reference=[0.0, 0.1])
    assert chosen(read_markers(frame)) == "B"


def test_p_values_stand_in_for_adjusted_ones():
    assert chosen(table(list("AB"), p_val=[0.2, 0.1]), "p_val_adj") == "BA"


def test_a_filter_on_a_missing_column_is_not_applied():
    assert chosen(table(list("AB"), avg_log2FC=[1.0, 2.0])) == "BA"


@pytest.mark.parametrize(
    ("columns", "method", "possible"),
    [
        ({"Score": [1.0]}, "avg_log2FC", ["Score"]),
        ({"avg_log2FC": [1.0]}, "Score", ["avg_log2FC"]),
        ({"avg_log2FC": [1.0], "pct_1": [0.5]}, "pct_diff", ["avg_log2FC"]),
        ({"avg_log2FC": [1.0], "Score": [0.5]}, "p_val_adj", ["avg_log2FC", "Score"]),
    ],
)
def test_ranking_by_a_missing_column_names_what_is_possible(columns, method, possible):
    markers = table(["A"], **columns)
    with pytest.raises(MarkersStatisticError) as caught:
        markers.select(method)
    assert f'"{method}"' in caught.value.message
    assert caught.value.data["possible"] == possible == list(markers.ranking_methods)
    assert all(f'"{name}"' in caught.value.hint for name in possible)


def test_missing_values_fail_their_filter_and_rank_last():
    nan = math.nan
    markers = table(
        list("ABCD"),
        avg_log2FC=[nan, 1.0, 2.0, 3.0],
        p_val_adj=[0.0, nan, 0.0, 0.0],
        Score=[9, 8, nan, 1],
    )
    assert chosen(markers) == "DC"
    assert chosen(markers, "Score") == "DC"
    assert chosen(markers, "Score", ascending=True) == "DC"
    assert chosen(markers, "avg_log2FC", **OPEN) == "DCBA"


@pytest.mark.parametrize("infinite", [math.inf, "inf", "Inf"])
def test_trap_infinite_fold_changes_rank_first_and_tie_with_each_other(infinite):
    markers = table(
        list("ABCD"),
        avg_log2FC=[3.0, infinite, "-inf", infinite],
        pct_1=[0.9, 0.3, 0.9, 0.4],
        pct_2=[0.0, 0.0, 0.0, 0.0],
    )
    assert chosen(markers) == "DBA"
    assert chosen(markers, **OPEN) == "DBAC"


def test_trap_only_infinite_fold_changes_are_all_kept():
    assert chosen(table(list("BA"), avg_log2FC=["inf", "inf"])) == "AB"


def test_trap_ties_are_decided_the_same_way_for_any_order_of_rows():
    genes = [f"G{i:03d}" for i in range(120)]
    frame = pd.DataFrame({"cluster": 0, "gene": genes, "p_val_adj": 0.0, "avg_log2FC": 1.0})
    frame["p_val_adj"] = np.repeat([0.0, 1e-300, 1e-200], 40)
    first = read_markers(frame).select("p_val_adj")["0"].genes
    assert first == tuple(genes[:50])
    for seed in range(5):
        shuffled = frame.sample(frac=1, random_state=seed)
        assert read_markers(shuffled).select("p_val_adj")["0"].genes == first


def test_tie_break_in_its_documented_order():
    markers = table(
        list("FEDCBA"),
        p_val_adj=[0.0] * 6,
        avg_log2FC=[3.0, 2.0, 2.0, 2.0, 2.0, 2.0],
        pct_1=[0.5, 0.9, 0.5, 0.5, 0.5, 0.5],
        pct_2=[0.1] * 6,
        Score=[0.0, 0.0, 1.0, 0.5, 0.0, 0.0],
    )
    assert chosen(markers, "p_val_adj") == "FEDCAB"


def test_trap_a_duplicated_gene_takes_one_place_only():
    markers = table(list("AABC"), avg_log2FC=[9.0, 8.0, 7.0, 6.0])
    found = markers.select(n_genes=2)["0"]
    assert found.genes == ("A", "B")
    assert found.rows.tolist() == [0, 2]
    assert found.rows.dtype == np.intp


@pytest.mark.parametrize(
    ("column", "better", "worse"),
    [("p_val_adj", 0.0, 0.2), ("p_val", 0.0, 0.2), ("pct.1", 0.9, 0.5), ("pct.2", 0.1, 0.5)],
)
def test_of_several_rows_of_a_gene_the_best_is_kept_in_any_order(column, better, worse):
    for values, row in (([better, worse], 0), ([worse, better], 1)):
        markers = table(["A", "A"], avg_log2FC=[1.0, 1.0], **{column: values})
        assert markers.select(**OPEN)["0"].rows.tolist() == [row]


def test_trap_a_cluster_without_a_gene_left_is_still_there():
    frame = pd.DataFrame({"cluster": [0, 1], "gene": ["A", "B"], "avg_log2FC": [1.0, 0.1]})
    found = read_markers(frame).select()
    assert list(found) == ["0", "1"]
    assert found["1"].genes == ()
    assert found["1"].rows.tolist() == []


def test_trap_number_of_genes_counts_for_lists_too():
    markers = read_markers({"0": [f"G{i}" for i in range(120)]})
    assert len(markers.select()["0"].genes) == 50
    assert len(markers.select(n_genes=200)["0"].genes) == 120


@pytest.mark.parametrize("method", ["avg_log2FC", "p_val_adj", "pct_diff", "Score"])
@pytest.mark.parametrize("ascending", [None, True, False])
def test_lists_are_ranked_by_their_order(method, ascending):
    markers = read_markers({"0": ["Z", "A", "M"]})
    assert chosen(markers, method, ascending=ascending, n_genes=2) == "ZA"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"ranking_method": "avg_logFC"}, 'Did you mean "avg_log2FC"'),
        ({"ranking_method": "score"}, 'Did you mean "Score"'),
        ({"ranking_method": "zzz"}, '"pct_diff"'),
        ({"n_genes": 0}, "`n_genes` must be a whole number of at least 1, not 0"),
        ({"n_genes": 2.5}, "not 2.5"),
        ({"n_genes": True}, "not True"),
        ({"ascending": "yes"}, "`ascending` must be True, False or None"),
        ({"max_p_val_adj": "0.05"}, "`max_p_val_adj` must be a number or None"),
        ({"min_pct": math.nan}, "`min_pct`"),
        ({"min_avg_log2fc": False}, "`min_avg_log2fc`"),
    ],
)
def test_values_that_are_not_valid(options, word):
    for markers in (table(["A"], avg_log2FC=[1.0]), read_markers({"0": ["A"]})):
        with pytest.raises(InvalidOptionError) as caught:
            markers.select(**options)
        assert word in str(caught.value)
