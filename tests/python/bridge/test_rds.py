"""Real objects in .rds files through the Rscript child, both ways."""

import logging

import numpy as np
import pytest

import cellferry
from cellferry import errors
from cellferry.annotate import verb
from cellferry.bridge.rds import RdsObject
from cellferry.bridge.sources import OnDemandSource
from cellferry.engines import create_engine
from paths import ROOT
from r_session import needs_rpy2, needs_rscript, r_with
from rds_files import r_script

pytestmark = needs_rscript

MARKERS = "cluster,gene,avg_log2FC\n0,CD3E,2\n0,CD3D,2\n1,LYZ,3\n1,S100A9,2\n2,MS4A1,2\n2,CD79A,3\n"


@pytest.fixture
def markers(tmp_path):
    path = tmp_path / "markers.csv"
    path.write_text(MARKERS, encoding="utf-8")
    return path


def labelled(path, out, engine="local", **options):
    """Annotate a file and return the study and the annotations."""
    chosen = create_engine(engine, {})
    with RdsObject(path, chosen, **options) as kept:
        study = kept.study()
        found = verb.annotate(study, chosen, provenance=kept.provenance)
        kept.deliver(found)
        kept.save(out)
    return study, found


def test_labels_are_on_the_cells_of_their_clusters(pbmc_rds, markers, tmp_path):
    study, found = labelled(pbmc_rds, tmp_path / "out.rds", markers=markers)
    assert study.clusters.names == ("0", "1", "2")
    assert study.coordinates[0] == "tsne"
    printed = r_script(
        f"x <- readRDS('{tmp_path}/out.rds'); t <- unique(data.frame(i = as.character(Idents(x)),"
        " l = as.character(x$cell_type))); t <- t[order(t$i), ]; cat(t$l, sep = '|')"
    )
    assert printed.split("|") == list(found.labels().values())
    before = r_script(
        f"a <- readRDS('{pbmc_rds}'); b <- readRDS('{tmp_path}/out.rds');"
        "b@meta.data <- b@meta.data[names(a@meta.data)]; b@misc <- a@misc;"
        "cat(identical(a@meta.data, b@meta.data), identical(a@assays, b@assays),"
        " identical(a@reductions, b@reductions), identical(a@active.ident, b@active.ident))"
    )
    assert before == "TRUE TRUE TRUE TRUE"


def test_markers_that_nobody_gave_are_found_and_that_is_said(pbmc_rds, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "cellferry"):
        study, found = labelled(pbmc_rds, tmp_path / "out.rds", group_key="letter.idents")
    assert "found for 2 clusters of 80 cells by the Wilcoxon test" in caplog.text
    assert found.provenance["marker_test"]["rules"] == "Seurat 5.0.1"
    assert found.column("cluster") == ["A", "B"]
    assert study.markers.clusters == ("A", "B")
    assert found.provenance["parameters"]["markers"] == "computed"


@needs_rpy2
def test_what_r_wrote_is_read_in_python_with_its_annotations(pbmc_rds, markers, tmp_path):
    from cellferry.seurat import to_anndata

    _, found = labelled(pbmc_rds, tmp_path / "out.rds", markers=markers)
    robj = r_with(f"readRDS('{tmp_path}/out.rds')")
    adata = to_anndata(robj)
    again = cellferry.read_annotations(adata)
    assert again.to_dict()["rows"] == found.to_dict()["rows"]
    confidence = adata.obs["cell_type_confidence"].to_numpy()
    expected = [found[c].confidence for c in adata.obs["RNA_snn_res.1"]]
    np.testing.assert_array_equal(confidence, np.array(expected, dtype=float))


def test_a_single_cell_experiment_is_labelled_and_keeps_its_class(markers, tmp_path):
    r_script(
        "suppressPackageStartupMessages({library(SingleCellExperiment)}); library(Matrix);"
        " m <- as(matrix(c(1, 0, 2, 3, 0, 1), 2, dimnames = list(c('CD3E', 'LYZ'), NULL)),"
        " 'CsparseMatrix'); s <- SingleCellExperiment(list(logcounts = log1p(m)),"
        " colData = DataFrame(label = factor(c('0', '1', NA))));"
        f" saveRDS(s, '{tmp_path}/in.rds')"
    )
    markers.write_text("cluster,gene\n0,CD3E\n0,CD3D\n1,LYZ\n1,S100A9\n", encoding="utf-8")
    with pytest.warns(errors.CellsWithoutClusterWarning):
        _, found = labelled(tmp_path / "in.rds", tmp_path / "out.rds", markers=markers)
    printed = r_script(
        "suppressPackageStartupMessages({library(SingleCellExperiment)});"
        f"s <- readRDS('{tmp_path}/out.rds'); cat(class(s), as.character(s$cell_type), sep = '|')"
    )
    labels = found.labels()
    assert printed.split("|") == ["SingleCellExperiment", labels["0"], labels["1"], "NA"]


@pytest.mark.parametrize(
    ("code", "error", "match"),
    [
        ("1:3", errors.UnsupportedObjectError, "class integer"),
        ("data.frame(gene = 'a')", errors.InvalidOptionError, "is itself a marker table"),
        ("structure(list(), class = 'seurat')", errors.ObjectOutdatedError, "Seurat 2"),
    ],
)
def test_other_objects_are_refused_by_class(code, error, match, markers, tmp_path):
    r_script(f"saveRDS({code}, '{tmp_path}/in.rds')")
    with pytest.raises(error, match=match):
        labelled(tmp_path / "in.rds", tmp_path / "out.rds", markers=markers)
    assert not (tmp_path / "out.rds").exists()


def test_an_object_of_the_next_generation_says_what_to_do(markers, tmp_path):
    if r_script("cat(utils::packageVersion('SeuratObject') >= '5.0.0')") == "TRUE":
        pytest.skip("SeuratObject 5 is installed")
    path = rds_of_seurat_5()
    with pytest.raises(errors.ObjectOutdatedError, match="Assay5") as caught:
        labelled(path, tmp_path / "out.rds", markers=markers)
    assert "Install Seurat 5" in caught.value.hint


def rds_of_seurat_5():
    return ROOT / "tests" / "testthat" / "objects" / "seurat5.rds"


def test_files_that_are_no_rds_are_refused(markers, tmp_path):
    (tmp_path / "x.rds").write_text("cluster,gene", encoding="utf-8")
    with pytest.raises(errors.InputError, match=r"can't be read as \.rds"):
        labelled(tmp_path / "x.rds", tmp_path / "out.rds", markers=markers)
    with pytest.raises(errors.InputError, match="There is no file"):
        RdsObject(tmp_path / "none.rds", create_engine("local", {}))


def test_keys_and_groups_are_checked_before_anything_is_computed(pbmc_rds, tmp_path):
    with pytest.raises(errors.ColumnExistsError, match='"groups"'):
        labelled(pbmc_rds, tmp_path / "out.rds", key="groups")
    with pytest.raises(errors.GroupMissingError, match='no column "group"') as caught:
        labelled(pbmc_rds, tmp_path / "out.rds", group_key="group")
    assert 'Did you mean "groups"?' in caught.value.hint


def test_a_place_that_r_cannot_write_is_an_error(pbmc_rds, markers, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.OutputError, match="can't be written"):
        labelled(pbmc_rds, tmp_path / "file" / "out.rds", markers=markers)


HELPER = ROOT / "tests" / "testthat" / "helper-on-demand.R"


@pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning")
def test_cells_are_labelled_from_blocks_that_the_child_is_asked_for(tmp_path):
    r_script(f"source('{HELPER}'); saveRDS(CreateSeuratObject(many_cells()), '{tmp_path}/in.rds')")
    chosen = create_engine("local", {}, "cells")
    with RdsObject(tmp_path / "in.rds", chosen, level="cells", key="cell") as kept:
        study = kept.study()
        # Seurat 4 has the counts in the place of the values.
        source = study.normalized or study.counts
        assert isinstance(source, OnDemandSource)
        # As often as it is read, and left anywhere.
        assert next(iter(source))[0] == 0
        shapes = [block.shape[0] for _, block in source]
        assert len(shapes) > 3
        found = verb.annotate(study, chosen, provenance=kept.provenance)
        kept.deliver(found)
        kept.save(tmp_path / "out.rds")
    labels = found.label.values()
    printed = r_script(f"cat(as.character(readRDS('{tmp_path}/out.rds')$cell), sep = '|')")
    assert printed.split("|") == list(labels)
    assert all(("T" if i % 2 == 0 else "B") in x for i, x in enumerate(labels))


def test_what_goes_wrong_in_the_child_between_blocks_is_raised_here(tmp_path):
    r_script(
        "suppressPackageStartupMessages({library(SingleCellExperiment); library(HDF5Array)});"
        f" source('{HELPER}'); x <- as.matrix(many_cells(3000L, density = 0.02));"
        f" h <- writeHDF5Array(x, '{tmp_path}/counts.h5', 'x', with.dimnames = FALSE);"
        " s <- SingleCellExperiment(list(counts = h));"
        " dimnames(s) <- dimnames(x);"
        f" base::saveRDS(s, '{tmp_path}/in.rds')"
    )
    chosen = create_engine("local", {}, "cells")
    with RdsObject(tmp_path / "in.rds", chosen, level="cells", key="cell") as kept:
        blocks = iter(kept.study().counts)
        next(blocks)
        (tmp_path / "counts.h5").unlink()
        with pytest.raises(errors.InternalError, match="R stopped in the Rscript child"):
            list(blocks)
