"""The verbs of results take a path: what the file gives is what the object gives."""

import re

import h5py
import numpy as np
import pytest

import cellferry
from cell_data import cells
from cellferry import errors
from r_session import needs_rscript


@pytest.fixture
def adata():
    made = cells(30)
    made.obsm["X_umap"] = np.random.default_rng(0).normal(size=(30, 2))
    made.obs["sample"] = ["s1", "s2", "s3"] * 10
    lists = {"0": ["CD79A", "MS4A1", "CD79B"], "1": ["CD3D", "CD3E", "CD2"], "2": ["CD14", "LYZ"]}
    cellferry.annotate_clusters(made, lists, group_key="leiden", species="human", progress=False)
    return made


@pytest.fixture(params=["h5ad", "zarr", "zarr.zip"])
def path(request, adata, tmp_path):
    made = tmp_path / f"x.{request.param}"
    if request.param == "h5ad":
        adata.write_h5ad(made)
        return made
    zarr = pytest.importorskip("zarr")
    if request.param == "zarr":
        adata.write_zarr(made)
        return made
    store = zarr.storage.ZipStore(made, mode="w")
    adata.write_zarr(store)
    store.close()
    return made


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_the_file_gives_is_what_the_object_gives(adata, path, tmp_path):
    for given in (path, str(path)):
        assert cellferry.read_annotations(given) == cellferry.read_annotations(adata)
        assert cellferry.supporting_markers(given) == cellferry.supporting_markers(adata)
        assert cellferry.markers(given).equals(cellferry.markers(adata))
    written = {}
    for name, source in {"file": path, "object": adata}.items():
        (tmp_path / name).mkdir()
        cellferry.annotation_report(source, tmp_path / name / "r.html", coordinates_key="X_umap")
        cellferry.write_annotations(source, tmp_path / name / "t.csv", sample_key="sample")
        written[name] = {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}
    assert written["file"] == written["object"]
    assert b"X_umap" in written["file"]["r.html"]


def test_no_matrix_is_read(adata, tmp_path):
    adata.write_h5ad(tmp_path / "x.h5ad")
    expected = cellferry.read_annotations(adata)
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        del file["X"], file["layers/counts"]
        file["X"] = "no matrix"
    assert cellferry.read_annotations(tmp_path / "x.h5ad") == expected


def test_cells_are_counted_as_they_are_in_the_file(adata, tmp_path):
    adata[adata.obs["leiden"] != "2"].copy().write_h5ad(tmp_path / "x.h5ad")
    found = cellferry.read_annotations(tmp_path / "x.h5ad")
    assert [row.n_cells for row in found] == [10, 10, 0]


def test_what_holds_no_annotations_is_said(tmp_path):
    cells(30).write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(errors.AnnotationsMissingError, match="holds no annotations"):
        cellferry.markers(tmp_path / "x.h5ad")
    with pytest.raises(errors.InputError, match="There is no file"):
        cellferry.read_annotations(tmp_path / "none.h5ad")
    (tmp_path / "m.csv").write_text("cluster,gene\n0,CD3D\n", encoding="utf-8")
    with pytest.raises(errors.InputError, match="a text file"):
        cellferry.supporting_markers(tmp_path / "m.csv")


def test_an_embedding_that_is_named_must_be_in_the_file(adata, tmp_path):
    adata.write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(errors.GroupMissingError, match='no embedding "X_tsne"'):
        cellferry.annotation_report(
            tmp_path / "x.h5ad", tmp_path / "r.html", coordinates_key="X_tsne"
        )


@pytest.mark.r
@pytest.mark.slow
@needs_rscript
def test_an_rds_holds_what_r_wrote(pbmc_rds, tmp_path):
    lists = {"0": ["CD79A", "MS4A1"], "1": ["CD3D", "CD3E"], "2": ["CD14", "LYZ"]}
    output = tmp_path / "labelled.rds"
    found = cellferry.annotate_clusters(
        pbmc_rds, lists, species="human", progress=False, output=output
    )
    again = cellferry.read_annotations(output)
    assert [(r.cluster, r.label, r.n_cells) for r in again] == [
        (r.cluster, r.label, r.n_cells) for r in found
    ]
    assert "note" not in again.provenance
    assert cellferry.supporting_markers(output) == cellferry.supporting_markers(found)
    assert cellferry.markers(output)["gene"].tolist() == cellferry.markers(found)["gene"].tolist()
    for key, first in ((None, "tsne"), ("X_pca", "pca")):
        report = cellferry.annotation_report(
            output, tmp_path / "r.html", coordinates_key=key, overwrite=True
        )
        assert re.search(r'"embeddings":\[\{"name":"(\w+)"', report.read_text("utf-8"))[1] == first
    names = [p.name for p in cellferry.write_annotations(
        output, tmp_path / "t.csv", sample_key="groups"
    )]  # fmt: skip
    assert "t_samples.csv" in names
    with pytest.raises(errors.CellferryError, match='no embedding "nothing"'):
        cellferry.annotation_report(output, tmp_path / "r.html", coordinates_key="nothing")


def test_decisions_are_read_of_a_path_and_not_made_in_one(path, adata):
    cellferry.set_labels(adata, {"0": "Plasma cell"})
    written = path.with_name("decided.h5ad")
    adata.write_h5ad(written)
    assert cellferry.decisions(written).equals(cellferry.decisions(adata))
    for verb in (
        lambda: cellferry.set_labels(path, {"0": "Plasma cell"}),
        lambda: cellferry.withdraw_decision(path, "0"),
        lambda: cellferry.label_colors(path),
    ):
        with pytest.raises(errors.UnsupportedObjectError, match="given a path") as caught:
            verb()
        assert f"anndata.read_h5ad({str(path)!r})" in str(caught.value)
