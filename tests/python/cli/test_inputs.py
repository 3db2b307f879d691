"""The files that ``cellferry annotate`` reads, for clusters and for cells."""

import bz2
import gzip
import lzma

import anndata
import pandas as pd
import pytest

from cell_data import cells
from cellferry import errors
from cellferry.annotate.files import AnnDataObject
from cellferry.annotate.request import AnnotateRequest
from cellferry.annotate.verb import annotate
from cellferry.cli.inputs import opened_input
from cellferry.engines import create_engine
from cellferry.study.study import Context

LEVELS = pytest.mark.parametrize("level", ["clusters", "cells"])
MARKERS = {"0": ["CD79A", "MS4A1"], "1": ["CD3D", "CD3E"], "2": ["LYZ", "CD14"]}


def request(path, level="clusters", **more):
    given = {"key": "type", "context": Context(species="human"), **more}
    return AnnotateRequest(path, create_engine("local", {}, level), **given)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "m.csv"
    rows = "".join(f'{name},"{",".join(genes)}"\n' for name, genes in MARKERS.items())
    path.write_text(f"cluster,marker_genes\n{rows}", encoding="utf-8")
    return path


def test_a_table_has_no_object_to_label(table):
    with opened_input(request(table)) as opened:
        assert opened.object is None
        assert opened.study.clusters.names == ("0", "1", "2")
        assert opened.provenance == {"key": "type", "object": "markers"}


@LEVELS
def test_an_anndata_is_read_labelled_and_written(tmp_path, table, level):
    path = tmp_path / "cells.H5AD"
    adata = cells(12)
    adata.obsm["X_umap"] = adata.X[:, :2].toarray()
    adata.write_h5ad(path)
    markers = table if level == "clusters" else None
    with opened_input(request(path, level, markers=markers, group_key="leiden")) as opened:
        assert isinstance(opened.object, AnnDataObject)
        assert opened.provenance == {"key": "type", "object": "AnnData"}
        assert len(opened.study.cells) == 12
        assert opened.coordinates[0] == "X_umap"
        found = annotate(opened.study, create_engine("local", {}, level),
                         provenance=opened.provenance)  # fmt: skip
        columns = opened.object.deliver(found)
        opened.object.save(tmp_path / "again.h5ad")
    again = anndata.read_h5ad(tmp_path / "again.h5ad")
    assert list(columns["type"]) == list(again.obs["type"])
    assert list(columns) == found.provenance["columns"]
    assert len(found.groups(opened.study.clusters).codes) == 12


@LEVELS
def test_a_column_of_others_is_not_replaced_unasked(tmp_path, table, level):
    path = tmp_path / "cells.h5ad"
    adata = cells(12)
    adata.obs["type"] = "mine"
    adata.write_h5ad(path)
    more = {"markers": table if level == "clusters" else None, "group_key": "leiden"}
    with (
        pytest.raises(errors.ColumnExistsError),
        opened_input(request(path, level, **more)),
    ):
        pass
    with opened_input(request(path, level, overwrite=True, **more)) as opened:
        assert len(opened.study.cells) == 12


def test_an_h5ad_is_checked_before_it_is_studied(tmp_path, table):
    adata = anndata.AnnData(
        obs=pd.DataFrame({"k": ["0", "1"], "type": ["x", "y"]}, index=["a", "b"])
    )
    adata.write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(errors.ColumnExistsError), opened_input(request(tmp_path / "x.h5ad")):
        pass


@pytest.mark.parametrize(
    ("name", "level", "error"),
    [
        ("x.csv", "cells", errors.UnsupportedObjectError),
        ("x.h5ad", "cells", errors.InputError),
        ("x.h5ad", "clusters", errors.InputError),
    ],
)
def test_other_files_are_refused_by_class(tmp_path, name, level, error):
    path = tmp_path / name
    path.write_text("cluster,gene\n")
    with pytest.raises(error), opened_input(request(path, level)):
        pass


@LEVELS
@pytest.mark.parametrize("name", ["x.rds", "x.RDS", "x"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_files_of_r_go_to_r(name, packed, tmp_path, monkeypatch, level):
    (tmp_path / name).write_bytes(packed(b"X\n\0\0\0\3\0"))
    monkeypatch.setenv("PATH", "/nowhere")
    with (
        pytest.raises(errors.DependencyError, match="Rscript"),
        opened_input(request(tmp_path / name, level)),
    ):
        pass
