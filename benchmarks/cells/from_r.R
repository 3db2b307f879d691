# AnnotateCells() of a Seurat object: the most memory beside the size of the object itself.
#   Rscript benchmarks/cells/from_r.R CELLS GENES_FILE [ADDRESS OF A CELL ATLAS ENDPOINT]
arguments <- commandArgs(TRUE)
n <- as.integer(arguments[1])
genes <- readLines(arguments[2])
values <- 1500L
suppressMessages({
  library(cellferry)
  library(Matrix)
})

# Resident megabytes of this process, R and Python together: "VmRSS" now, "VmHWM" at most.
megabytes <- function(field) {
  line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(strsplit(line, "\\s+")[[1]][2]) / 1024
}
forget_peak <- function() cat("5", file = "/proc/self/clear_refs")

# Each cell has the genes of the same base, shifted, so that its column is quickly sorted.
synthetic <- function(n) {
  base <- sort(sample.int(length(genes), values))
  i <- integer(n * values)
  for (k in seq_len(n)) {
    shifted <- (base + sample.int(length(genes), 1L)) %% length(genes)
    i[seq.int((k - 1) * values + 1, length.out = values)] <- sort.int(shifted, method = "radix")
  }
  counts <- methods::new("dgCMatrix",
    i = i, p = as.integer(seq(0, n * values, by = values)),
    x = as.double(1 + stats::rgeom(n * values, 0.6)), Dim = c(length(genes), n),
    Dimnames = list(genes, paste0("cell", seq_len(n)))
  )
  assay <- SeuratObject::CreateAssayObject(counts = counts)
  counts@x <- log1p(counts@x)
  assay <- SeuratObject::SetAssayData(assay, "data", counts)
  SeuratObject::CreateSeuratObject(assay)
}

set.seed(1)
engine <- if (length(arguments) > 2) CellAtlasEngine(api_url = arguments[3]) else LocalEngine()
annotated <- function(x) {
  suppressWarnings(AnnotateCells(x, engine = engine, species = "human", verbose = FALSE))
}
x <- synthetic(n)
# Python, its packages and the knowledge are loaded before anything is measured.
invisible(annotated(x[, 1:100]))
invisible(gc())
before <- megabytes("VmRSS")
forget_peak()
begun <- proc.time()[["elapsed"]]
x <- annotated(x)
seconds <- proc.time()[["elapsed"]] - begun
cat(sprintf(
  "from R, %s: %s cells, a Seurat object of %.0f MB (%s values in each of counts and data): %s\n",
  engine$name, format(n, big.mark = ","), as.numeric(utils::object.size(x)) / 1024^2,
  format(n * values, big.mark = ","),
  sprintf("at most %.0f MB above it, %.1f s", megabytes("VmHWM") - before, seconds)
))
