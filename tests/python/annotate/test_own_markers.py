"""Markers that nobody gave: those that the object holds, else our own test."""

import logging
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import cellferry
from cellferry import annotate_clusters, errors, find_markers
from cellferry.annotate import checks
from cellferry.annotate.request import build_study
from cellferry.artifacts.markers import with_markers
from cellferry.study.clusters import Clusters
from cellferry.study.study import Study

OF_A_RUN = {
    "test": "Wilcoxon rank sum, normal approximation, corrected for ties and continuity",
    "rules": "Seurat 5.0.1",
    "only_pos": True,
    "logfc_threshold": 0.25,
    "min_pct": 0.1,
    "return_thresh": 0.01,
    "p_val_adj": "Bonferroni, all genes of the layer",
    "expm1": True,
}


def small(x, **obs):
    n = x.shape[0]
    frame = pd.DataFrame(obs, index=[f"c{i}" for i in range(n)])
    return anndata.AnnData(x, obs=frame, var=pd.DataFrame(index=["CD3E", "MS4A1", "LYZ"]))


def expression(n=60, seed=0):
    random = np.random.default_rng(seed)
    counts = random.poisson(3, (n, 3)).astype(float)
    counts[: n // 2, 0] += 9
    logged = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    return counts, logged, np.repeat(["a", "b"], n // 2)


def test_a_ranking_without_fold_changes_is_made_anew_and_that_is_said(ranked_blood, caplog):
    import scanpy

    original = scanpy.datasets.pbmc68k_reduced()
    with caplog.at_level(logging.INFO, "cellferry"), warnings.catch_warnings():
        warnings.simplefilter("error", errors.CellferryWarning)
        study = build_study(original, group_key="bulk_labels")
    assert "found for 10 clusters of 700 cells by the Wilcoxon test" in caplog.text
    assert study.markers.avg_log2fc is not None
    assert study.markers.pct_1 is not None
    assert set(study.markers.clusters) == set(study.clusters.names)


@pytest.mark.parametrize(
    ("x", "groups", "words"),
    [
        (np.random.default_rng(0).normal(size=(6, 3)), "aaabbb", "scaled"),
        (np.random.default_rng(0).integers(0, 9, (6, 3)).astype(float), "aaabbb", "raw counts"),
        (np.random.default_rng(0).random((6, 3)), "aaaaaa", "only one cluster"),
    ],
)
def test_markers_are_not_made_of_data_that_cannot_give_them(x, groups, words):
    adata = small(sparse.csr_matrix(x), leiden=list(groups))
    with pytest.raises(errors.MarkersRequiredError, match=words) as caught:
        build_study(adata, group_key="leiden")
    assert "`markers`" in caught.value.hint


@pytest.mark.parametrize("first", [0, 1])
def test_genes_without_names_are_no_identifiers_and_are_refused_before_the_search(first, caplog):
    _, logged, groups = expression()
    adata = small(logged, g=groups)
    adata.var_names = [str(first + i) for i in range(3)]
    said = f"no names: they are numbered from {first} to {first + 2}"
    with caplog.at_level(logging.INFO, "cellferry"):
        with pytest.raises(errors.GeneIdentifiersError, match=said) as caught:
            annotate_clusters(adata, group_key="g")
        with pytest.raises(errors.GeneIdentifiersError, match=said):
            cellferry.annotate_cells(adata)
    assert "Wilcoxon" not in caplog.text
    adata.var["gene_symbols"] = ["CD3E", "MS4A1", "LYZ"]
    line = caught.value.hint.removeprefix("Name them: ")
    exec(line, {"adata": adata})
    assert list(adata.var_names) == ["CD3E", "MS4A1", "LYZ"]
    # Numbers in another order are identifiers.
    adata.var_names = ["915", "931", "4069"]
    with pytest.raises(errors.GeneIdentifiersError, match="Entrez"):
        annotate_clusters(adata, group_key="g", progress=False)


def test_counts_in_a_layer_beside_an_empty_x_are_named_and_the_cure_works():
    counts, _, groups = expression()
    adata = anndata.AnnData(
        None, obs=pd.DataFrame({"g": groups}, index=[f"c{i}" for i in range(60)]),
        var=pd.DataFrame(index=["CD3E", "MS4A1", "LYZ"]), layers={"counts": counts},
    )  # fmt: skip
    with pytest.raises(
        errors.MarkersRequiredError, match=r'raw counts \(layers\["counts"\]\)'
    ) as e:
        annotate_clusters(adata, group_key="g", progress=False)
    run_cure(e.value.hint, adata)
    assert len(annotate_clusters(adata, group_key="g", progress=False)) == 2


def test_half_precision_is_read_as_single():
    _, logged, groups = expression()
    half = small(logged.astype(np.float16), g=groups)
    single = small(logged.astype(np.float16).astype(np.float32), g=groups)
    assert find_markers(half, "g").to_dict() == find_markers(single, "g").to_dict()


def test_computing_needs_cells():
    with pytest.raises(errors.MarkersRequiredError, match="no expression"):
        with_markers(Study(Clusters(("a", "b"))))


def test_a_ranking_of_raw_counts_is_not_used_and_that_is_said():
    import scanpy

    counts, logged, groups = expression()
    adata = small(logged, leiden=pd.Categorical(groups))
    adata.raw = small(counts)
    scanpy.tl.rank_genes_groups(adata, "leiden", pts=True)
    with pytest.warns(errors.NormalisationWarning, match="made of raw, which has raw counts") as w:
        study = build_study(adata, group_key="leiden")
    cure = w[-1].message.hint
    assert 'scanpy.tl.rank_genes_groups(adata, "leiden", pts=True, use_raw=False)' in cure
    scanpy.tl.rank_genes_groups(adata, "leiden", pts=True, use_raw=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.CellferryWarning)
        again = build_study(adata, group_key="leiden")
    assert set(again.markers.gene) >= set(study.markers.gene)
    assert (study.markers.details, again.markers.details is None) == (OF_A_RUN, True)


def run_cure(hint, adata):
    """Run the Python of a hint, as a user would paste it."""
    import scanpy

    code = hint.split(": ", 1)[1].split(", and annotate again.")[0]
    names = {"adata": adata, "scanpy": scanpy}
    exec(code, names)
    return names["adata"]


@pytest.mark.parametrize("where", ["X", "layer", "raw", "not logged", "a gene with NaN"])
def test_the_cure_of_values_that_give_no_markers_works(where):
    counts, logged, groups = expression()
    scaled = (logged - logged.mean(axis=0)) / logged.std(axis=0)
    adata = small(counts if where == "X" else scaled, leiden=pd.Categorical(groups))
    if where == "not logged":
        adata.X = np.expm1(logged)
    if where == "a gene with NaN":
        adata.X = logged.copy()
        adata.X[3, 2] = np.nan
    if where == "layer":
        adata.layers["counts"] = counts
    if where == "raw":
        adata.raw = small(counts, leiden=groups)
    with pytest.raises(errors.MarkersRequiredError) as caught:
        build_study(adata, group_key="leiden")
    assert build_study(run_cure(caught.value.hint, adata), group_key="leiden").markers


def test_the_markers_are_those_of_find_markers_and_the_run_says_how(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path))
    _, logged, groups = expression()
    adata = small(logged, leiden=groups)
    study = build_study(adata, group_key="leiden")
    wanted = {"only_pos": True, "logfc_threshold": 0.25, "min_pct": 0.1, "progress": False}
    given = find_markers(adata, "leiden", **wanted)
    pd.testing.assert_frame_equal(study.markers.to_frame(), given.to_frame())
    assert "rank_genes_groups" not in adata.uns
    found = annotate_clusters(adata, group_key="leiden", species="human", progress=False)
    assert found.provenance["marker_test"] == OF_A_RUN
    # A table that a user has read has no such details.
    table = annotate_clusters(given.to_frame(), species="human", progress=False)
    assert "marker_test" not in table.provenance


def test_cells_without_a_cluster_are_compared_with_as_in_seurat():
    _, logged, groups = expression()
    some = pd.Series(groups).where(np.arange(60) % 3 > 0)
    study = build_study(small(logged, leiden=some.to_numpy()), group_key="leiden")
    row = study.markers.to_frame().set_index("gene").loc["CD3E"]
    inside = (some == "a").to_numpy()
    assert row["pct.2"] == np.round((logged[~inside, 0] > 0).mean(), 3)
    with pytest.raises(errors.MarkersRequiredError, match="only one cluster"):
        build_study(small(logged, leiden=some.where(some == "a").to_numpy()), group_key="leiden")


def test_clusters_that_cannot_be_tested_are_one_warning_with_the_reason():
    _, logged, groups = expression()
    groups = groups.astype(object)
    groups[:2], groups[-1] = "few", "one"
    study = build_study(small(logged, leiden=groups), group_key="leiden")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checks.check_study(study)
    said = [str(w.message) for w in caught if "without markers" in str(w.message)]
    assert len(said) == 1
    assert '"few", "one"' in said[0]
    assert '"few" cannot be tested: There are 2 cells, fewer than 3.' in said[0]
    assert study.markers.details["left_out"]["one"] == "There is 1 cell, fewer than 3."


def test_sums_of_cells_cannot_be_tested():
    _, logged, _ = expression(4)
    sums = build_study(
        small(logged, leiden=list("aabb")), {"a": ["CD3E"], "b": ["LYZ"]}, group_key="leiden"
    )
    with pytest.raises(errors.MarkersRequiredError, match="None of the 2 clusters") as caught:
        with_markers(sums)
    assert "a: There are 2 cells, fewer than 3." in str(caught.value)


def test_clusters_that_are_alike_have_no_markers_and_that_is_said():
    _, logged, _ = expression()
    alike = small(logged, half=np.tile(["x", "y"], 30))
    with pytest.raises(errors.MarkersRequiredError, match="No marker was found") as caught:
        build_study(alike, group_key="half")
    assert 'find_markers(adata, "half", only_pos=True, logfc_threshold=0.1)' in caught.value.hint


@pytest.mark.parametrize("kept", ["csr", "csc", "dense", "zeros stored", "integers", "twice"])
def test_what_is_awkward_changes_nothing(kept):
    _, logged, groups = expression()
    expected = build_study(small(logged, leiden=groups), group_key="leiden").markers.to_frame()
    x = {
        "csr": sparse.csr_matrix(logged), "csc": sparse.csc_matrix(logged), "dense": logged,
        "zeros stored": sparse.csr_matrix(logged), "integers": logged,
        "twice": sparse.csr_matrix(logged),
    }[kept]  # fmt: skip
    if kept == "zeros stored":
        x = sparse.csr_matrix(logged + 1)
        x.data[:] = x.data - 1
    adata = small(x, leiden=np.where(groups == "a", 0, 1) if kept == "integers" else groups)
    if kept == "twice":
        adata.var_names = ["CD3E", "CD3E", "LYZ"]
    found = build_study(adata, group_key="leiden").markers.to_frame()
    assert found["p_val"].tolist() == expected["p_val"].tolist()
    assert found["pct.1"].tolist() == expected["pct.1"].tolist()


def test_three_hundred_clusters_have_their_markers():
    random = np.random.default_rng(0)
    n, names = 300, [f"g{i}" for i in range(310)]
    groups = np.repeat(np.arange(n), 12)
    x = random.random((len(groups), len(names))) < 0.02
    values = x.astype(float) * 1.5
    values[np.arange(len(groups)), groups] = 3
    obs = pd.DataFrame({"leiden": pd.Categorical(groups.astype(str))}, dtype=None)
    obs.index = obs.index.astype(str)
    adata = anndata.AnnData(sparse.csr_matrix(values), obs=obs, var=pd.DataFrame(index=names))
    study = build_study(adata, group_key="leiden")
    best = study.markers.to_frame().groupby("cluster", observed=True)["gene"].first()
    assert best.to_dict() == {str(i): f"g{i}" for i in range(n)}
