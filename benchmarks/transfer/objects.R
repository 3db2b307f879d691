# The objects of the benchmark; sourced by measure.R and, through rpy2, by measure_rpy2.py.
suppressPackageStartupMessages({
  library(methods)
  library(Matrix)
  library(SeuratObject)
})

# Cells with 2000 of 30000 genes each; log-normalized values.
make_matrix <- function(values, genes = 30000L, per_cell = 2000L) {
  set.seed(1)
  n <- values %/% per_cell
  pattern <- replicate(50, sort(sample.int(genes, per_cell) - 1L), simplify = FALSE)
  i <- rep_len(unlist(pattern), n * per_cell)
  new("dgCMatrix",
    i = i, p = as.integer(seq(0, by = per_cell, length.out = n + 1)),
    x = rep_len(log1p(rexp(per_cell * 50)), n * per_cell), Dim = c(genes, as.integer(n)),
    Dimnames = list(paste0("gene", seq_len(genes)), paste0("cell", seq_len(n)))
  )
}

# A Seurat 5 assay where there is one; `layers` of them, for a split one.
make_object <- function(mat, layers = 1L) {
  if (packageVersion("SeuratObject") < "5") {
    assay <- CreateAssayObject(data = mat)
    Key(assay) <- "rna_"
  } else {
    ends <- round(seq(0, ncol(mat), length.out = layers + 1))
    parts <- lapply(seq_len(layers), function(k) mat[, (ends[k] + 1):ends[k + 1]])
    names(parts) <- if (layers == 1L) "data" else paste0("data.", seq_len(layers))
    assay <- getExportedValue("SeuratObject", "CreateAssay5Object")(data = parts)
  }
  object <- CreateSeuratObject(assay)
  object$group <- rep_len(c("a", "b", "c"), ncol(mat))
  object
}

# What anndata2ri converts.
make_experiment <- function(mat) {
  SingleCellExperiment::SingleCellExperiment(list(logcounts = mat))
}
