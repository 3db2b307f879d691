# Time and peak memory of BuildArtifacts() of a Seurat object; prints one JSON object.
#
#     Rscript seurat.R FOLDER
#
# The object is made of the arrays that arrays.py wrote into FOLDER.
suppressPackageStartupMessages({
  library(methods)
  library(SeuratObject)
})
folder <- commandArgs(TRUE)[1]
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))

read_array <- function(name, what, n) readBin(file.path(folder, name), what, n, size = 4)

read_matrix <- function(name, genes, cells) {
  pointers <- read_array(paste0(name, ".indptr"), "integer", length(cells) + 1)
  n <- pointers[length(pointers)]
  new("dgCMatrix",
    p = pointers, i = read_array(paste0(name, ".indices"), "integer", n),
    x = read_array(paste0(name, ".data"), "numeric", n), Dim = c(length(genes), length(cells)),
    Dimnames = list(genes, cells)
  )
}

read_object <- function() {
  obs <- utils::read.csv(file.path(folder, "obs.csv"), stringsAsFactors = TRUE)
  cells <- as.character(obs$cell)
  genes <- readLines(file.path(folder, "genes.txt"))
  counts <- read_matrix("counts", genes, cells)
  normalized <- read_matrix("normalized", genes, cells)
  assay <- if (packageVersion("SeuratObject") < "5") {
    made <- CreateAssayObject(counts = counts)
    made@data <- normalized
    made
  } else {
    layers <- list(counts = counts, data = normalized)
    getExportedValue("SeuratObject", "CreateAssay5Object")(counts = layers[[1]], data = layers[[2]])
  }
  Key(assay) <- "rna_"
  metadata <- data.frame(obs[setdiff(names(obs), "cell")], row.names = cells)
  object <- CreateSeuratObject(assay, meta.data = metadata)
  umap <- matrix(read_array("umap", "numeric", 2 * length(cells)),
    ncol = 2, dimnames = list(cells, c("UMAP_1", "UMAP_2"))
  )
  object[["umap"]] <- CreateDimReducObject(umap, key = "UMAP_", assay = "RNA")
  object
}

object <- read_object()
measure <- reticulate::import_from_path("measure", path = here, convert = TRUE)
# Imports and compiling are no part of the work.
cellferry::BuildArtifacts(
  SeuratObject::pbmc_small,
  vars_h5_path = file.path(folder, "small.h5"),
  obs_duckdb_path = file.path(folder, "small.duckdb"), verbose = FALSE
)
paths <- file.path(folder, c("seurat.h5", "seurat.duckdb"))
unlink(paths)
invisible(gc())
measure$prepare()
measure$forget_peak()
base <- measure$resident()
time <- system.time(gcFirst = FALSE, built <- cellferry::BuildArtifacts(
  object, "leiden",
  vars_h5_path = paths[1], obs_duckdb_path = paths[2], verbose = FALSE
))
fsync <- built$seconds[["fsync"]]
cat(jsonlite::toJSON(auto_unbox = TRUE, digits = 8, list(
  what = "BuildArtifacts()", seconds = as.list(built$seconds), total = time[["elapsed"]] - fsync,
  processor_seconds = time[["user.self"]] + time[["sys.self"]], fsync = fsync,
  extra_memory = measure$resident("VmHWM") - base, vars_h5_bytes = file.size(paths[1]),
  obs_duckdb_bytes = file.size(paths[2])
)), "\n", sep = "")
