import subprocess

import anndata
import pandas as pd
import pytest
from click.testing import CliRunner

from atlas_server import AtlasServer, label_of
from cell_data import GENES, cells
from cellferry.cli import group
from cellferry.errors import EngineNeedsError, ServiceFailedError, UnsupportedObjectError
from cellferry.runs.run import Run, list_runs
from r_session import needs_rscript


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cells.h5ad"
    cells(30).write_h5ad(path)
    return path


def run(*arguments):
    return CliRunner().invoke(group, [str(a) for a in arguments], catch_exceptions=False)


def test_every_cell_of_a_file_is_labelled(file, tmp_path):
    done = run("annotate", file, "--cells", "--out", tmp_path / "x")
    assert done.exit_code == 0
    assert "30 cells" in done.output
    read = anndata.read_h5ad(tmp_path / "x.h5ad")
    assert "cell_type_cell_majority" in read.obs
    for name in ("x_annotations.csv", "x_annotations.json", "x_report.html", "x_cells.csv"):
        assert (tmp_path / name).stat().st_size > 0
    assert (tmp_path / "x_run" / "cells.npz").exists()


def test_the_dry_run_does_nothing(file, tmp_path):
    done = run("annotate", file, "--cells", "--out", tmp_path / "x", "--dry-run")
    assert done.output.splitlines()[-1] == "local: 30 cells, 0 calls, 0 bytes sent, cost $0.00"
    assert list_runs() == []


@pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning")
@pytest.mark.filterwarnings("ignore::cellferry.errors.CellsDiagnosisWarning")
def test_a_stopped_run_is_resumed_from_its_file(file, tmp_path):
    with AtlasServer().running() as server:
        server.faults = dict.fromkeys(range(2, 99), 422)
        options = ["--option", f"api_url={server.url}", "--option", "chunk_size=5",
                   "--option", "min_counts=0", "--option", "parallel=1"]  # fmt: skip
        with pytest.raises(Exception, match="refused"):
            run("annotate", file, "--cells", "--engine", "cellatlas", "--out", tmp_path / "x",
                *options)  # fmt: skip
        server.faults = {}
        done = run("runs", "resume", tmp_path / "x_run")
    assert done.exit_code == 0
    assert server.answered == [5] * 6
    expected = [label_of(GENES, row) for row in cells(30).layers["counts"].toarray()]
    assert anndata.read_h5ad(tmp_path / "x.h5ad").obs["cell_type_cell"].tolist() == expected


KNOWN = """
suppressPackageStartupMessages(library(SeuratObject)); set.seed(1)
markers <- list("B cell" = c("CD79A", "MS4A1", "CD79B", "CD19", "BANK1"),
                "T cell" = c("CD3D", "CD3E", "CD3G", "CD2", "IL32"))
truth <- rep(names(markers), length.out = 30)
genes <- c(unlist(markers, use.names = FALSE), paste0("GENE", 1:30))
counts <- matrix(rpois(40 * 30, 3), 40, dimnames = list(genes, paste0("cell", 1:30)))
counts[unlist(markers), ] <- 0
for (i in 1:30) counts[markers[[truth[i]]], i] <- 2 + rpois(5, 5)
x <- CreateSeuratObject(as(counts, "CsparseMatrix"))
x <- SetAssayData(x, "data", as(log1p(counts), "CsparseMatrix"))
x$truth <- truth; Idents(x) <- factor(truth); saveRDS(x, commandArgs(TRUE)[1])
"""


@pytest.fixture(scope="module")
def rds_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "known.rds"
    r(KNOWN, path)
    return path


def r(code, *arguments):
    from cellferry.bridge.rds.child import child_environment

    done = subprocess.run(["Rscript", "-e", code, *map(str, arguments)], capture_output=True,
                          text=True, check=False, env=child_environment())  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


READ = """
suppressPackageStartupMessages(library(SeuratObject)); x <- readRDS(commandArgs(TRUE)[1])
cat(as.character(x$cell_type_cell), sep = "|"); cat("\n", levels(Idents(x)), sep = "|")
"""


@pytest.mark.r
@needs_rscript
@pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning")
def test_every_cell_of_an_rds_is_labelled_by_r(rds_file, tmp_path):
    done = run("annotate", rds_file, "--cells", "--out", tmp_path / "x")
    assert done.exit_code == 0
    labels, idents = r(READ, tmp_path / "x.rds").split("\n")
    truth = ["B cell", "T cell"] * 15
    assert all(a in b for a, b in zip(truth, labels.split("|"), strict=True))
    assert idents == "|B cell|T cell"
    table = pd.read_csv(tmp_path / "x_cells.csv", index_col="cell")
    assert table["cell_type_cell"].tolist() == labels.split("|")
    assert table.index.tolist() == [f"cell{i}" for i in range(1, 31)]
    assert table["cell_type_cell_majority_share"].between(0, 1).all()
    assert (tmp_path / "x_report.html").stat().st_size > 0
    assert list_runs()[0].content["provenance"]["object"] == "Seurat"


@pytest.mark.r
@needs_rscript
@pytest.mark.filterwarnings("ignore::cellferry.errors.GenesUnrecognisedWarning")
@pytest.mark.filterwarnings("ignore::cellferry.errors.CellsDiagnosisWarning")
def test_a_stopped_run_of_an_rds_is_resumed_from_its_file(rds_file, tmp_path):
    with AtlasServer().running() as server:
        server.faults = dict.fromkeys(range(2, 99), 422)
        with pytest.raises(Exception, match="refused"):
            run("annotate", rds_file, "--cells", "--engine", "cellatlas", "--out", tmp_path / "x",
                "--api-url", server.url, "--option", "chunk_size=5", "--option", "min_counts=0",
                "--option", "parallel=1")  # fmt: skip
        assert not (tmp_path / "x.rds").exists()
        server.faults = {}
        assert run("runs", "resume", tmp_path / "x_run").exit_code == 0
    assert server.answered == [5] * 6
    assert all(isinstance(v, int) for v in server.requests[0]["body"]["matrix"]["data"])
    assert len(r(READ, tmp_path / "x.rds").split("\n")[0].split("|")) == 30


def test_what_has_no_cells_is_refused(file, tmp_path):
    markers = tmp_path / "markers.csv"
    markers.write_text("cluster,gene\n0,CD3E\n")
    with pytest.raises(
        UnsupportedObjectError, match=r"is not an object with cells; it seems to be a text file"
    ):
        run("annotate", markers, "--cells")
    assert run("annotate", file, "--cells", "--markers", markers).exit_code == 2


def test_a_run_of_another_object_is_not_resumed_here():
    made = Run.create("local", level="cells", provenance={"key": "k"}, options={})
    with pytest.raises(EngineNeedsError, match="did not read"):
        run("runs", "resume", made.id)
    assert ServiceFailedError.code == "service_failed"
