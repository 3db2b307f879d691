"""One real object, decided about in R, in Python, in R again and on the command line.

It goes as .rds and .h5ad between them. What is in force for each cell, and the whole history, are
those of a person who wrote everything down.
"""

import os
import subprocess
import sys

import anndata
import pytest

import cellferry
from cellferry.bridge.rds.child import child_environment
from command import command
from paths import ROOT
from r_session import needs_rpy2, r

pytestmark = [pytest.mark.process, pytest.mark.slow, needs_rpy2]

LIBRARY = ROOT / ".rlib"

ANNOTATE = """
x <- SeuratObject::pbmc_small
if (utils::packageVersion("SeuratObject") >= "5.0.0") {
  x <- suppressMessages(suppressWarnings(SeuratObject::UpdateSeuratObject(x)))
}
markers <- list("0" = c("CD3D", "CD3E", "IL7R"), "1" = c("LYZ", "CD14", "S100A8"),
                "2" = c("CD79A", "MS4A1", "CD79B"))
x <- AnnotateClusters(x, markers, group.by = "RNA_snn_res.1", species = "human", verbose = FALSE)
x <- SetLabels(x, "0" = "NK cell", by = "R", reason = "GNLY")
"""
AGAIN = """
x <- SetLabels(x, "Plasma cell", cells = colnames(x)[c(1, 30, 60)], by = "R again")
x <- WithdrawDecision(x, "0", by = "R again")
"""


def in_r(code, read=None, write=None):
    """Run R with the package installed; ``x`` is the object of one file, and goes to another."""
    lines = [
        "suppressMessages(library(cellferry))",
        f'x <- readRDS("{read}")' if read else "",
        code,
        f'saveRDS(x, "{write}")' if write else "",
    ]
    libraries = os.pathsep.join(filter(None, [os.environ.get("R_LIBS"), str(LIBRARY)]))
    done = subprocess.run(
        ["Rscript", "-e", "\n".join(lines)], capture_output=True, text=True, check=False,
        env={**child_environment(), "R_LIBS": libraries, "RETICULATE_PYTHON": sys.executable},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(file):
    return cellferry.seurat.to_anndata(r(f'readRDS("{file}")'))


def save(adata, file):
    made = cellferry.seurat.to_seurat(adata)
    from cellferry.seurat.session import r_interface

    r_interface().baseenv["saveRDS"](made, str(file))


class Written:
    """What a person wrote down: who has which label, and what was decided in which order."""

    def __init__(self, obs):
        self.cluster = obs["RNA_snn_res.1"].astype(str).to_dict()
        self.engine = obs["cell_type"].astype(str).to_dict()
        self.of_cluster, self.of_cell, self.history = {}, {}, []

    def decide(self, by, label, cluster=None, cells=()):
        self.history.append((cluster, len(cells) or None, label, by))
        if cluster is not None:
            self.of_cluster[cluster] = label
        self.of_cell.update(dict.fromkeys(cells, label))

    def check(self, adata):
        for cell, label in adata.obs["cell_type"].astype(str).items():
            of_cluster = self.of_cluster.get(self.cluster[cell]) or self.engine[cell]
            assert label == (self.of_cell.get(cell) or of_cluster), cell
        made = cellferry.decisions(adata)
        found = [
            (row.cluster, row.n_cells if row.cluster is None else None, row.label, row.by)
            for row in made.itertuples()
        ]
        assert found == self.history
        assert len(set(made["id"])) == len(self.history)


@pytest.mark.skipif(
    not (LIBRARY / "cellferry").exists(), reason="the R package is not installed by scripts/setup"
)
def test_decisions_of_r_python_and_the_command_line_are_one_history(tmp_path, own_home):
    engine = tmp_path / "engine.rds"
    in_r(ANNOTATE.rpartition("x <- SetLabels")[0], write=engine)
    before = read(engine)
    written = Written(before.obs)
    # R
    one = tmp_path / "one.rds"
    in_r(ANNOTATE, write=one)
    adata = read(one)
    written.decide("R", "NK cell", "0")
    written.check(adata)
    # Python, and through an .h5ad
    three = list(adata.obs_names[[10, 30, 70]])
    cellferry.set_labels(adata, {"1": "Kupffer cell"}, by="Python")
    cellferry.set_labels(adata, "Mast cell", cells=three, by="Python")
    adata.write_h5ad(tmp_path / "two.h5ad")
    adata = anndata.read_h5ad(tmp_path / "two.h5ad")
    written.decide("Python", "Kupffer cell", "1")
    written.decide("Python", "Mast cell", cells=three)
    written.check(adata)
    # R again
    two, again = tmp_path / "two.rds", tmp_path / "three.rds"
    save(adata, two)
    in_r(AGAIN, read=two, write=again)
    written.decide("R again", "Plasma cell", cells=list(adata.obs_names[[0, 29, 59]]))
    written.decide("R again", None, "0")
    written.check(read(again))
    # The command line, on the .rds and on an .h5ad of it
    given = ("--set", "2=Basophil", "--by", "shell", "--out", tmp_path / "four")
    assert command("label", again, *given).code == 0
    written.decide("shell", "Basophil", "2")
    adata = read(tmp_path / "four.rds")
    written.check(adata)
    adata.write_h5ad(tmp_path / "four.h5ad")
    (tmp_path / "cells.txt").write_text("\n".join(three))
    given = ("--cells", tmp_path / "cells.txt", "--decision", "withdrawn", "--by", "shell")
    done = command("label", tmp_path / "four.h5ad", *given, "--out", tmp_path / "five")
    assert done.code == 0, done.err
    written.decide("shell", None, cells=three)
    last = anndata.read_h5ad(tmp_path / "five.h5ad")
    written.check(last)
    # And what R says of it.
    save(last, tmp_path / "five.rds")
    said = in_r(
        'cat(Decisions(x)$state, sep = "|"); cat("\\n"); cat(as.character(x$cell_type), sep = "|")',
        read=tmp_path / "five.rds",
    ).splitlines()
    assert said[0].split("|") == cellferry.decisions(last)["state"].tolist()
    assert said[1].split("|") == last.obs["cell_type"].astype(str).tolist()
