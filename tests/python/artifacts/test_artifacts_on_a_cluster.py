"""Artifacts built by a cluster: the same bytes whatever the number of workers and who dies."""

import hashlib

import anndata
import h5py
import hdf5plugin  # noqa: F401 - registers the filter
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix, random

from cellferry import build_artifacts
from cellferry.artifacts.obs_duckdb import obs_table, write_obs_duckdb
from cellferry.artifacts.ranges import by_gene, vars_h5
from cellferry.cli import group
from cellferry.errors import (
    ArtifactValuesError,
    InvalidOptionError,
    SchedulerError,
    UnsupportedObjectError,
)
from cellferry.runs.run import Run
from cellferry.study.build import study_of_cells
from dask_cluster import Cluster

pytest.importorskip("distributed")
CELLS, GENES = 3_000, 300


def atlas(made=csr_matrix, counts=csr_matrix):
    rng = np.random.default_rng(3)
    whole = random(CELLS, GENES, 0.4, "csr", np.float32, rng)
    whole.data = rng.poisson(3, whole.nnz).astype(np.float32) + 1
    values = whole.copy()
    values.data = np.log1p(values.data * 1.7)
    adata = anndata.AnnData(made(values.toarray()))
    adata.layers["counts"] = counts(whole.toarray())
    adata.var_names = [f"G{i}" for i in range(GENES)]
    adata.obs["leiden"] = pd.Categorical(rng.choice(["a", "b", "c", None], CELLS))
    adata.obs["donor"] = [f"donor {i % 7} of {i % 11}" for i in range(CELLS)]
    adata.obsm["X_umap"] = rng.normal(size=(CELLS, 2)).astype(np.float32)
    return adata


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch):
    monkeypatch.setattr(by_gene, "RANGE_CELLS", 700)
    monkeypatch.setattr(by_gene, "RANGE_VALUES", 100_000)
    monkeypatch.setattr(vars_h5, "CHUNKS", 1)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "atlas.h5ad"
    atlas().write_h5ad(path)
    return path


def built(file, folder, **more):
    folder.mkdir(exist_ok=True)
    return build_artifacts(
        file, group_key="leiden", vars_h5_path=folder / "vars.h5",
        obs_duckdb_path=folder / "obs.duckdb", progress=False, **more,
    )  # fmt: skip


def hashes(folder):
    names = ("vars.h5", "obs.duckdb")
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]


def content(path):
    """Return every dataset and attribute of a file."""
    found = {}
    with h5py.File(path) as opened:

        def look(name, item):
            found[name] = {k: str(v) for k, v in item.attrs.items()}
            if isinstance(item, h5py.Dataset):
                values = item[()]
                plain = values.tolist() if values.dtype == object else values.tobytes()
                found[name] |= {"": (plain, item.dtype, item.chunks)}

        opened.visititems(look)
    return found


def same_summary(one, other):
    for name in (
        "clusters",
        "cells_per_cluster",
        "genes",
        "metadata",
        "normalisation",
        "top_genes",
    ):
        assert getattr(one, name) == getattr(other, name), name
    assert one.percentages.tobytes() == other.percentages.tobytes()


@pytest.mark.cluster
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning")
class TestCluster:
    def test_one_two_and_three_workers_make_the_same_bytes(self, file, tmp_path):
        near = built(file, tmp_path / "near", markers=True)
        made = []
        for workers in (1, 2, 3):
            folder = tmp_path / str(workers)
            folder.mkdir()
            with Cluster(folder, workers) as cluster:
                far = built(file, folder, scheduler=cluster.address, markers=True)
            made.append(hashes(folder))
            same_summary(far.summary, near.summary)
            assert far.counts == near.counts
            assert far.markers.p_val.tobytes() == near.markers.p_val.tobytes()
        assert made[0] == made[1] == made[2]
        assert content(folder / "vars.h5") == content(tmp_path / "near" / "vars.h5")
        for run in (tmp_path / "cellferry-home" / "runs").iterdir():
            assert not list(run.glob("chunks/*")) + list(run.glob("pieces/*"))

    @pytest.mark.parametrize("made", [csr_matrix, csc_matrix, np.asarray])
    @pytest.mark.parametrize("counts", [csr_matrix, csc_matrix, np.asarray])
    def test_any_form_of_both_matrices(self, two_workers, tmp_path, made, counts):
        file = tmp_path / "x.h5ad"
        atlas(made, counts).write_h5ad(file)
        near = built(file, tmp_path / "near")
        far = built(file, tmp_path / "far", scheduler=two_workers)
        same_summary(far.summary, near.summary)
        assert content(tmp_path / "far" / "vars.h5") == content(tmp_path / "near" / "vars.h5")

    def test_what_are_no_counts_is_found_by_a_worker(self, two_workers, tmp_path):
        adata = atlas()
        # Not among the values that are looked at before.
        adata.layers["counts"].data[1234] = 0.5
        adata.write_h5ad(tmp_path / "x.h5ad")
        near = built(tmp_path / "x.h5ad", tmp_path / "near")
        far = built(tmp_path / "x.h5ad", tmp_path / "far", scheduler=two_workers)
        assert far.counts == near.counts
        assert content(tmp_path / "far" / "vars.h5") == content(tmp_path / "near" / "vars.h5")

    def test_a_damaged_value_is_named(self, two_workers, tmp_path):
        adata = atlas()
        adata.X.data[777] = np.nan
        adata.write_h5ad(tmp_path / "x.h5ad")
        with pytest.raises(ArtifactValuesError) as near:
            built(tmp_path / "x.h5ad", tmp_path / "near")
        with pytest.raises(ArtifactValuesError) as far:
            built(tmp_path / "x.h5ad", tmp_path / "far", scheduler=two_workers)
        assert far.value.message == near.value.message
        assert not list((tmp_path / "far").iterdir())

    def test_after_a_kill_the_same_bytes_and_nothing_twice(self, file, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()
        # After the pieces, among the chunks.
        with (
            Cluster(first) as cluster,
            cluster.lost_after(6),
            pytest.raises(SchedulerError) as lost,
        ):
            built(file, first, scheduler=cluster.address)
        assert not (first / "vars.h5").exists()
        run = Run.open(lost.value.data["run"])
        with Cluster(second, 2) as cluster:
            built(file, first, scheduler=cluster.address, resume=run.id)
            built(file, second, scheduler=cluster.address)
        assert hashes(first) == hashes(second)
        lines = (run.folder / "journal.jsonl").read_text().splitlines()
        assert len(lines) == len(run.finished())

    def test_the_command_line(self, two_workers, file, tmp_path):
        from click.testing import CliRunner

        built(file, tmp_path / "near")
        arguments = ["artifacts", "build", str(file), "--group-key", "leiden"]
        arguments += ["--vars-h5", str(tmp_path / "vars.h5"), "--scheduler", two_workers]
        arguments += ["--obs-duckdb", str(tmp_path / "obs.duckdb")]
        done = CliRunner().invoke(group, arguments)
        assert done.exit_code == 0, done.output
        assert content(tmp_path / "vars.h5") == content(tmp_path / "near" / "vars.h5")


def test_a_reproducible_table_has_the_same_bytes(tmp_path):
    table = obs_table(study_of_cells(atlas(), group_key="leiden"))
    for name in "ab":
        write_obs_duckdb(tmp_path / name, table, tmp_path / "spill", reproducible=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_in_memory_is_refused_before_anything_begins(tmp_path, own_home):
    with pytest.raises(UnsupportedObjectError, match="values from files"):
        built(atlas(), tmp_path / "x", scheduler="local")
    assert not (own_home / "runs").exists()


def test_nothing_is_gone_on_with_without_a_cluster(file, tmp_path):
    with pytest.raises(InvalidOptionError, match="there is no `scheduler`"):
        built(file, tmp_path / "x", resume="x")
