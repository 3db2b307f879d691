"""A consensus whose labels a cluster reads: what one process answers, whatever the columns."""

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry.annotate.agreement import ranges
from cellferry.cli import group
from cellferry.errors import InvalidOptionError, SchedulerError, UnsupportedObjectError
from cellferry.runs.run import Run
from dask_cluster import Cluster

CELLS = 1_000
NAMES = ["T cell", "CD4 T cell", "B cell", "Monocyte", "my own cell", "Unknown", "Ünklar"]
pytestmark = pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning")


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch):
    monkeypatch.setattr(ranges, "RANGE", 300)


def atlas():
    """Labels as text, as categories with one that nobody has, of two levels, with terms."""
    rng = np.random.default_rng(5)

    def some(names):
        return np.array(names, dtype=object)[rng.integers(0, len(names), CELLS)]

    adata = anndata.AnnData(obs=pd.DataFrame(index=[f"c{i}" for i in range(CELLS)]))
    adata.obs["predicted_labels"] = some(NAMES)
    adata.obs["conf_score"] = rng.random(CELLS)
    adata.obs["azimuth_broad"] = pd.Categorical(some([*NAMES[:4], None]), categories=[*NAMES, "x"])
    adata.obs["azimuth_fine"] = pd.Categorical(some(["CD4 TCM", "B naive", "CD14 Mono", None]))
    adata.obs["cell_type"] = pd.Categorical(some(["T cell", "B cell"]))
    adata.obs["cell_type_ontology_term_id"] = some(["CL:0000084", "CL:0000624", "CL:0000236"])
    adata.obs["leiden"] = some(["10", "9", "2"])
    adata.obs["checked"] = pd.array(rng.integers(0, 2, CELLS), dtype="Int64")
    return adata


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "atlas.h5ad"
    # Texts stay texts, which anndata makes categories of otherwise.
    atlas().write_h5ad(path, convert_strings_to_categoricals=False)
    return path


WHO = ["celltypist", "azimuth_panhuman", "cell_type"]


def answer(file, **more):
    """Return all that is answered, but the day."""
    found = cellferry.consensus(file, WHO, **more)
    content = found.summary().to_dict()
    content["provenance"].pop("created")
    if found.level == "clusters":
        return content
    arrays = (found.label.codes, found.status, found.confidence, found.alternatives.codes)
    return content, found.cells, found.label.levels, [a.tobytes() for a in arrays]


@pytest.mark.cluster
@pytest.mark.process
@pytest.mark.slow
class TestCluster:
    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_any_number_of_workers_answers_as_one_process(self, file, tmp_path, workers):
        pytest.importorskip("distributed")
        with Cluster(tmp_path, workers) as cluster:
            for more in ({}, {"group_key": "leiden"}, {"weights": {"celltypist": 3}}):
                assert answer(file, scheduler=cluster.address, **more) == answer(file, **more)
        for run in (tmp_path / "cellferry-home" / "runs").iterdir():
            assert Run.open(run).content["status"] == "finished"
            assert len(Run.open(run).finished()) == 4

    def test_what_a_lost_cluster_had_read_is_not_read_again(self, file, tmp_path):
        pytest.importorskip("distributed")
        first, second = tmp_path / "first", tmp_path / "second"
        first.mkdir()
        second.mkdir()
        with (
            Cluster(first) as cluster,
            cluster.lost_after(2),
            pytest.raises(SchedulerError) as lost,
        ):
            answer(file, scheduler=cluster.address)
        run = Run.open(lost.value.data["run"])
        assert f'resume="{run.id}"' in lost.value.hint
        before = len(run.finished())
        assert before >= 2
        with Cluster(second, 2) as cluster:
            found = answer(file, scheduler=cluster.address, resume=run.id)
        assert found == answer(file)
        assert len((run.folder / "journal.jsonl").read_text().splitlines()) == 4

    def test_the_command_line_writes_the_same(self, file, tmp_path):
        pytest.importorskip("distributed")
        from click.testing import CliRunner

        folder = tmp_path / "cluster"
        folder.mkdir()
        with Cluster(folder) as cluster:
            for name, more in (("far", ["--scheduler", cluster.address]), ("near", [])):
                arguments = ["consensus", str(file), *(x for w in WHO for x in ("--from", w))]
                done = CliRunner().invoke(group, [*arguments, "--out", str(tmp_path / name), *more])
                assert done.exit_code == 0, done.output
        far, near = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("far", "near"))
        assert far.obs.equals(near.obs)
        tables = [(tmp_path / f"{n}_annotations.csv").read_bytes() for n in ("far", "near")]
        assert tables[0] == tables[1]


def test_what_is_in_memory_is_refused(own_home):
    with pytest.raises(UnsupportedObjectError, match="these are in memory"):
        cellferry.consensus(atlas(), WHO, scheduler="local")
    assert not (own_home / "runs").exists()


def test_what_is_no_h5ad_is_refused(tmp_path, own_home):
    atlas().write_zarr(tmp_path / "atlas.zarr")
    with pytest.raises(UnsupportedObjectError, match=r"read an \.h5ad"):
        cellferry.consensus(tmp_path / "atlas.zarr", WHO, scheduler="local")
    assert not (own_home / "runs").exists()


def test_nothing_is_gone_on_with_without_a_cluster(file):
    with pytest.raises(InvalidOptionError, match="there is no `scheduler`"):
        cellferry.consensus(file, WHO, resume="x")
