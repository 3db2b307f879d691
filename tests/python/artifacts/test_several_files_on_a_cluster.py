"""Several files, and an .h5 of 10x, read by workers of a cluster: the same to the bit."""

import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, random

from built_artifacts import built
from cellferry import annotate_cells, find_markers
from cellferry.artifacts.ranges import by_gene
from cellferry.engines.local import Local
from cellferry.engines.local.cells import ranges
from cellferry.errors import InputError, SchedulerError, UnsupportedObjectError
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.expression.origin import Origin, check_same
from cellferry.study.expression.reopened import opened_origin
from cellferry.study.inputs.several import opened_place, place_of
from dask_cluster import Cluster

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:UserWarning", "ignore:.*:FutureWarning",
    "ignore::cellferry.errors.CellferryWarning",
)  # fmt: skip
CELLS, GENES = 900, 80
ENDS = (0, 310, 311, CELLS)
ALL = {"return_thresh": 1, "logfc_threshold": 0, "min_pct": 0, "progress": False}
KNOWN = [g for g in Local()._gene_names if g.isupper()][: GENES + 9]


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch):
    """Several units of so few cells, of which some reach over the end of a file."""
    monkeypatch.setattr(by_gene, "RANGE_CELLS", 150)
    monkeypatch.setattr(by_gene, "RANGE_VALUES", 2_000)
    monkeypatch.setattr(ranges, "RANGE", 200)


def atlas(seed=3):
    rng = np.random.default_rng(seed)
    counts = random(CELLS, GENES, 0.3, "csr", np.float32, rng)
    counts.data = rng.poisson(3, counts.nnz).astype(np.float32) + 1
    values = counts.copy()
    values.data = np.log1p(values.data * 1.3)
    adata = anndata.AnnData(values)
    adata.layers["counts"] = counts
    adata.obs_names = [f"cell{i}" for i in range(CELLS)]
    adata.var_names = KNOWN[:GENES]
    adata.obs["leiden"] = pd.Categorical(rng.choice(["a", "b", "c"], CELLS))
    adata.obsm["X_umap"] = rng.normal(size=(CELLS, 2)).astype(np.float32)
    return adata


def files_of(adata, folder, *, other_genes=False):
    """Write an object as three files, one of a single cell; return their paths."""
    rng = np.random.default_rng(1)
    paths = [folder / "a.h5ad", folder / "b.zarr", folder / "c.h5ad"]
    for number, (path, start, stop) in enumerate(zip(paths, ENDS, ENDS[1:], strict=False)):
        part = adata[start:stop].copy()
        if other_genes and number:
            # Of other genes in another order: those that all have are read.
            part = part[:, rng.permutation(GENES)[: GENES - number]].copy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            part.write_zarr(path) if path.suffix == ".zarr" else part.write_h5ad(path)
    return paths


def tenx(path, adata):
    """Write the counts as Cell Ranger 3 does, with an antibody between the genes."""
    counts = csr_matrix(adata.layers["counts"])
    place = GENES // 2
    indices = np.where(counts.indices < place, counts.indices, counts.indices + 1)
    names = [*adata.var_names[:place], "CD3_antibody", *adata.var_names[place:]]
    kinds = ["Antibody Capture" if n == "CD3_antibody" else "Gene Expression" for n in names]
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indptr"] = counts.data.astype(np.int32), counts.indptr
        group["indices"], group["shape"] = indices, np.array([GENES + 1, CELLS])
        group["barcodes"] = np.array(list(adata.obs_names), dtype="S")
        for key, values in {"id": names, "name": names, "feature_type": kinds}.items():
            group[f"features/{key}"] = np.array(values, dtype="S")
    return path


def values_of(path):
    """Return the bytes of all values of a vars.h5; how they are cut into chunks is not asked."""
    found = {}
    with h5py.File(path) as file:
        for group in ("vars", "raw"):
            for name in ("indptr", "indices", "data"):
                found[group, name] = file[group][name][()].tobytes()
    return found


@pytest.mark.cluster
@pytest.mark.process
@pytest.mark.slow
class TestCluster:
    @pytest.mark.parametrize("other_genes", [False, True])
    def test_files_give_what_one_machine_gives(self, two_workers, tmp_path, other_genes):
        paths = files_of(atlas(), tmp_path, other_genes=other_genes)
        more = {"scheduler": two_workers}
        near = find_markers(paths, "leiden", **ALL).to_frame()
        assert len(near) > 50
        assert find_markers(paths, "leiden", **more, **ALL).to_frame().equals(near)
        labels = annotate_cells(paths, progress=False).to_frame()
        assert annotate_cells(paths, progress=False, **more).to_frame().equals(labels)
        _, shares = built(paths, tmp_path, "far", **more)
        assert shares == built(paths, tmp_path, "near")[1]
        assert values_of(tmp_path / "far.h5") == values_of(tmp_path / "near.h5")

    def test_files_give_the_bytes_of_the_joined_file(self, two_workers, tmp_path):
        adata = atlas()
        adata.write_h5ad(tmp_path / "one.h5ad")
        found = [
            built(data, tmp_path, str(number), scheduler=two_workers)
            for number, data in enumerate([tmp_path / "one.h5ad", files_of(adata, tmp_path)])
        ]
        assert found[0] == found[1]

    def test_counts_of_more_genes_than_the_values_have(self, two_workers, tmp_path):
        """What is stored of the other genes was counted as well."""
        adata = atlas()
        whole = anndata.AnnData(adata.layers["counts"], obs=adata.obs, var=adata.var)
        few = adata[:, ::2].copy()
        few.raw = whole
        del few.layers["counts"]
        few.write_h5ad(tmp_path / "x.h5ad")
        path = tmp_path / "x.h5ad"
        _, shares = built(path, tmp_path, "far", scheduler=two_workers)
        assert shares == built(path, tmp_path, "near")[1]
        assert values_of(tmp_path / "far.h5") == values_of(tmp_path / "near.h5")
        with h5py.File(tmp_path / "far.h5") as file:
            assert len(file["raw/data"]) == whole.X[:, ::2].nnz

    def test_cells_of_a_file_of_10x(self, two_workers, tmp_path):
        path = tenx(tmp_path / "x.h5", atlas())
        near = annotate_cells(path, progress=False).to_frame()
        assert near["label"].nunique() > 1
        assert annotate_cells(path, progress=False, scheduler=two_workers).to_frame().equals(near)

    def test_a_lost_cluster_names_all_files(self, tmp_path, monkeypatch):
        monkeypatch.setattr(ranges, "RANGE", 10)
        paths = files_of(atlas(), tmp_path)
        near = annotate_cells(paths, progress=False).to_frame()
        folders = [tmp_path / "first", tmp_path / "second"]
        for folder in folders:
            folder.mkdir()
        with Cluster(folders[0]) as cluster:

            def kill(event):
                if event.done >= 20 and cluster.scheduler.poll() is None:
                    cluster.kill(cluster.scheduler)

            with pytest.raises(SchedulerError) as lost:
                _annotate_with(paths, cluster.address, kill)
        quoted = ", ".join(f'"{path}"' for path in paths)
        run = lost.value.data["run"]
        line = f'annotate_cells([{quoted}], scheduler="ADDRESS", resume="{run}")'
        assert line in lost.value.hint
        with Cluster(folders[1]) as cluster:
            line = line.replace("ADDRESS", cluster.address)
            found = eval(line, {"annotate_cells": annotate_cells})
        assert found.to_frame().equals(near)


def _annotate_with(paths, address, on_event):
    from cellferry.annotate import verb
    from cellferry.engines.local.cells import LocalCells
    from cellferry.study.build import study_of_cells

    with opened_place(place_of(paths)) as opened:
        verb.annotate(study_of_cells(opened), LocalCells(scheduler=address), on_event=on_event)


@pytest.mark.parametrize("other_genes", [False, True])
def test_an_origin_of_several_files_is_opened_again(tmp_path, other_genes):
    adata = atlas()
    paths = files_of(adata, tmp_path, other_genes=other_genes)
    with opened_place(place_of(paths)) as opened:
        genes = tuple(opened.var.index)
        whole = MatrixSource(opened.X, genes)
        few = whole.only(genes[5:20:3])
        found = {source.genes: source.origin for source in (whole, few)}
        assert whole.origin.paths == tuple(map(str, paths))
    for names, origin in found.items():
        assert Origin.from_dict(origin.to_dict()) == origin
        with opened_origin(origin, names) as source:
            assert source.genes == names
            blocks = [b.toarray() for _, b in source.rows_between(300, 400)]
        expected = adata[300:400, list(names)].X.toarray()
        np.testing.assert_array_equal(np.vstack(blocks), expected)


def test_a_file_that_is_another_one_is_named(tmp_path):
    paths = files_of(atlas(), tmp_path)
    with opened_place(place_of(paths)) as opened:
        origin = MatrixSource(opened.X, list(opened.var.index)).origin
    check_same(origin)
    atlas(seed=4)[ENDS[2] :].copy().write_h5ad(paths[2])
    with pytest.raises(InputError, match=r"c\.h5ad"):
        check_same(origin)


def test_files_under_other_paths_are_the_same_work(tmp_path):
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    paths = files_of(atlas(), tmp_path / "one")
    with opened_place(place_of(paths)) as opened:
        found.append(MatrixSource(opened.X, list(opened.var.index)).origin)
    moved = [path.rename(tmp_path / "two" / path.name) for path in paths]
    with opened_place(place_of(moved)) as opened:
        found.append(MatrixSource(opened.X, list(opened.var.index)).origin)
    with opened_place(place_of(moved[::-1])) as opened:
        found.append(MatrixSource(opened.X, list(opened.var.index)).origin)
    assert found[0].determining() == found[1].determining()
    assert found[0].determining() != found[2].determining()


def test_what_is_by_gene_in_one_of_several_is_refused(tmp_path):
    paths = files_of(atlas(), tmp_path)
    part = anndata.read_h5ad(paths[0])
    part.X, part.layers["counts"] = part.X.tocsc(), part.layers["counts"].tocsc()
    part.write_h5ad(paths[0])
    with pytest.raises(UnsupportedObjectError, match="by gene in one of several files"):
        find_markers(paths, "leiden", scheduler="local", **ALL)
