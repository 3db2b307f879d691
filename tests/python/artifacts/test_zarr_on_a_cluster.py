"""Zarr read by workers of a cluster, in a folder and at an address: the same to the bit."""

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csc_matrix, csr_matrix, random

from built_artifacts import built
from cellferry import annotate_cells, find_markers
from cellferry.artifacts.ranges import by_gene
from cellferry.engines.local import Local
from cellferry.engines.local.cells import ranges
from cellferry.errors import CellferryError, InputError, UnsupportedObjectError
from cellferry.runs.run import Run
from cellferry.study.expression import origin as origins
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.expression.origin import Origin, check_same
from cellferry.study.expression.reopened import opened_origin
from cellferry.study.inputs.several import opened_place, place_of
from dask_cluster import Cluster
from zarr_server import served

pytest.importorskip("distributed")
pytest.importorskip("aiohttp", reason="addresses are read by fsspec, which needs aiohttp")
zarr = pytest.importorskip("zarr", minversion="3.0")
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:UserWarning", "ignore:.*:FutureWarning",
    "ignore::cellferry.errors.CellferryWarning",
)  # fmt: skip
CELLS, GENES = 900, 80
ALL = {"return_thresh": 1, "logfc_threshold": 0, "min_pct": 0, "progress": False}


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch):
    """Several units of so few cells; the numbers reach the workers with the work."""
    monkeypatch.setattr(by_gene, "RANGE_CELLS", 150)
    monkeypatch.setattr(by_gene, "RANGE_VALUES", 2_000)
    monkeypatch.setattr(ranges, "RANGE", 200)


def atlas(folder, made=csr_matrix):
    """Write an object as zarr and as .h5ad; return it."""
    rng = np.random.default_rng(3)
    counts = random(CELLS, GENES, 0.3, "csr", np.float32, rng)
    counts.data = rng.poisson(3, counts.nnz).astype(np.float32) + 1
    values = counts.copy()
    values.data = np.log1p(values.data * 1.3)
    adata = anndata.AnnData(made(values.toarray()))
    adata.layers["counts"] = counts
    adata.var_names = [g for g in Local()._gene_names if g.isupper()][:GENES]
    adata.obs["leiden"] = pd.Categorical(rng.choice(["a", "b", "c"], CELLS))
    adata.obsm["X_umap"] = rng.normal(size=(CELLS, 2)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_zarr(folder / "x.zarr")
        zarr.consolidate_metadata(folder / "x.zarr")
    adata.write_h5ad(folder / "x.h5ad")
    return adata


@pytest.mark.cluster
@pytest.mark.process
@pytest.mark.slow
class TestCluster:
    @pytest.mark.parametrize("made", [csr_matrix, csc_matrix, np.asarray])
    def test_markers_cells_and_artifacts_of_a_folder_and_an_address(
        self, two_workers, tmp_path, made
    ):
        adata = atlas(tmp_path, made)
        near = find_markers(adata, "leiden", **ALL).to_frame()
        labels = annotate_cells(adata, progress=False).to_frame()
        with served(tmp_path) as server:
            for data in (tmp_path / "x.zarr", f"{server.url}/x.zarr"):
                more = {"scheduler": two_workers}
                assert find_markers(data, "leiden", **more, **ALL).to_frame().equals(near)
                found = annotate_cells(data, progress=False, **more).to_frame()
                assert found.equals(labels)
            if made is csr_matrix:
                of_file = built(tmp_path / "x.h5ad", tmp_path, "file", scheduler=two_workers)
                of_address = built(
                    f"{server.url}/x.zarr", tmp_path, "address", scheduler=two_workers
                )  # fmt: skip
                assert of_file == of_address

    def test_the_workers_themselves_ask_the_server(self, two_workers, tmp_path):
        atlas(tmp_path)
        with served(tmp_path) as server:
            with opened_place(place_of(f"{server.url}/x.zarr")) as opened:
                assert opened.X.shape == (CELLS, GENES)
            before = len([path for path in server.asked if "/X/data/" in path])
            find_markers(f"{server.url}/x.zarr", "leiden", scheduler=two_workers, **ALL)
            asked = len([path for path in server.asked if "/X/data/" in path]) - before
        # Each piece of 150 cells asks for its values; this process only looks at some.
        assert asked >= CELLS // 150

    def test_a_server_that_fails_is_an_error_and_the_run_goes_on(self, two_workers, tmp_path):
        adata = atlas(tmp_path)
        near = find_markers(adata, "leiden", **ALL).to_frame()
        with served(tmp_path) as server:
            address = f"{server.url}/x.zarr"
            server.faults = {"/X/indices/": []}

            def then_fail(run, unit, key, payload):
                record(run, unit, key, payload)
                server.faults["/X/indices/"][:] = [403]

            record = Run.record
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Run, "record", then_fail)
                with pytest.raises(CellferryError, match="HTTP 403") as failed:
                    find_markers(address, "leiden", scheduler=two_workers, **ALL)
            server.faults.clear()
            run = failed.value.data["run"]
            assert 1 <= len(Run.open(run).finished()) < 6
            found = find_markers(address, "leiden", scheduler=two_workers, resume=run, **ALL)
            assert found.to_frame().equals(near)

    def test_what_only_this_process_sees_is_refused_by_its_worker(self, tmp_path):
        import fsspec

        atlas(tmp_path)
        files = fsspec.filesystem("memory")
        for file in (tmp_path / "x.zarr").rglob("*"):
            if file.is_file():
                files.pipe(f"/{file.relative_to(tmp_path)}", file.read_bytes())
        (tmp_path / "one").mkdir()
        with (
            Cluster(tmp_path / "one") as cluster,
            pytest.raises(InputError, match=r"The worker tcp.* cannot do it.*memory://x.zarr"),
        ):
            find_markers("memory://x.zarr", "leiden", scheduler=cluster.address, **ALL)


def source_of(data):
    return opened_place(place_of(data))


@pytest.mark.parametrize("made", [csr_matrix, csc_matrix, np.asarray])
def test_an_origin_in_zarr_is_opened_again(tmp_path, made):
    adata = atlas(tmp_path, made)
    with served(tmp_path) as server:
        for data in (tmp_path / "x.zarr", f"{server.url}/x.zarr"):
            with source_of(data) as opened:
                found = MatrixSource(opened.X, list(adata.var_names)).origin
                few = MatrixSource(opened.X, list(adata.var_names)).only(
                    ["CD3D", *adata.var_names[:2]]
                )
                some = few.origin
            assert found.form == "zarr"
            assert Origin.from_dict(found.to_dict()) == found
            with opened_origin(found, tuple(adata.var_names)) as source:
                block = np.vstack([b.toarray() for _, b in source])
                np.testing.assert_array_equal(block, csr_matrix(adata.X).toarray())
            with opened_origin(some, few.genes) as source:
                assert source.shape == (CELLS, len(few.genes))
    origins._check_same_zarr.cache_clear()
    with source_of(tmp_path / "x.zarr") as opened:
        local = MatrixSource(opened.X, list(adata.var_names)).origin
    # A copy elsewhere is the same; other values are not, and nothing at all is said to be so.
    assert local.determining() == found.determining()
    (tmp_path / "other").mkdir()
    other = atlas(tmp_path / "other", made)
    other.X[:] = 7 if made is np.asarray else other.X * 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other.write_zarr(tmp_path / "other.zarr")
    moved = Origin(str(tmp_path / "other.zarr"), *[getattr(local, n) for n in
                   ("place", "fingerprint", "columns", "form")])  # fmt: skip
    with pytest.raises(InputError, match="is another object here"):
        check_same(moved)
    gone = Origin(str(tmp_path / "none.zarr"), *[getattr(local, n) for n in
                  ("place", "fingerprint", "columns", "form")])  # fmt: skip
    with pytest.raises(InputError, match="There is no folder") as refused:
        check_same(gone)
    assert "all of them see it" in refused.value.hint


def test_a_zip_is_refused_by_a_cluster_with_what_to_do(tmp_path):
    import shutil

    atlas(tmp_path)
    shutil.make_archive(str(tmp_path / "y"), "zip", tmp_path / "x.zarr")
    (tmp_path / "y.zip").rename(tmp_path / "y.zarr.zip")
    with pytest.raises(UnsupportedObjectError, match="in a zip, in a folder of 10x"):
        find_markers(tmp_path / "y.zarr.zip", "leiden", scheduler="local", **ALL)
