"""SingleR of this machine, called directly, beside which ours is held."""

import json
import shutil
import subprocess

import pytest
import scipy.io
from scipy.sparse import csc_matrix

from cellferry.bridge.rds import child as rscript

_LOOK = "for (p in c('SingleR', 'scran')) if (!nzchar(system.file(package = p))) q(status = 1)"


def _is_there():
    if shutil.which("Rscript") is None:
        return False
    done = subprocess.run(
        ["Rscript", "--vanilla", "-e", _LOOK], check=False, env=rscript.child_environment()
    )
    return done.returncode == 0


needs_singler = pytest.mark.skipif(not _is_there(), reason="SingleR or scran is not installed in R")

_DIRECT = """
suppressPackageStartupMessages({library(SingleR); library(Matrix)})
folder <- commandArgs(TRUE)[1]
read <- function(name) {
  matrix <- as(readMM(file.path(folder, paste0(name, ".mtx"))), "CsparseMatrix")
  rownames(matrix) <- readLines(file.path(folder, paste0(name, ".genes")))
  matrix
}
found <- SingleR(
  test = read("test"), ref = read("ref"), labels = readLines(file.path(folder, "labels")),
  de.method = commandArgs(TRUE)[2]
)
writeLines(jsonlite::toJSON(list(
  labels = found$labels, pruned = is.na(found$pruned.labels),
  best = apply(found$scores, 1, function(x) x)[cbind(
    match(found$labels, colnames(found$scores)), seq_len(nrow(found)))]
), digits = NA), file.path(folder, "found.json"))
"""


def directly(folder, test, reference, labels, de_method="wilcox"):
    """What SingleR::SingleR() says of the same values: labels, which are pruned, and scores."""
    for name, adata in (("test", test), ("ref", reference)):
        scipy.io.mmwrite(folder / f"{name}.mtx", csc_matrix(adata.X.T).astype("f8"))
        (folder / f"{name}.genes").write_text("\n".join(adata.var_names))
    (folder / "labels").write_text("\n".join(labels))
    (folder / "direct.R").write_text(_DIRECT)
    done = subprocess.run(
        ["Rscript", str(folder / "direct.R"), str(folder), de_method],
        capture_output=True, text=True, check=False, env=rscript.child_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "found.json").read_text())
