"""Our markers are those of the real FindAllMarkers(), whose tables are in tests/fixtures/markers.

They were written with limma by ``scripts/golden_markers.R`` in both lanes. presto, which Seurat 5
takes where it is installed, has the same formula and could not be had there.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.io import mmread
from scipy.sparse import csc_matrix

from cellferry.artifacts.marker_sums import MarkerSums
from cellferry.study.clusters import Clusters
from cellferry.study.markers.contrasts import one_against_rest
from cellferry.study.markers.rules import MarkerOptions, rules_of_version
from cellferry.study.markers.tested import MarkerTable
from paths import ROOT

FOLDER = ROOT / "tests" / "fixtures" / "markers"
LEVELS = {
    "pbmc_small": ["0", "1", "2"],
    "large": ["a", "b", "c", "d"],
    "awkward": ["10", "T cell", "B/plasma", "two", "one", "3"],
}


def table_of(name: str, options: MarkerOptions) -> MarkerTable:
    values = csc_matrix(mmread(FOLDER / f"{name}.mtx.gz").T)
    genes = (FOLDER / f"{name}.genes.txt").read_text().splitlines()
    labels = (FOLDER / f"{name}.clusters.txt").read_text().splitlines()
    clusters = Clusters.from_labels(labels, LEVELS[name])
    sums = MarkerSums(genes, [one_against_rest(clusters)], options.checked())
    # Blocks of any width give the same.
    for start in range(0, len(genes), 17):
        sums.take(start, values[:, start : start + 17])
    return sums.table(clusters.names)


@pytest.mark.parametrize("version", ["4.3.0", "5.2.1"])
@pytest.mark.parametrize("kind", ["positive", "all"])
@pytest.mark.parametrize("name", LEVELS)
def test_a_table_is_the_one_of_seurat(name: str, kind: str, version: str) -> None:
    expected = pd.read_csv(
        FOLDER / version / f"{name}-{kind}.csv.gz",
        dtype={"cluster": str, "gene": str},
        float_precision="round_trip",
    )
    options = MarkerOptions(rules=rules_of_version(version).name, only_pos=kind == "positive")
    found = table_of(name, options)
    of_row = [found.clusters[code] for code in found.cluster]
    assert of_row == expected["cluster"].tolist()
    assert found.gene.tolist() == expected["gene"].tolist()
    for ours, theirs in ((found.pct_1, "pct.1"), (found.pct_2, "pct.2")):
        assert ours.tolist() == expected[theirs].tolist()
    np.testing.assert_allclose(found.avg_log_fc, expected["avg_log2FC"], rtol=0, atol=1e-10)
    for values, theirs in ((found.p_val, "p_val"), (found.p_val_adj, "p_val_adj")):
        np.testing.assert_array_equal(values == 0, expected[theirs] == 0)
        np.testing.assert_allclose(values, expected[theirs], rtol=1e-9, atol=0)


def test_the_tables_hold_what_is_hard() -> None:
    table = pd.read_csv(FOLDER / "4.3.0" / "large-all.csv.gz")
    assert (table["p_val"] == 0).sum() >= 2
    assert table["row"].duplicated().sum() == 0
    found = table_of("awkward", MarkerOptions(only_pos=True))
    assert found.left_out == {
        "two": "There are 2 cells, fewer than 3.",
        "one": "There is 1 cell, fewer than 3.",
    }
