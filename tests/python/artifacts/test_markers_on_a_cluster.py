"""Markers found by a cluster: to the bit those of one machine, whatever the file, whoever dies."""

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_matrix, csr_matrix, random, vstack

from cellferry import find_markers
from cellferry.artifacts.ranges import by_gene
from cellferry.cli import group
from cellferry.errors import (
    InvalidOptionError,
    RunMismatchError,
    SchedulerError,
    UnsupportedObjectError,
)
from cellferry.runs.run import Run
from cellferry.study.expression.blocks import canonical
from dask_cluster import Cluster

pytest.importorskip("distributed")
CELLS, GENES = 1_000, 60
ALL = {"return_thresh": 1, "logfc_threshold": 0, "min_pct": 0, "progress": False}


def atlas(made=csr_matrix):
    rng = np.random.default_rng(3)
    values = random(CELLS, GENES, 0.3, "csr", np.float32, rng)
    values.data = np.log1p(rng.poisson(3, values.nnz) + 0.5).astype(np.float32)
    adata = anndata.AnnData(made(values.toarray()))
    adata.var_names = [f"G{i}" for i in range(GENES)]
    adata.obs["leiden"] = pd.Categorical(rng.choice(["a", "b", "c", None], CELLS))
    adata.obs["broad"] = pd.Categorical(np.where(adata.obs["leiden"] == "c", "y", "x"))
    adata.obs["sample"] = pd.Categorical(rng.choice(["s1", "s2", "s3"], CELLS))
    return adata


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch):
    """Several units of so few cells; both numbers reach the workers with the work."""
    monkeypatch.setattr(by_gene, "RANGE_CELLS", 150)
    monkeypatch.setattr(by_gene, "RANGE_VALUES", 2_000)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "atlas.h5ad"
    atlas().write_h5ad(path)
    return path


def same(one, other):
    assert one.clusters == other.clusters
    for name in ("cluster", "gene", "p_val", "avg_log2fc", "pct_1", "pct_2", "p_val_adj"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert len(ours) == len(theirs)
        assert ours.tobytes() == theirs.tobytes() or ours.tolist() == theirs.tolist(), name
    if other.n_samples is not None:
        assert one.n_samples.tolist() == other.n_samples.tolist()
        assert one.n_samples_same.tolist() == other.n_samples_same.tolist()


@pytest.mark.cluster
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning")
class TestCluster:
    @pytest.mark.parametrize("workers", [1, 3])
    def test_any_number_of_workers(self, file, tmp_path, workers):
        with Cluster(tmp_path, workers) as cluster:
            found = find_markers(file, "leiden", scheduler=cluster.address, **ALL)
        same(found, find_markers(file, "leiden", **ALL))
        (run,) = (tmp_path / "cellferry-home" / "runs").iterdir()
        assert Run.open(run).content["status"] == "finished"
        assert not (run / "pieces").exists()
        assert len(Run.open(run).finished()) > 7 + 3

    @pytest.mark.parametrize("made", [csr_matrix, csc_matrix, np.asarray])
    @pytest.mark.parametrize(
        "options",
        [{}, {"sample_key": "sample"}, {"within": "broad"}, {"max_cells_per_ident": 50},
         {"ident_1": "a", "ident_2": ["b", "c"]}, {"features": ["G3", "G4"], "only_pos": True}],
        ids=str,
    )  # fmt: skip
    def test_any_file_and_any_options(self, two_workers, tmp_path, made, options):
        path = tmp_path / "x.h5ad"
        atlas(made).write_h5ad(path)
        found = find_markers(path, "leiden", scheduler=two_workers, **ALL | options)
        same(found, find_markers(path, "leiden", **ALL | options))

    def test_raw_is_read_where_x_is_scaled(self, two_workers, tmp_path):
        adata = atlas()
        adata.raw = adata.copy()
        adata.X = adata.X.toarray() - np.asarray(adata.X.mean(axis=0))
        adata.write_h5ad(tmp_path / "x.h5ad")
        found = find_markers(tmp_path / "x.h5ad", "leiden", scheduler=two_workers, **ALL)
        same(found, find_markers(atlas(), "leiden", **ALL))

    def test_a_backed_object_has_a_path(self, two_workers, file):
        backed = anndata.read_h5ad(file, backed="r")
        found = find_markers(backed, "leiden", scheduler=two_workers, **ALL)
        same(found, find_markers(file, "leiden", **ALL))

    def test_a_cluster_that_is_lost_is_gone_on_with(self, file, tmp_path):
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()
        # After all pieces, among the genes.
        with (
            Cluster(first) as cluster,
            cluster.lost_after(10),
            pytest.raises(SchedulerError) as lost,
        ):
            find_markers(file, "leiden", scheduler=cluster.address, **ALL)
        run = Run.open(lost.value.data["run"])
        assert f'resume="{run.id}"' in lost.value.hint
        assert len(run.finished()) >= 10
        # A piece that somebody removed is cut again, and only that.
        gone, *_ = sorted((run.folder / "pieces").iterdir())
        gone.unlink()
        with Cluster(second, 2) as cluster:
            found = find_markers(file, "leiden", scheduler=cluster.address, resume=run.id, **ALL)
        same(found, find_markers(file, "leiden", **ALL))
        lines = (run.folder / "journal.jsonl").read_text().splitlines()
        assert len(lines) == len(run.finished()) + 1

    def test_the_command_line(self, two_workers, file, tmp_path):
        from click.testing import CliRunner

        for name, more in (("far", ["--scheduler", two_workers]), ("near", [])):
            arguments = ["markers", str(file), "--group-key", "leiden"]
            arguments += ["--out", str(tmp_path / f"{name}.csv"), "--return-thresh", "1", *more]
            done = CliRunner().invoke(group, arguments)
            assert done.exit_code == 0, done.output
        assert (tmp_path / "far.csv").read_bytes() == (tmp_path / "near.csv").read_bytes()


def test_what_is_in_memory_is_refused_before_anything_begins(own_home):
    with pytest.raises(UnsupportedObjectError, match="values from files"):
        find_markers(atlas(), "leiden", scheduler="local", **ALL)
    assert not (own_home / "runs").exists()


def test_nothing_is_gone_on_with_without_a_cluster(file):
    with pytest.raises(InvalidOptionError, match="there is no `scheduler`"):
        find_markers(file, "leiden", resume="x", **ALL)


def test_a_run_of_something_else_is_refused(file, tmp_path):
    other = Run.create("local", folder=tmp_path / "x_run")
    with pytest.raises(RunMismatchError, match="is not one that made markers"):
        find_markers(file, "leiden", scheduler="local", resume=other.id, **ALL)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=30), st.integers(1, 40))
def test_ranges_hold_every_gene_once(counts, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_gene, "RANGE_VALUES", most)
        ranges = by_gene.gene_ranges(np.array(counts))
    assert [g for a, b in ranges for g in range(a, b)] == list(range(len(counts)))
    assert all(b - a == 1 or sum(counts[a:b]) <= most for a, b in ranges)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 15), st.booleans(), st.randoms())
def test_pieces_joined_are_the_matrix(tmp_path_factory, cells, genes, step, left_open, rng):
    seed = rng.randrange(1000)
    whole = random(cells, genes, 0.4, "csr", np.float32, np.random.default_rng(seed))
    path = tmp_path_factory.mktemp("pieces")
    anndata.AnnData(whole).write_h5ad(path / "x.h5ad")
    from cellferry.study.expression.origin import Origin, fingerprint_of

    origin = Origin(str(path / "x.h5ad"), "/X", fingerprint_of(path / "x.h5ad"))
    where = {
        "origin": origin.to_dict(), "genes": genes, "axis": "cells", "cells": cells,
        "range": step, "folder": str(path), "dtype": "float32",
    }  # fmt: skip
    bounds = range(0, cells, step)
    counts = sum(by_gene.cut({}, where, a, min(a + step, cells))["counts"] for a in bounds)
    assert counts.tolist() == whole.getnnz(axis=0).tolist()
    first = rng.randrange(genes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_gene, "MOST_OPEN", 256 if left_open else 1)
        found = by_gene.genes_between(where, first, genes)
    expected = canonical(vstack([whole]).tocsc()[:, first:])
    for name in ("indptr", "indices", "data"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
