"""A path in the place of an object: the result is the table, the object is written where asked."""

import hashlib

import anndata
import h5py
import pytest

import cellferry
from cell_data import cells
from cellferry import errors
from r_session import needs_rscript

LISTS = 'cluster,genes\n0,"CD79A,MS4A1,CD79B,CD19"\n1,"CD3D,CD3E,CD3G,CD2"\n2,"CD14,LYZ,FCN1"\n'
NAMES = {"0": "B cell", "1": "T cell", "2": "Monocyte"}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(LISTS, encoding="utf-8")
    return path


@pytest.fixture(params=["h5ad", "zarr"])
def path(request, tmp_path):
    made = tmp_path / f"x.{request.param}"
    adata = cells(30)
    if request.param == "zarr":
        pytest.importorskip("zarr")
        adata.write_zarr(made)
    else:
        adata.write_h5ad(made)
    return made


def annotate(path, level="clusters", **more):
    verb = getattr(cellferry, f"annotate_{level}")
    return verb(path, species="human", progress=False, **more)


def content(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()


def labels(found):
    return {row.cluster: row.label for row in found}


def test_a_marker_table_by_its_path(table):
    for given in (table, str(table)):
        assert set(labels(annotate(given))) == set(NAMES)
    with pytest.raises(errors.InvalidOptionError, match="marker table has none"):
        annotate(table, output="x.h5ad")
    with pytest.raises(errors.InvalidOptionError, match="itself a marker table"):
        annotate(table, markers=table)


def test_an_object_in_a_file_stays_as_it_is(path, table):
    before = content(path)
    found = annotate(path, markers=table, group_key="leiden")
    assert labels(found) == labels(annotate(cells(30), markers=table, group_key="leiden"))
    assert annotate(str(path), "cells").cells == tuple(f"cell-{i}" for i in range(30))
    assert content(path) == before
    made = {p.name for p in path.parent.iterdir()} - {"cellferry-home"}
    assert made == {path.name, table.name}


def test_the_labelled_object_is_written_where_it_is_asked_for(path, table, tmp_path):
    output = tmp_path / "labelled.h5ad"
    found = annotate(path, markers=table, group_key="leiden", output=output)
    obs = anndata.read_h5ad(output).obs
    assert all(obs["cell_type"] == obs["leiden"].map(labels(found)))
    with pytest.raises(errors.OutputError, match="not replaced unasked"):
        annotate(path, "cells", output=output)
    annotate(path, "cells", output=output, overwrite=True)
    assert "cell_type_cell" in anndata.read_h5ad(output).obs
    with pytest.raises(errors.InvalidOptionError, match=r"must end in \.h5ad") as caught:
        annotate(path, "cells", output=tmp_path / "x.rds")
    assert "x.h5ad" in caught.value.hint


def test_a_dry_run_writes_nothing(path, tmp_path):
    plan = annotate(path, "cells", dry_run=True, output=tmp_path / "out.h5ad")
    assert str(plan) == "local: 30 cells, 0 calls, 0 bytes sent, cost $0.00"
    assert not (tmp_path / "out.h5ad").exists()


def test_artifacts_of_a_path(path, tmp_path):
    places = {"vars_h5_path": tmp_path / "v.h5", "obs_duckdb_path": tmp_path / "o.duckdb"}
    with pytest.warns(errors.CoordinatesWarning):
        built = cellferry.build_artifacts(path, group_key="leiden", progress=False, **places)
    assert built.vars_h5.exists()


def test_a_run_is_resumed_with_a_path(tmp_path, table):
    adata = cells(30)
    adata.write_h5ad(tmp_path / "x.h5ad")
    found = annotate(tmp_path / "x.h5ad", markers=table, group_key="leiden")
    again = cellferry.resume(found.provenance["run"], tmp_path / "x.h5ad", progress=False)
    assert labels(again) == labels(found)
    assert "cell_type" not in anndata.read_h5ad(tmp_path / "x.h5ad").obs


@pytest.mark.parametrize("level", ["clusters", "cells"])
def test_what_is_resumed_is_written_where_it_is_asked_for(level, path, table, tmp_path):
    more = {"markers": table, "group_key": "leiden"} if level == "clusters" else {}
    run = annotate(path, level, **more).provenance["run"]
    output, key = tmp_path / "out.h5ad", "cell_type" if level == "clusters" else "cell_type_cell"
    cellferry.resume(run, path, output=output, progress=False)
    assert anndata.read_h5ad(output).obs[f"{key}_status"].eq("ok").all()
    with pytest.raises(errors.OutputError, match="not replaced unasked"):
        cellferry.resume(run, path, output=output, progress=False)
    with pytest.raises(errors.InvalidOptionError, match="no object was given"):
        cellferry.resume(run, output=output, progress=False)


@pytest.mark.parametrize("level", ["clusters", "cells"])
def test_what_is_no_input_is_named(tmp_path, level):
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        for name in ("matrix", "row_attrs", "col_attrs"):
            file.create_group(name)
    with pytest.raises(errors.UnsupportedObjectError, match="a loom file") as caught:
        annotate(tmp_path / "x.h5ad", level)
    assert "scanpy.read_loom(" in caught.value.hint
    (tmp_path / "x.rds").write_text("<html></html>")
    with pytest.raises(errors.UnsupportedObjectError, match="a web page"):
        annotate(tmp_path / "x.rds", level)
    with pytest.raises(errors.InputError, match="There is no file"):
        annotate(tmp_path / "none.h5ad", level)


@pytest.mark.r
@pytest.mark.slow
@needs_rscript
def test_an_rds_by_its_path(tmp_path, table):
    from rds_files import PBMC, r_script

    r_script(
        f"{PBMC} x$leiden <- as.character(as.integer(x$groups == 'g1')); "
        f"saveRDS(x, '{tmp_path}/x.rds'); g <- list('0' = c('CD79A', 'MS4A1'), '1' = 'CD3D'); "
        f"f <- lapply(g, function(n) data.frame(avg_log2FC = seq_along(n), row.names = n)); "
        f"saveRDS(f, '{tmp_path}/tables')"
    )
    frames = annotate(tmp_path / "tables")
    assert list(labels(frames)) == ["0", "1"]
    output = tmp_path / "out.rds"
    markers = cellferry.read_markers(table).subset(["0", "1"])
    found = annotate(tmp_path / "x.rds", markers=markers, group_key="leiden", output=output)
    written = r_script(f"x <- readRDS('{output}'); cat(unique(paste(x$leiden, x$cell_type)))")
    assert all(f"{name} {label}" in written for name, label in labels(found).items())


@pytest.mark.parametrize(
    "verb",
    ["annotate_clusters", "annotate_cells", "build_artifacts", "find_markers", "pseudobulk",
     "study_report", "read_annotations", "supporting_markers", "markers"],
)  # fmt: skip
def test_a_mudata_without_rna_is_named_with_the_line_that_takes_one_modality(verb):
    mudata = pytest.importorskip("mudata")
    mudata.set_options(pull_on_update=False)
    mdata = mudata.MuData({"prot": cells(30), "atac": cells(30)})
    with pytest.raises(errors.UnsupportedObjectError, match='without the modality "rna"') as caught:
        getattr(cellferry, verb)(mdata)
    assert '"prot", "atac"' in caught.value.message
    assert caught.value.hint.endswith('mdata["prot"]')


def test_the_rna_of_a_mudata_is_labelled_in_it():
    mudata = pytest.importorskip("mudata")
    mudata.set_options(pull_on_update=False)
    alone, rna = cells(30), cells(30)
    mdata = mudata.MuData({"prot": cells(30), "rna": rna})
    found = cellferry.annotate_clusters(mdata, group_key="leiden", progress=False)
    expected = cellferry.annotate_clusters(alone, group_key="leiden", progress=False)
    assert found.to_frame().equals(expected.to_frame())
    assert list(mdata["rna"].obs["cell_type"]) == list(alone.obs["cell_type"])
    assert "cell_type" not in mdata["prot"].obs
    again = cellferry.resume(found.provenance["run"], mdata, overwrite=True, progress=False)
    assert again.to_frame().equals(found.to_frame())
    assert cellferry.supporting_markers(mdata) == cellferry.supporting_markers(alone)
    markers = [cellferry.find_markers(x, group_key="leiden").to_frame() for x in (mdata, alone)]
    assert markers[0].equals(markers[1])


class SpatialData:
    """Has the tables of one; the package spatialdata is large, and none of ours."""

    def __init__(self, **tables):
        self.tables = tables


def test_the_table_of_a_spatialdata_is_labelled_and_several_are_named():
    table = cells(30)
    cellferry.annotate_clusters(SpatialData(table=table), group_key="leiden", progress=False)
    assert "cell_type" in table.obs
    with pytest.raises(errors.UnsupportedObjectError, match='several tables: "a", "b"') as caught:
        cellferry.annotate_cells(SpatialData(a=table, b=table))
    assert caught.value.hint.endswith('sdata["a"]')
    with pytest.raises(errors.UnsupportedObjectError, match="without a table"):
        cellferry.annotate_cells(SpatialData())
