"""Labels on the cells: random tables through the whole verb, with an engine that cannot guess.

The engine answers each cluster with a hash of its name and genes, so a label on a wrong cluster's
cells is always seen. R has its own row, with random objects and the embedded engine.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from tests.attack.chance import Tally, chosen, times

from cellferry import annotate_clusters
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.engines import ENGINES
from cellferry.engines.base import Capabilities, Plan
from cellferry.errors import CellferryError

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("", "0", "1", "2", "10", "01", "1.0", "1e5", "NA", "nan", "None", "T cell", "t cell", " x", "x ",
         "é", "e\u0301", "a,b", 'q"q', "=1+1", "TRUE", "-", "0.1", "µ", "细胞", "a\tb", "x" * 60)  # fmt: skip
GENES = [f"GENE{i}" for i in range(60)]


def label_of(cluster, genes):
    digest = hashlib.sha256("\x1f".join([cluster, *genes]).encode()).hexdigest()[:12]
    return f"type {digest}"


class HashEngine:
    """Answers with what it was asked about, and nothing else."""

    name = "local"

    def __init__(self, **_):
        pass

    @property
    def capabilities(self):
        return Capabilities()

    def describe(self):
        return {}

    def plan(self, study):
        return Plan(self.name, len(study.clusters.names))

    def run(self, study, run, events):
        rows = []
        for name in study.clusters.names:
            genes = study.markers.genes_of(name) if hasattr(study.markers, "genes_of") else None
            if genes is None:
                table = study.markers.to_frame()
                genes = table.loc[table["cluster"].astype(str) == name, "gene"].tolist()
            if genes:
                label = label_of(name, genes)
                rows.append(Annotation(name, "ok", label=label, engine=self.name))
            else:
                rows.append(Annotation(name, "skipped", error="no markers", engine=self.name))
        return Annotations(tuple(rows))


def rows(scale):
    before = ENGINES["local"]
    ENGINES["local"] = {**before, "clusters": f"{__name__}:HashEngine"}
    try:
        yield from python(scale)
    finally:
        ENGINES["local"] = before
    yield in_r(times(60, scale))


def python(scale):
    draw, n = chosen("joins"), times(1500, scale)
    tables = Tally("labels of cells, random tables through annotate_clusters: none wrong")
    losses = Tally("... clusters without a label: each is told")
    refused = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(n):
            names = draw.sample(NAMES, draw.randint(2, 8))
            genes = {name: draw.sample(GENES, draw.randint(3, 8)) for name in names}
            of_cell = [draw.choice(names) for _ in range(draw.randint(len(names), 60))] + names
            column, markers = forms(draw, names, genes, of_cell, Path(folder) / f"m{i}")
            data = anndata.AnnData(np.zeros((len(of_cell), 1), "f4"))
            data.obs_names = [f"c{k}" for k in range(len(of_cell))]
            data.obs["g"] = column.set_axis(data.obs_names)
            try:
                with warnings.catch_warnings(record=True) as told:
                    warnings.simplefilter("always")
                    found = annotate_clusters(
                        data, markers, group_key="g", progress=False, engine="local",
                        species="human", tissue="blood",
                    )  # fmt: skip
            except CellferryError as error:
                refused.append(error)
                tables.add("cell_type" not in data.obs, f"refused, but written: {error}")
                continue
            got = data.obs["cell_type"].astype(object).tolist()
            expected = {name: label_of(name, genes[name]) for name in names}
            unlabelled = {row.cluster for row in found if row.label is None}
            wrong = [
                (cluster, label)
                for cluster, label in zip(of_cell, got, strict=True)
                if label != expected[cluster] and cluster not in unlabelled
            ]
            tables.add(not wrong, wrong[:2])
            if unlabelled:
                losses.add(bool(told), unlabelled)
    sys.stdout.write(f"    {len(refused)} of {n} tables were refused\n")
    yield tables.row
    if losses.tried:
        yield losses.row


def forms(draw, names, genes, of_cell, path):
    """Return the clusters of the cells and the markers, each in one of the ways people have them."""
    column = pd.Series(of_cell)
    if draw.random() < 0.7:
        order = names[:]
        draw.shuffle(order)
        column = column.astype(pd.CategoricalDtype(order))
    how = draw.choice(["dict", "frame", "categorical", "csv", "tsv"])
    if how == "dict":
        return column, genes
    table = pd.DataFrame(
        [(name, gene, 5 - k * 0.1, 1e-9) for name in names for k, gene in enumerate(genes[name])],
        columns=["cluster", "gene", "avg_log2FC", "p_val_adj"],
    )
    if how == "categorical":
        table["cluster"] = table["cluster"].astype("category")
    if how in {"csv", "tsv"}:
        path = path.with_suffix(f".{how}")
        table.to_csv(path, index=False, sep="," if how == "csv" else "\t")
        return column, path
    return column, table


R = r"""
suppressPackageStartupMessages({library(SeuratObject); library(cellferry)})
arguments <- commandArgs(TRUE)
set.seed(as.integer(arguments[[1]]))
lists <- list(
  "B cell" = c("CD79A", "MS4A1", "CD79B", "CD19", "BANK1", "CD22", "TCL1A"),
  "T cell" = c("CD3D", "CD3E", "IL7R", "CD2", "TRAC", "CD3G", "LTB"),
  "Monocyte" = c("LYZ", "S100A8", "S100A9", "CD14", "FCN1", "VCAN", "CST3")
)
names_ <- c("0", "1", "10", "01", "a b", "T,x", "NA1", "\u00e9", "1.0", "-", "q'q", "x")
for (i in seq_len(as.integer(arguments[[2]]))) {
  clusters <- sample(names_, sample(3:6, 1))
  truth <- setNames(sample(rep(names(lists), length.out = length(clusters))), clusters)
  cells <- sample(c(clusters, sample(clusters, 30, replace = TRUE)))
  counts <- matrix(1, 3, length(cells), dimnames = list(c("A", "B", "C"), paste0("c", seq_along(cells))))
  object <- suppressWarnings(CreateSeuratObject(as(counts, "CsparseMatrix")))
  object$g <- factor(cells, levels = sample(clusters))
  markers <- do.call(rbind, lapply(sample(clusters), function(cluster) data.frame(
    cluster = cluster, gene = lists[[truth[[cluster]]]], avg_log2FC = 7:1, p_val_adj = 1e-9
  )))
  said <- tryCatch({
    found <- suppressMessages(AnnotateClusters(object, markers, group.by = "g", tissue = "blood",
      species = "human", verbose = FALSE))
    labels <- as.character(found$cell_type)
    expected <- truth[cells]
    # A kind of what the list is of: "Naive B cell" is a B cell, "CD4 T cell" a T cell.
    fits <- mapply(grepl, sub("Monocyte", "onocyte", expected), labels, fixed = TRUE)
    # What it does not know is no wrong label, but most it must know.
    fits <- fits | labels %in% "Unknown"
    if (all(!is.na(labels) & fits) && mean(labels == "Unknown") < 0.5) "fine" else paste("wrong", labels[!fits][1], expected[!fits][1])
  }, error = function(e) paste("error:", conditionMessage(e)))
  cat("row", said, "\n")
}
"""


def in_r(n):
    tally = Tally("labels of cells in R, random Seurat objects, engine local: none wrong")
    if shutil.which("Rscript") is None:
        tally.add(False, "Rscript was not found")
        return tally.row
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "joins.R")
        script.write_text(R, encoding="utf-8")
        seed = str(chosen("joins in R").randrange(10**6))
        done = subprocess.run(
            ["Rscript", str(script), seed, str(n)],
            capture_output=True, text=True, check=False, timeout=900, cwd=ROOT,
        )  # fmt: skip
    found = [line[4:] for line in done.stdout.splitlines() if line.startswith("row ")]
    for said in found:
        tally.add(said.strip() == "fine", said)
    for _ in range(n - len(found)):
        tally.add(False, done.stderr[-300:])
    return tally.row
