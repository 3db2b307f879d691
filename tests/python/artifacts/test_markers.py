"""``find_markers()``: whatever the values are kept in, and whoever is compared with whom."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry import build_artifacts, find_markers
from cellferry.artifacts import by_gene, gene_ranges
from cellferry.errors import (
    ClustersWithoutMarkersWarning,
    GroupMissingError,
    InvalidOptionError,
    MarkersRequiredError,
)

N_CELLS, GENES = 300, [f"Gene{i}" for i in range(40)]


def make(seed: int = 0, n: int = N_CELLS) -> anndata.AnnData:
    rng = np.random.default_rng(seed)
    clusters = rng.integers(0, 4, n)
    rate = np.full((4, len(GENES)), 0.4)
    for cluster in range(4):
        rate[cluster, cluster * 8 : cluster * 8 + 8] = 3
    counts = rng.poisson(rate[clusters])
    values = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 1e4)
    obs = pd.DataFrame(
        {
            "leiden": pd.Categorical([str(c) for c in clusters]),
            "parent": pd.Categorical(np.where(clusters < 2, "p", "q")),
            "sample": pd.Categorical(rng.choice(["x", "y", "z"], n)),
        },
        index=[f"cell{i}" for i in range(n)],
    )
    return anndata.AnnData(sp.csr_matrix(values), obs=obs, var=pd.DataFrame(index=GENES))


def frame(data: object, **options: object) -> pd.DataFrame:
    given: dict[str, object] = {"group_key": "leiden", "progress": False, **options}
    return find_markers(data, **given).to_frame()  # type: ignore[arg-type]


def test_the_columns_are_those_of_seurat() -> None:
    found = frame(make(), only_pos=True)
    assert list(found.columns) == [
        "p_val", "avg_log2FC", "pct.1", "pct.2", "p_val_adj", "cluster", "gene"
    ]  # fmt: skip
    best = found.groupby("cluster", observed=True)["gene"].first()
    for cluster, gene in best.items():
        assert int(gene[4:]) // 8 == int(str(cluster))
    assert (found["avg_log2FC"] > 0).all()
    assert (found["p_val_adj"] == np.minimum(1, found["p_val"] * len(GENES))).all()


@pytest.mark.parametrize("kept", ["csr", "csc", "dense", "backed", "path", "csc path", "layer"])
def test_any_storage_gives_the_same(kept: str, tmp_path: Path) -> None:
    adata = make()
    expected = frame(adata)
    path = tmp_path / "x.h5ad"
    data: object = adata
    if kept == "csc":
        adata.X = sp.csc_matrix(adata.X)
    elif kept == "dense":
        adata.X = adata.X.toarray()
    elif kept == "layer":
        adata.layers["log1p"] = adata.X.copy()
        adata.X = adata.X.toarray() - 1
    elif kept in {"backed", "path"}:
        adata.write_h5ad(path)
        data = anndata.read_h5ad(path, backed="r") if kept == "backed" else path
    elif kept == "csc path":
        adata.X = sp.csc_matrix(adata.X)
        adata.write_h5ad(path)
        data = str(path)
    pd.testing.assert_frame_equal(frame(data), expected)


@settings(max_examples=20, deadline=None)
@given(
    values=st.integers(1, 2000),
    few=st.integers(0, 1),
    batch=st.integers(1, 400),
    seed=st.integers(0, 99),
)
def test_the_way_of_reading_changes_nothing(values: int, few: int, batch: int, seed: int) -> None:
    adata = make(seed, 90)
    expected = frame(adata)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gene_ranges, "RANGE_VALUES", values)
        patch.setattr(by_gene, "FEW_VALUES", 10**9 * few)
        patch.setattr("cellferry.artifacts.marker_sums.BATCH", batch)
        pd.testing.assert_frame_equal(frame(adata), expected)


def test_cells_of_no_cluster_are_in_the_rest() -> None:
    adata = make()
    adata.obs["some"] = adata.obs["leiden"].where(adata.obs["leiden"] != "3")
    found = frame(adata, group_key="some", return_thresh=2, min_pct=0, logfc_threshold=0)
    whole = frame(adata, return_thresh=2, min_pct=0, logfc_threshold=0)
    whole = whole[whole["cluster"] != "3"]
    assert found["p_val"].tolist() == whole["p_val"].tolist()
    assert found["gene"].tolist() == whole["gene"].tolist()


def test_two_clusters_are_compared_without_the_others() -> None:
    adata = make()
    pair = frame(adata, ident_1="0", ident_2="1")
    alone = adata[adata.obs["leiden"].isin(["0", "1"])].copy()
    expected = frame(alone, return_thresh=2)
    expected = expected[expected["cluster"] == "0"].reset_index(drop=True)
    # p_val_adj and order are the same, because the genes are.
    pd.testing.assert_frame_equal(pair.drop(columns="cluster"), expected.drop(columns="cluster"))


def test_sisters_are_compared_within_their_parent() -> None:
    adata = make()
    found = frame(adata, within="parent", return_thresh=2)
    pair = frame(adata, ident_1="2", ident_2="3")
    mine = found[found["cluster"] == "2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine.drop(columns="cluster"), pair.drop(columns="cluster"))


def test_samples_are_counted_by_direction() -> None:
    adata = make()
    # In sample z the gene is of the others.
    dense = adata.X.toarray()
    is_z = (adata.obs["sample"] == "z").to_numpy()
    inside = (adata.obs["leiden"] == "0").to_numpy()
    dense[:, 0] = np.where(inside != is_z, 3.0, 0.0)
    adata.X = sp.csr_matrix(dense)
    found = frame(adata, only_pos=True, sample_key="sample")
    row = found[(found["cluster"] == "0") & (found["gene"] == "Gene0")].iloc[0]
    assert (row["n_samples"], row["n_samples_same"]) == (3, 2)
    other = found[(found["cluster"] == "1") & (found["gene"] == "Gene9")].iloc[0]
    assert (other["n_samples"], other["n_samples_same"]) == (3, 3)


def test_fewer_cells_are_drawn_the_same_each_time() -> None:
    adata = make()
    first, again = (frame(adata, max_cells_per_ident=30) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert not first["p_val"].equals(frame(adata)["p_val"])
    all_of_it = frame(adata, max_cells_per_ident=N_CELLS)
    pd.testing.assert_frame_equal(all_of_it, frame(adata))


def test_scanpy_reads_what_is_written(tmp_path: Path) -> None:
    scanpy = pytest.importorskip("scanpy")
    adata = make()
    find_markers(adata, "leiden", key_added="rank_genes_groups", progress=False)
    ranking = adata.uns["rank_genes_groups"]
    assert ranking["params"]["made_by"] == "cellferry"
    assert ranking["params"]["corr_method"] == "bonferroni"
    table = scanpy.get.rank_genes_groups_df(adata, group=None)
    assert len(table) == 4 * len(GENES)
    for _, part in table.groupby("group", observed=True):
        assert part["scores"].is_monotonic_decreasing
    scanpy.tl.filter_rank_genes_groups(adata, min_fold_change=1)
    # It writes NaN among names, which no .h5ad takes.
    del adata.uns["rank_genes_groups_filtered"]
    adata.write_h5ad(tmp_path / "x.h5ad")
    again = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert set(again.uns["rank_genes_groups"]["names"].dtype.names) == {"0", "1", "2", "3"}


def test_clusters_that_cannot_be_tested_are_a_warning() -> None:
    adata = make()
    labels = adata.obs["leiden"].astype(str).to_numpy()
    labels[:2] = "rare"
    adata.obs["leiden"] = pd.Categorical(labels)
    with pytest.warns(
        ClustersWithoutMarkersWarning,
        match='1 cluster could not be tested and have no markers: "rare".*2 cells, fewer than 3',
    ):
        found = frame(adata, only_pos=True)
    assert "rare" not in set(found["cluster"])


def test_what_cannot_be_ranked_is_refused_with_its_cure() -> None:
    adata = make()
    whole = adata.copy()
    whole.X = sp.csr_matrix(np.rint(adata.X.toarray()))
    with pytest.raises(MarkersRequiredError, match="raw counts"):
        frame(whole)
    adata.obs["one"] = "a"
    with pytest.raises(MarkersRequiredError, match="only one cluster"):
        frame(adata, group_key="one")
    with pytest.raises(GroupMissingError, match='no column "lieden"') as found:
        frame(adata, group_key="lieden")
    assert 'Did you mean "leiden"?' in found.value.hint
    with pytest.raises(MarkersRequiredError, match='no cluster "9"'):
        frame(adata, ident_1="9")
    with pytest.raises(InvalidOptionError, match="no such rules"):
        frame(adata, rules="6")
    with pytest.raises(InvalidOptionError, match="`min_pct`"):
        frame(adata, min_pct=2)
    with pytest.raises(InvalidOptionError, match="names 1 gene that is not there"):
        frame(adata, features=["Gene1", "nothing"])
    with pytest.raises(InvalidOptionError, match="needs an AnnData"):
        find_markers("x.h5ad", "leiden", key_added="k")


@pytest.mark.parametrize("kept", ["csr", "csc", "float32", "path"])
def test_one_build_gives_the_files_and_the_markers(kept: str, tmp_path: Path) -> None:
    adata = make()
    adata.obsm["X_umap"] = np.zeros((N_CELLS, 2))
    if kept == "csc":
        adata.X = sp.csc_matrix(adata.X)
    elif kept == "float32":
        adata.X = adata.X.astype(np.float32)
    data: object = adata
    if kept == "path":
        data = tmp_path / "x.h5ad"
        adata.write_h5ad(data)
    paths = {"vars_h5_path": tmp_path / "vars.h5", "obs_duckdb_path": tmp_path / "obs.duckdb"}
    built = build_artifacts(data, group_key="leiden", markers=True, progress=False, **paths)
    expected = frame(data, only_pos=True, logfc_threshold=0.25, min_pct=0.1)
    assert built.markers is not None
    pd.testing.assert_frame_equal(built.markers.markers().to_frame(), expected)
    whole = (tmp_path / "vars.h5").read_bytes()
    plain = build_artifacts(data, group_key="leiden", progress=False, **paths)
    assert plain.markers is None
    assert (tmp_path / "vars.h5").read_bytes() == whole
