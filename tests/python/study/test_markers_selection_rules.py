"""All rules of the choice of genes against a slow reading of them, on random tables."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.errors import MarkersStatisticError
from cellferry.study.markers.read import read_markers

STATISTICS = ("avg_log2FC", "p_val", "p_val_adj", "pct.1", "pct.2", "Score")
OPEN = {"max_p_val_adj": None, "min_avg_log2fc": None, "min_pct": None}


# Few different values, so that ties, duplicates and missing values are the rule.
VALUES = {
    "avg_log2FC": [math.nan, -math.inf, 0.1, 1.0, 2.0, math.inf],
    "p_val": [math.nan, 0.0, 0.01, 1.0],
    "p_val_adj": [math.nan, 0.0, 0.04, 0.2],
    "pct.1": [math.nan, 0.0, 0.1, 0.5, 1.0],
    "pct.2": [math.nan, 0.0, 0.3, 0.9],
    "Score": [math.nan, -1.0, 0.0, 7.0],
}


@st.composite
def frames(draw):
    rows = draw(st.integers(1, 40))
    columns = draw(st.sets(st.sampled_from(STATISTICS))) | {"avg_log2FC"}

    def many(values):
        return draw(st.lists(st.sampled_from(values), min_size=rows, max_size=rows))

    frame = pd.DataFrame({"cluster": many(["0", "1", "10", "b"]), "gene": many(list("ABCdef"))})
    for column in sorted(columns):
        frame[column] = many(VALUES[column])
    frame.loc[0, "avg_log2FC"] = 1.0  # a column without any value counts as missing
    return frame.dropna(axis=1, how="all")


def slowly(frame, method, ascending, n_genes):
    """Select as documented, one comparison at a time."""
    name = {"pct_diff": None}.get(method, method)

    def number(row, column, sign):
        value = row["pct.1"] - row["pct.2"] if column is None else row[column]
        return (1, 0.0) if math.isnan(value) else (0, sign * value)

    def key(row):
        up = method == "p_val_adj" if ascending is None else ascending
        parts = [number(row, name, 1 if up else -1), number(row, "avg_log2FC", -1)]
        if {"pct.1", "pct.2"} <= set(row):
            parts.append(number(row, None, -1))
        if "Score" in row:
            parts.append(number(row, "Score", -1))
        return (*parts, row["gene"])

    def passes(row):
        return (
            row.get("p_val_adj", 0.0) < 0.05
            and row["avg_log2FC"] > 0.25
            and row.get("pct.1", 1.0) >= 0.1
        )

    found = {}
    for row in sorted(filter(passes, frame.to_dict("records")), key=key):
        found.setdefault(row["cluster"], {}).setdefault(row["gene"])
    return {
        c: tuple(found.get(c, {}))[:n_genes]
        for c in ("0", "1", "10", "b")
        if c in set(frame.cluster)
    }


@given(
    frames(),
    st.sampled_from(["avg_log2FC", "p_val_adj", "pct_diff", "Score"]),
    st.sampled_from([None, True, False]),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_selection_agrees_with_the_documented_rules_in_any_order_of_rows(
    frame, method, ascending, n_genes, random
):
    markers = read_markers(frame)
    if method not in markers.ranking_methods:
        with pytest.raises(MarkersStatisticError):
            markers.select(method)
        return
    if method == "p_val_adj" and "p_val_adj" not in frame:
        method_of_oracle = "p_val"
        ascending = True if ascending is None else ascending
    else:
        method_of_oracle = method
    expected = slowly(frame, method_of_oracle, ascending, n_genes)
    order = list(range(len(frame)))
    random.shuffle(order)
    for table_ in (frame, frame.iloc[order]):
        found = read_markers(table_).select(method, ascending=ascending, n_genes=n_genes)
        assert {k: v.genes for k, v in found.items()} == expected


@pytest.mark.slow
@given(frames(), st.integers(1, 5))
def test_rows_point_to_the_genes_and_each_gene_occurs_once(frame, n_genes):
    markers = read_markers(frame)
    for name, selection in markers.select(n_genes=n_genes).items():
        assert len(set(selection.genes)) == len(selection.genes) <= n_genes
        assert markers.gene[selection.rows].tolist() == list(selection.genes)
        assert {markers.clusters[i] for i in markers.cluster[selection.rows]} <= {name}


@given(frames(), st.randoms(use_true_random=False))
def test_the_same_rows_are_kept_in_any_order_of_rows(frame, random):
    order = list(range(len(frame)))
    random.shuffle(order)

    def kept(table_):
        selected = read_markers(table_).select(**OPEN)
        return [table_.iloc[s.rows].to_csv(index=False) for s in selected.values()]

    assert kept(frame) == kept(frame.iloc[order])
