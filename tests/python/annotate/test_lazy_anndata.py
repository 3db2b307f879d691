"""An AnnData that was opened lazily, or backed, gives what it gives in memory, by blocks."""

import warnings

import anndata
import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix

from cell_data import cells
from cellferry import annotate_cells, annotate_clusters, build_artifacts, find_markers
from cellferry.study.expression import lazy as lazily
from cellferry.study.expression.kinds import look_at
from cellferry.study.expression.matrix import MatrixSource

pytest.importorskip("xarray", reason="read_lazy() of anndata needs xarray")
pytest.importorskip("dask.array", reason="read_lazy() of anndata needs dask")
experimental = pytest.importorskip("anndata.experimental")
if not hasattr(experimental, "read_lazy"):
    pytest.skip("anndata before 0.12 has no read_lazy()", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
FORMS = {"csr": csr_matrix, "csc": csc_matrix, "dense": lambda m: m.toarray()}


def stored(tmp_path, *, form="csr", kind="h5ad", raw=False):
    adata = cells()
    adata.obsm["X_umap"] = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32)
    if raw:
        adata.raw = adata.copy()
        adata.X = adata.X.toarray() - 1
    else:
        adata.X = FORMS[form](adata.X)
    path = tmp_path / f"x.{kind}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_zarr(path) if kind == "zarr" else adata.write_h5ad(path)
    return path, adata


@pytest.fixture
def not_whole(monkeypatch):
    """Let nothing compute more than half of the cells of a matrix at once."""
    import dask.array

    monkeypatch.setattr(lazily, "BLOCK_VALUES", 100)
    compute = dask.array.Array.compute

    def checked(self, **more):
        assert self.ndim < 2 or self.shape[0] <= 30 or self.shape[1] <= 30, self.shape
        return compute(self, **more)

    monkeypatch.setattr(dask.array.Array, "compute", checked)


def opened(path, form="csr"):
    """Open it with small blocks, as a large file has many."""
    made = experimental.read_lazy(path)
    made.X = made.X.rechunk((60, 9) if form == "csc" else (7, 55))
    if "counts" in made.layers:
        made.layers["counts"] = made.layers["counts"].rechunk((7, 55))
    return made


def test_half_precision_is_read_as_single(tmp_path):
    adata = cells()
    half = adata.X.toarray().astype(np.float16)
    adata.X = half.astype(np.float32)
    near = find_markers(adata, "leiden", progress=False).to_frame()
    adata.X = half
    adata.write_h5ad(tmp_path / "x.h5ad")
    for given in (tmp_path / "x.h5ad", experimental.read_lazy(tmp_path / "x.h5ad")):
        assert find_markers(given, "leiden", progress=False).to_frame().equals(near)


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.parametrize("form", list(FORMS))
def test_cells_and_markers_are_those_of_the_object(tmp_path, form, kind, not_whole):
    path, adata = stored(tmp_path, form=form, kind=kind)
    near = find_markers(adata, "leiden", return_thresh=1, progress=False).to_frame()
    lazy = opened(path, form)
    assert find_markers(lazy, "leiden", return_thresh=1, progress=False).to_frame().equals(near)
    expected = annotate_cells(adata, progress=False)
    found = annotate_cells(lazy, progress=False)
    assert found.to_frame().equals(expected.to_frame())
    # It is labelled in place, as an object in memory is.
    written = lazy.obs.to_memory()
    for name in ("cell_type_cell", "cell_type_cell_confidence", "cell_type_cell_status"):
        assert written[name].tolist() == adata.obs[name].tolist()
    assert "cell_type_cell" in lazy.uns["cellferry"]
    again = annotate_cells(lazy, progress=False)
    assert again.to_frame().equals(found.to_frame())


def test_artifacts_have_the_bytes_of_the_object(tmp_path, not_whole):
    path, adata = stored(tmp_path)
    made = {}
    for name, data in {"near": adata, "far": opened(path)}.items():
        built = build_artifacts(
            data, group_key="leiden", vars_h5_path=tmp_path / f"{name}.h5",
            obs_duckdb_path=tmp_path / f"{name}.duckdb", progress=False,
        )  # fmt: skip
        made[name] = built.vars_h5.read_bytes()
    assert made["near"] == made["far"]


def test_clusters_are_labelled_in_place_and_written(tmp_path):
    path, adata = stored(tmp_path)
    expected = annotate_clusters(adata, group_key="leiden", progress=False)
    lazy, output = experimental.read_lazy(path), tmp_path / "labelled.h5ad"
    found = annotate_clusters(lazy, group_key="leiden", progress=False, output=output)
    assert found.labels() == expected.labels()
    assert lazy.obs.to_memory()["cell_type"].tolist() == adata.obs["cell_type"].tolist()
    written = anndata.read_h5ad(output)
    assert written.obs["cell_type"].tolist() == adata.obs["cell_type"].tolist()
    assert (written.X != adata.X).nnz == 0
    assert "cell_type" not in anndata.read_h5ad(path).obs


def test_raw_is_read_where_x_is_scaled(tmp_path):
    path, adata = stored(tmp_path, raw=True)
    near = find_markers(adata, "leiden", return_thresh=1, progress=False).to_frame()
    lazy = experimental.read_lazy(path)
    assert find_markers(lazy, "leiden", return_thresh=1, progress=False).to_frame().equals(near)


def test_some_cells_of_a_lazy_object_are_read(tmp_path):
    path, adata = stored(tmp_path)
    chosen = np.arange(5, 41)
    part = experimental.read_lazy(path)[chosen]
    expected = annotate_cells(adata[chosen].copy(), progress=False)
    assert annotate_cells(part, progress=False).to_frame().equals(expected.to_frame())


def test_ranges_end_where_blocks_of_dask_do(monkeypatch):
    import dask.array

    values = np.arange(1.0, 61.0).reshape(20, 3)
    monkeypatch.setattr(lazily, "BLOCK_VALUES", 18)
    for chunks in ((3, 3), (8, 3), (20, 3), (1, 3)):
        source = MatrixSource(dask.array.from_array(values, chunks), ["a", "b", "c"])
        ends = set(np.cumsum([0, *dask.array.from_array(values, chunks).chunks[0]]).tolist())
        for most in (20, 7):
            ranges = list(source.ranges(0, 20, most))
            assert [a for a, _ in ranges] == [0, *(b for _, b in ranges[:-1])]
            assert ranges[-1][1] == 20
            assert all(b in ends or b - a == most for a, b in ranges)
            assert all(b - a <= max(6, chunks[0]) for a, b in ranges)
        made = np.vstack([block.toarray() for _, block in source.blocks(20)])
        np.testing.assert_array_equal(made, values)
        assert sorted(source.sample_values(10**6)) == sorted(values.ravel())
        assert look_at(source).kind == "counts"
        assert [b.shape[0] for _, b in source.rows_between(2, 9)]


@pytest.mark.parametrize("form", ["csr", "dense"])
def test_cells_of_a_backed_object_are_those_of_the_object(tmp_path, form):
    path, adata = stored(tmp_path, form=form)
    expected = annotate_cells(adata, progress=False)
    backed = anndata.read_h5ad(path, backed="r")
    try:
        found = annotate_cells(backed, progress=False)
        assert found.to_frame().equals(expected.to_frame())
        assert backed.obs["cell_type_cell"].tolist() == adata.obs["cell_type_cell"].tolist()
        clusters = annotate_clusters(backed, group_key="leiden", progress=False)
        assert clusters.labels() == annotate_clusters(
            adata, group_key="leiden", progress=False
        ).labels()  # fmt: skip
    finally:
        backed.file.close()
