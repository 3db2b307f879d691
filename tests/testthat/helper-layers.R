# A sparse matrix of genes x cells with names, the same for the same seed.
random_counts <- function(n_genes = 30, n_cells = 40, seed = 1, density = 0.2) {
  withr::with_seed(seed, {
    mat <- Matrix::rsparsematrix(
      n_genes, n_cells, density,
      rand.x = function(n) sample.int(1000, n, replace = TRUE)
    )
  })
  dimnames(mat) <- list(paste0("gene", seq_len(n_genes)), paste0("cell", seq_len(n_cells)))
  mat
}

# Ragged layers of one matrix: cells and genes in an order of their own, some genes missing. The
# truth, cells x genes, has zeros where a layer has no such gene.
ragged_parts <- function(mat = random_counts(), n = 3, seed = 2) {
  withr::with_seed(seed, {
    cells <- split(sample(colnames(mat)), factor(rep_len(seq_len(n), ncol(mat)), seq_len(n)))
    genes <- lapply(seq_len(n), function(k) sample(rownames(mat), nrow(mat) - 2 * k))
  })
  truth <- as.matrix(mat)
  parts <- lapply(seq_len(n), function(k) {
    truth[setdiff(rownames(mat), genes[[k]]), cells[[k]]] <<- 0
    part <- mat[genes[[k]], cells[[k]], drop = FALSE]
    dimnames(part) <- list(NULL, NULL)
    list(mat = part, genes = genes[[k]], cells = cells[[k]], layer = paste0("data.", k))
  })
  list(parts = parts, truth = unname(t(truth)), genes = rownames(mat), cells = colnames(mat))
}

# All blocks as one dense matrix of cells x genes.
dense_blocks <- function(blocks) {
  made <- lapply(seq_len(blocks$n), function(k) {
    block <- blocks$read(k)
    rows <- matrix(0, block$n_rows, length(blocks$genes))
    row <- rep(seq_len(block$n_rows), diff(block$indptr))
    increasing <- diff(row * (length(blocks$genes) + 1) + block$indices) > 0
    testthat::expect_true(all(increasing))
    rows[cbind(row, block$indices + 1L)] <- block$data
    rows
  })
  do.call(rbind, made)
}

# The storage of an Assay5 as its documentation describes it, for sessions without SeuratObject 5.
layered_storage <- function(ragged) {
  map <- function(all, some) {
    made <- vapply(some, function(names) all %in% names, logical(length(all)))
    dimnames(made) <- list(all, names(some))
    made
  }
  names(ragged$parts) <- vapply(ragged$parts, function(part) part$layer, "")
  if (!methods::isClass("cellferry_layers")) {
    methods::setClass(
      "cellferry_layers",
      methods::representation(layers = "list", cells = "matrix", features = "matrix"),
      where = globalenv()
    )
  }
  methods::new(
    "cellferry_layers",
    layers = lapply(ragged$parts, function(part) {
      mat <- part$mat[order(match(part$genes, ragged$genes)), , drop = FALSE]
      mat[, order(match(part$cells, ragged$cells)), drop = FALSE]
    }),
    cells = map(ragged$cells, lapply(ragged$parts, function(part) part$cells)),
    features = map(ragged$genes, lapply(ragged$parts, function(part) part$genes))
  )
}

skip_without_seurat5 <- function() {
  generation <- utils::packageVersion("SeuratObject")
  testthat::skip_if(generation < "5.0.0", "SeuratObject 5 is not installed")
}

# A Seurat 5 object whose assay is split into ragged layers, cells in another order than any.
split_object <- function(ragged = ragged_parts()) {
  of_seurat5 <- function(name) getExportedValue("SeuratObject", name)
  # All names come in with a layer that has them all, and that is taken out again.
  whole <- random_counts(length(ragged$genes), length(ragged$cells))
  dimnames(whole) <- list(ragged$genes, ragged$cells)
  assay <- of_seurat5("CreateAssay5Object")(whole)
  for (k in seq_along(ragged$parts)) {
    part <- ragged$parts[[k]]
    dimnames(part$mat) <- list(part$genes, part$cells)
    for (layer in c("counts", "data")) {
      assay <- of_seurat5("LayerData<-")(assay, paste0(layer, ".", k), value = part$mat)
    }
  }
  assay <- of_seurat5("DefaultLayer<-")(assay, value = "counts.1")
  assay <- of_seurat5("LayerData<-")(assay, "counts", value = NULL)
  SeuratObject::CreateSeuratObject(assay)
}
