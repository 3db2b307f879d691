"""Cells answered by a cluster: to the bit what one machine answers, whoever works or dies."""

import hashlib
import json
import warnings

import anndata
import numpy as np
import pytest
from scipy.sparse import csr_matrix

import cellferry
from cellferry.cli import group
from cellferry.engines.local import Local
from cellferry.engines.local.cells import ranges
from cellferry.errors import InvalidOptionError, SchedulerError, UnsupportedObjectError
from cellferry.runs.run import Run
from cellferry.runs.units import even_length
from dask_cluster import Cluster

pytest.importorskip("distributed")
GENES = 300
CELLS = 5 * ranges.RANGE + 17
UNITS = -(-CELLS // even_length(CELLS, ranges.FEWEST, ranges.RANGE))


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    """Cells of random expression of genes that the engine knows."""
    rng = np.random.default_rng(0)
    values = rng.random((CELLS, 12), dtype=np.float32) * 3 + 0.1
    places = np.sort(np.argsort(rng.random((CELLS, GENES), dtype=np.float32))[:, :12], axis=1)
    pointers = np.arange(0, 12 * CELLS + 1, 12)
    matrix = csr_matrix((values.ravel(), places.ravel(), pointers), shape=(CELLS, GENES))
    adata = anndata.AnnData(matrix)
    adata.var_names = [g for g in Local()._gene_names if g.isupper()][:GENES]
    # What the calls are read again with: clusters, and the graph of the object.
    adata.obs["leiden"] = np.repeat(
        ["0", "1", "2"], [CELLS // 3, CELLS // 3, CELLS - 2 * (CELLS // 3)]
    )
    near = np.add.outer(np.arange(CELLS), [1, 2, 3]) % CELLS
    ones = np.ones(3 * CELLS, dtype=np.float32)
    pointers = np.arange(0, 3 * CELLS + 1, 3)
    adata.obsp["connectivities"] = csr_matrix((ones, near.ravel(), pointers), shape=(CELLS, CELLS))
    path = tmp_path_factory.mktemp("atlas") / "atlas.h5ad"
    adata.write_h5ad(path)
    return path


def digest(found):
    """Hash everything that was answered."""
    stored = {k: v for k, v in found.summary().to_dict().items() if k == "rows"}
    parts = [
        found.cells, found.label.levels, found.label.codes.tobytes(), found.confidence.tobytes(),
        found.detail.codes.tobytes(), found.supporting.codes.tobytes(),
        found.raw.codes.tobytes(), found.voted.codes.tobytes(), found.voted.levels,
        found.alternatives.codes.tobytes(), json.dumps(stored, sort_keys=True, default=str),
    ]  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def annotated(atlas, **more):
    return cellferry.annotate_cells(atlas, progress=False, **more)


@pytest.fixture(scope="module")
def alone(atlas, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setenv("CELLFERRY_HOME", str(tmp_path_factory.mktemp("home")))
        return digest(annotated(atlas))


pytestmark = [
    pytest.mark.cluster, pytest.mark.process, pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning"),
]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_answers_as_one_machine(atlas, alone, tmp_path, workers):
    with Cluster(tmp_path, workers) as cluster:
        assert digest(annotated(atlas, scheduler=cluster.address)) == alone


def test_a_cluster_of_this_machine_and_a_client_do_as_well(atlas, alone, tmp_path):
    from distributed import Client

    assert digest(annotated(atlas, scheduler="local")) == alone
    with Cluster(tmp_path) as cluster, Client(cluster.address, set_as_default=False) as client:
        assert digest(annotated(atlas, scheduler=client)) == alone
        assert client.status == "running"


def test_what_a_lost_cluster_had_answered_is_not_asked_again(atlas, alone, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with Cluster(first) as cluster:

        def kill(event):
            if event.done >= 2 * ranges.RANGE and cluster.scheduler.poll() is None:
                cluster.kill(cluster.scheduler)

        with pytest.raises(SchedulerError) as lost:
            _annotate_with(atlas, cluster.address, kill)
    run = Run.open(lost.value.data["run"])
    assert f'scheduler="ADDRESS", resume="{run.id}")' in lost.value.hint
    kept = run.finished()
    assert 2 <= len(kept) < UNITS
    before = {file: file.stat().st_mtime_ns for file in (run.folder / "units").iterdir()}
    with Cluster(second, 2) as cluster:
        found = annotated(atlas, scheduler=cluster.address, resume=run.id)
    assert digest(found) == alone
    assert len((run.folder / "journal.jsonl").read_text().splitlines()) == UNITS
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())


def _annotate_with(atlas, address, on_event):
    from cellferry.annotate import verb
    from cellferry.engines.local.cells import LocalCells
    from cellferry.study.build import study_of_cells
    from cellferry.study.inputs.objects import opened_object

    with opened_object(atlas) as opened:
        verb.annotate(study_of_cells(opened), LocalCells(scheduler=address), on_event=on_event)


def test_an_interrupted_run_is_finished_by_a_cluster(atlas, alone, tmp_path):
    def interrupt(event):
        if event.done >= 2 * ranges.RANGE:
            raise KeyboardInterrupt

    with Cluster(tmp_path, 2) as cluster:
        with pytest.raises(KeyboardInterrupt) as stopped:
            _annotate_with(atlas, cluster.address, interrupt)
        assert len(Run.open(stopped.value.run).finished()) >= 2
        found = annotated(atlas, scheduler=cluster.address, resume=stopped.value.run)
    assert digest(found) == alone


def test_the_command_line_writes_the_same_tables(atlas, tmp_path):
    from click.testing import CliRunner

    def run(name, *more):
        arguments = ["annotate", str(atlas), "--cells", "--out", str(tmp_path / name), *more]
        done = CliRunner().invoke(group, arguments)
        assert done.exit_code == 0, done.output

    folder = tmp_path / "cluster"
    folder.mkdir()
    with Cluster(folder) as cluster:
        run("far", "--scheduler", cluster.address)
    run("near")
    for end in ("_cells.csv", "_annotations.csv"):
        far, near = (tmp_path / f"{name}{end}" for name in ("far", "near"))
        assert far.read_bytes() == near.read_bytes()
    far, near = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("far", "near"))
    assert far.obs.equals(near.obs)
    assert (far.X != near.X).nnz == 0


def test_an_object_in_memory_is_refused_with_what_to_do(atlas):
    with pytest.raises(UnsupportedObjectError, match="values from files") as refused:
        annotated(anndata.read_h5ad(atlas)[:100].copy(), scheduler="local")
    assert "give its path" in refused.value.hint


def test_smoothing_needs_all_cells_at_once(atlas):
    with pytest.raises(InvalidOptionError, match="`smooth` needs all cells"):
        annotated(atlas, scheduler="local", smooth=True)
