"""What is computed of several files is what the joined object gives, in Python and in a shell."""

import hashlib
import json
import warnings

import anndata
import numpy as np
import pytest
from click.testing import CliRunner

from cell_data import cells
from cellferry import annotate_cells, annotate_clusters, build_artifacts, find_markers, pseudobulk
from cellferry.cli import group
from cellferry.errors import GroupMissingError, InvalidOptionError
from cellferry.study.inputs.several import Files, read_place

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def thirds(tmp_path, n=90, **more):
    """Write an object as three files of different forms; return them and the object."""
    adata = cells(n, **more)
    adata.obsm["X_umap"] = np.random.default_rng(1).normal(size=(n, 2)).astype(np.float32)
    parts = [adata[i : i + n // 3].copy() for i in range(0, n, n // 3)]
    parts[1].X = parts[1].X.tocsc()
    paths = [tmp_path / "a.h5ad", tmp_path / "b.h5ad", tmp_path / "c.zarr"]
    parts[0].write_h5ad(paths[0])
    parts[1].write_h5ad(paths[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts[2].write_zarr(paths[2])
    return paths, adata


def test_cells_get_the_labels_of_the_joined_object(tmp_path):
    paths, adata = thirds(tmp_path)
    expected = annotate_cells(adata, progress=False)
    output = tmp_path / "labelled.h5ad"
    found = annotate_cells(paths, output=output, progress=False)
    assert found.to_frame().equals(expected.to_frame())
    written = anndata.read_h5ad(output)
    assert (written.X != adata.X).nnz == 0
    assert written.obs["cell_type_cell"].tolist() == adata.obs["cell_type_cell"].tolist()
    assert list(written.obs_names) == list(adata.obs_names)


def test_markers_and_sums_are_those_of_the_joined_object(tmp_path):
    paths, adata = thirds(tmp_path)
    near = find_markers(adata, "leiden", return_thresh=1, progress=False).to_frame()
    assert len(near) > 5
    assert find_markers(paths, "leiden", return_thresh=1, progress=False).to_frame().equals(near)
    assert pseudobulk(paths, "leiden").to_frame().equals(pseudobulk(adata, "leiden").to_frame())


def test_artifacts_have_the_bytes_of_the_joined_object(tmp_path):
    paths, adata = thirds(tmp_path)
    digests = []
    for name, data in {"near": adata, "far": paths}.items():
        built = build_artifacts(
            data, group_key="leiden", vars_h5_path=tmp_path / f"{name}.h5",
            obs_duckdb_path=tmp_path / f"{name}.duckdb", progress=False,
        )  # fmt: skip
        file = built.vars_h5.read_bytes()
        digests.append((hashlib.sha256(file).hexdigest(), built.summary.percentages.tolist()))
    assert digests[0] == digests[1]


def test_clusters_get_the_labels_of_the_joined_object(tmp_path):
    paths, adata = thirds(tmp_path)
    expected = annotate_clusters(adata, group_key="leiden", progress=False)
    output = tmp_path / "labelled.h5ad"
    found = annotate_clusters(paths, group_key="leiden", output=output, progress=False)
    assert (
        found.to_frame().drop(columns="seconds").equals(expected.to_frame().drop(columns="seconds"))
    )
    assert anndata.read_h5ad(output).obs["cell_type"].equals(adata.obs["cell_type"])


def test_one_path_in_a_list_is_that_path(tmp_path):
    paths, _ = thirds(tmp_path)
    found = annotate_cells([str(paths[0])], progress=False)
    assert found.to_frame().equals(annotate_cells(paths[0], progress=False).to_frame())


def test_what_one_object_is_needed_for_is_refused(tmp_path):
    paths, _ = thirds(tmp_path)
    with pytest.raises(InvalidOptionError, match="annotated by one engine"):
        annotate_clusters(paths, engine={"a": "local", "b": "local"}, group_key="leiden")
    with pytest.raises(InvalidOptionError, match="`within` needs an object in memory"):
        annotate_clusters(paths, group_key="leiden", within="truth", progress=False)
    with pytest.raises(GroupMissingError, match='no column "donor"'):
        find_markers(paths, "donor", progress=False)


def test_files_without_a_column_in_common_have_no_clusters(tmp_path):
    paths, adata = thirds(tmp_path)
    bare = anndata.AnnData(adata.X, var=adata.var)
    bare.obs_names = [f"x{i}" for i in range(bare.n_obs)]
    bare.write_h5ad(tmp_path / "bare.h5ad")
    with pytest.raises(GroupMissingError, match="no column of obs in common") as refused:
        find_markers([paths[0], tmp_path / "bare.h5ad"], progress=False)
    assert "annotate_cells()" in refused.value.hint


def invoked(*arguments):
    done = CliRunner().invoke(group, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return done


def test_the_command_line_takes_several_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths, adata = thirds(tmp_path)
    adata.write_h5ad("all.h5ad")
    for name, given in {"near": ["all.h5ad"], "far": paths}.items():
        invoked("markers", *given, "--group-key", "leiden", "--out", f"{name}.csv")
        invoked("pseudobulk", *given, "--group-key", "leiden", "--out", name)
        invoked("annotate", *given, "--cells", "--out", f"{name}_cells")
        invoked(
            "artifacts", "build", *given, "--group-key", "leiden", "--vars-h5", f"{name}.h5",
            "--obs-duckdb", f"{name}.duckdb",
        )  # fmt: skip
    for end in (".csv", "_counts.csv", "_cells_cells.csv", "_cells_annotations.csv", ".h5"):
        assert (tmp_path / f"far{end}").read_bytes() == (tmp_path / f"near{end}").read_bytes()
    kept = json.loads((tmp_path / "far_cells_run" / "run.json").read_text())
    assert str(paths[2].resolve()) in json.dumps(kept)
    # A run reads its files again, and so it does when it is told their names.
    invoked("runs", "resume", "far_cells_run", "--out", "again")
    inputs = [part for path in paths for part in ("--input", path)]
    invoked("runs", "resume", "far_cells_run", *inputs, "--out", "again2")
    first = (tmp_path / "far_cells_cells.csv").read_bytes()
    assert (tmp_path / "again_cells.csv").read_bytes() == first
    assert (tmp_path / "again2_cells.csv").read_bytes() == first


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a", "-"], '"-" is a marker table'),
        (["a", "b", "--engine", "local", "--engine", "x=local"], "annotated by one engine"),
        ([], "Missing argument"),
    ],
)
def test_what_a_command_refuses(given, said):
    done = CliRunner().invoke(group, ["annotate", *given])
    assert done.exit_code == 2
    assert said in done.output


def test_the_whole_object_is_read_with_its_raw(tmp_path):
    paths, adata = thirds(tmp_path)
    whole = read_place(Files(tuple(paths)))
    assert (whole.layers["counts"] != adata.layers["counts"]).nnz == 0
    np.testing.assert_array_equal(whole.obsm["X_umap"], adata.obsm["X_umap"])
