# Blood cells among many genes without meaning: large enough for several blocks.
many_cells <- function(n = 3000L, n_others = 1590L, density = 0.25) {
  known <- c(
    "CD79A", "MS4A1", "CD79B", "CD19", "BANK1", "CD3D", "CD3E", "CD3G", "CD2", "IL32"
  )
  withr::with_seed(4, {
    others <- Matrix::rsparsematrix(
      n_others, n, density,
      rand.x = function(k) 1 + stats::rpois(k, 2)
    )
    b <- seq_len(n) %% 2 == 0
    of <- function(high) ifelse(rep(high, each = 5L), 2 + stats::rpois(5L * n, 5), 0)
    own <- rbind(matrix(of(b), 5L), matrix(of(!b), 5L))
  })
  counts <- methods::as(rbind(methods::as(own, "CsparseMatrix"), others), "CsparseMatrix")
  dimnames(counts) <- list(c(known, paste0("GENE", seq_len(n_others))), paste0("cell", seq_len(n)))
  counts
}

normalised <- function(counts) {
  Seurat::NormalizeData(SeuratObject::CreateSeuratObject(counts), verbose = FALSE)
}

# A matrix on a disk of its own: `hook` is called with the number of each reading.
watched_matrix <- function(mat, hook) {
  where <- globalenv()
  if (!methods::isClass("cellferry_watched")) {
    methods::setClass(
      "cellferry_watched", methods::representation(mat = "ANY", hook = "function"),
      where = where
    )
    methods::setMethod("dim", "cellferry_watched", function(x) dim(x@mat), where = where)
    methods::setMethod("dimnames", "cellferry_watched", function(x) dimnames(x@mat), where = where)
    methods::setMethod(
      getExportedValue("DelayedArray", "extract_array"), "cellferry_watched",
      function(x, index) {
        # Of nothing, to see whether it can be done, is no reading.
        if (all(vapply(index, function(at) is.null(at) || length(at) > 0L, NA))) x@hook()
        rows <- if (is.null(index[[1]])) seq_len(nrow(x@mat)) else index[[1]]
        columns <- if (is.null(index[[2]])) seq_len(ncol(x@mat)) else index[[2]]
        as.matrix(x@mat[rows, columns, drop = FALSE])
      },
      where = where
    )
  }
  readings <- 0L
  count <- function() {
    readings <<- readings + 1L
    hook(readings)
  }
  DelayedArray::DelayedArray(methods::new("cellferry_watched", mat = mat, hook = count))
}

watched_object <- function(counts, hook) {
  SingleCellExperiment::SingleCellExperiment(
    assays = list(counts = watched_matrix(counts, hook)), colData = S4Vectors::DataFrame(
      label = rep(c("a", "b"), length.out = ncol(counts)), row.names = colnames(counts)
    )
  )
}
