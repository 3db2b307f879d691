"""Rankings of scanpy, as a frame and straight from `adata.uns`."""

import math

import numpy as np
import pandas as pd
import pytest

from cellferry.errors import (
    MarkersFormatError,
    MarkersStatisticError,
    UnsupportedObjectError,
)
from cellferry.study.markers.read import markers_from_ranking, read_markers
from marker_tables import genes

SCANPY = pd.DataFrame(
    {
        "group": pd.Categorical(["1", "1", "0"], ["1", "0"]),
        "names": ["CD79A", "MS4A1", "IL7R"],
        "scores": [28.5, 25.4, 22.1],
        "logfoldchanges": np.array([3.02, 2.74, 1.89], dtype="float32"),
        "pvals": [0.0, 0.0, 0.0],
        "pvals_adj": [0.0, 1e-6, 0.0],
        "pct_nz_group": [0.9, 0.8, 0.7],
        "pct_nz_reference": [0.1, 0.2, 0.3],
    }
)


def test_scanpy_frame():
    found = read_markers(SCANPY)
    assert found.source == "scanpy"
    assert found.clusters == ("1", "0")
    assert found.score.tolist() == SCANPY["scores"].tolist()
    assert found.pct_1.tolist() == [0.9, 0.8, 0.7]
    assert found.pct_2.tolist() == [0.1, 0.2, 0.3]
    assert genes(found) == {"1": ["CD79A", "MS4A1"], "0": ["IL7R"]}


def test_trap_scanpy_ranked_by_score():
    assert genes(read_markers(SCANPY), "Score", n_genes=1) == {"1": ["CD79A"], "0": ["IL7R"]}


def test_trap_single_group_frame_of_scanpy():
    with pytest.raises(MarkersFormatError) as caught:
        read_markers(SCANPY.drop(columns="group"))
    assert "group=None" in caught.value.hint


def test_trap_logistic_regression_has_scores_only():
    found = read_markers(SCANPY[["group", "names", "scores"]])
    assert found.ranking_methods == ("Score",)
    assert genes(found, "Score")["1"] == ["CD79A", "MS4A1"]
    with pytest.raises(MarkersStatisticError, match="avg_log2FC"):
        found.select()


def recarray(dtype, **groups):
    return np.rec.fromarrays(
        [np.array(v, dtype=dtype) for v in groups.values()], names=list(groups)
    )


def ranking(**changes):
    frame = pd.DataFrame({"a": [0.9, 0.8], "b": [0.2, 0.1]}, index=["G1", "G2"])
    base = {
        "params": {"groupby": "louvain", "reference": "rest", "method": "t-test"},
        "names": recarray(object, b=["G2", "G1"], a=["G1", "G2"]),
        "scores": recarray("f4", b=[4.0, 3.0], a=[2.0, 1.0]),
        "pvals": recarray("f8", b=[0.0, 0.1], a=[0.2, 0.3]),
        "pvals_adj": recarray("f8", b=[0.0, 0.2], a=[0.4, 0.6]),
        "logfoldchanges": recarray("f4", b=[8.0, 7.0], a=[6.0, 5.0]),
        "pts": frame,
        "pts_rest": 1 - frame,
    }
    return {k: v for k, v in (base | changes).items() if v is not None}


def test_trap_ranking_straight_from_uns():
    for found in (markers_from_ranking(ranking()), read_markers(ranking())):
        assert found.source == "scanpy"
        assert found.clusters == ("b", "a")
        assert found.gene.tolist() == ["G2", "G1", "G1", "G2"]
        assert found.cluster.tolist() == [0, 0, 1, 1]
        assert found.score.tolist() == [4.0, 3.0, 2.0, 1.0]
        assert found.avg_log2fc.tolist() == [8.0, 7.0, 6.0, 5.0]
        assert found.p_val_adj.tolist() == [0.0, 0.2, 0.4, 0.6]
        assert found.pct_1.tolist() == [0.1, 0.2, 0.9, 0.8]
        np.testing.assert_allclose(found.pct_2, [0.9, 0.8, 0.1, 0.2])


def test_ranking_of_logistic_regression():
    found = markers_from_ranking(
        ranking(pvals=None, pvals_adj=None, logfoldchanges=None, pts=None, pts_rest=None)
    )
    assert found.ranking_methods == ("Score",)


def test_ranking_against_one_group():
    found = markers_from_ranking(
        ranking(
            params={"reference": "b"},
            pts_rest=None,
            **{
                key: ranking()[key][["a"]]
                for key in ("names", "scores", "pvals", "pvals_adj", "logfoldchanges")
            },
        )
    )
    assert found.clusters == ("a",)
    assert found.pct_1.tolist() == [0.9, 0.8]
    assert found.pct_2.tolist() == [0.2, 0.1]


def test_trap_ranking_filtered_by_scanpy_has_missing_names():
    found = markers_from_ranking(
        ranking(names=recarray(object, b=["G2", math.nan], a=["G1", "G2"]))
    )
    assert found.gene.tolist() == ["G2", "G1", "G2"]
    assert found.score.tolist() == [4.0, 2.0, 1.0]


def test_what_is_no_ranking():
    with pytest.raises(MarkersFormatError, match="rank_genes_groups"):
        markers_from_ranking({"pca": 1})
    with pytest.raises(MarkersStatisticError, match="nothing to rank"):
        markers_from_ranking({"names": ranking()["names"]})


@pytest.mark.parametrize("method", ["wilcoxon", "logreg"])
@pytest.mark.filterwarnings("ignore")
def test_uns_and_frame_of_scanpy_itself_agree(method, tmp_path):
    scanpy = pytest.importorskip("scanpy")
    adata = scanpy.datasets.pbmc68k_reduced()
    pts = {} if method == "logreg" else {"pts": True}
    scanpy.tl.rank_genes_groups(adata, "louvain", method=method, n_genes=30, **pts)
    stored = adata.uns["rank_genes_groups"]
    frame = scanpy.get.rank_genes_groups_df(adata, group=None)
    direct, tabled = read_markers(stored), read_markers(frame)
    adata.write_h5ad(tmp_path / "a.h5ad")
    again = read_markers(scanpy.read_h5ad(tmp_path / "a.h5ad").uns["rank_genes_groups"])
    for other in (tabled, again):
        assert direct.to_dict() == other.to_dict()
    assert len(direct.clusters) == 11
    assert (direct.pct_2 is None) == (method == "logreg")


def test_anndata_is_told_where_its_ranking_is():
    class Adata:
        uns = ranking()

    with pytest.raises(UnsupportedObjectError) as caught:
        read_markers(Adata())
    assert 'adata.uns["rank_genes_groups"]' in caught.value.hint
