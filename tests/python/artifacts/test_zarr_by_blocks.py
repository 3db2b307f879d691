"""An AnnData in zarr is read by blocks, and gives what the same object gives in memory."""

import shutil

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix, random

from cellferry import build_artifacts, find_markers
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.inputs.objects import opened_object

pytest.importorskip("zarr")
pytestmark = pytest.mark.filterwarnings("ignore")
CELLS, GENES = 400, 50


def atlas(made=csr_matrix, cells=CELLS):
    rng = np.random.default_rng(3)
    values = random(cells, GENES, 0.3, "csr", np.float32, rng)
    counts = values.copy()
    counts.data = rng.poisson(3, values.nnz).astype(np.float32) + 1
    values.data = np.log1p(counts.data * 1.3)
    adata = anndata.AnnData(made(values.toarray()))
    adata.layers["counts"] = counts
    adata.layers["spliced"] = counts
    adata.var_names = [f"G{i}" for i in range(GENES)]
    adata.obs["leiden"] = pd.Categorical(rng.choice(["a", "b", "c"], cells))
    adata.obsm["X_umap"] = rng.normal(size=(cells, 2)).astype(np.float32)
    return adata


def written(adata, folder, zipped):
    path = folder / "x.zarr"
    adata.write_zarr(path)
    if not zipped:
        return path
    shutil.make_archive(str(folder / "y"), "zip", path)
    return (folder / "y.zip").rename(folder / "y.zarr.zip")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("made", [csr_matrix, csc_matrix, np.asarray])
def test_what_is_computed_is_what_the_object_gives(tmp_path, made, zipped):
    adata = atlas(made)
    path = written(adata, tmp_path, zipped)
    near = find_markers(adata, "leiden", return_thresh=1, progress=False)
    far = find_markers(path, "leiden", return_thresh=1, progress=False)
    assert far.to_frame().equals(near.to_frame())
    assert len(far) > 20

    def built(data, name):
        target = tmp_path / name
        found = build_artifacts(
            data, group_key="leiden", vars_h5_path=target, progress=False,
            obs_duckdb_path=tmp_path / f"{name}.duckdb",
        )  # fmt: skip
        return target.read_bytes(), found.summary.percentages.tolist(), found.counts

    assert built(path, "far.h5")[1:] == built(adata, "near.h5")[1:]


def test_raw_is_read_where_x_is_scaled(tmp_path):
    adata = atlas()
    adata.raw = adata.copy()
    adata.X = adata.X.toarray() - np.asarray(adata.X.mean(axis=0))
    path = written(adata, tmp_path, False)
    near = find_markers(adata, "leiden", return_thresh=1, progress=False)
    assert find_markers(path, "leiden", return_thresh=1, progress=False).gene.tolist() == (
        near.gene.tolist()
    )


@pytest.mark.parametrize("made", [csr_matrix, np.asarray])
def test_matrices_stay_where_they_are(tmp_path, made):
    path = written(atlas(made), tmp_path, False)
    with opened_object(path, ["rank_genes_groups"]) as opened:
        assert set(opened.layers) == {"counts"}
        for matrix in (opened.X, opened.layers["counts"]):
            assert type(matrix).__module__.startswith(("zarr", "anndata"))
            assert not hasattr(matrix, "nnz")
        blocks = list(MatrixSource(opened.X, opened.var.index).blocks(30))
    assert [start for start, _ in blocks] == list(range(0, CELLS, 30))
