test_that("metadata of every type goes to pandas and comes back identical, bit by bit", {
  skip_without_backend()
  object <- small_object()
  for (seed in 1:3) {
    frame <- every_type(seed, ncol(object))
    rownames(frame) <- colnames(object)
    object@meta.data <- cbind(small_object()@meta.data, frame)
    back <- arrived(object, parts = "obs")
    expect_same_bits(as.list(back$obs), as.list(object@meta.data), info = seed)
    expect_identical(rownames(back$obs), colnames(object))
    actions <- vapply(back$obs_items, function(item) item$action, "")
    expect_identical(unique(actions), "taken")
  }
})

test_that("the whole object arrives: expression, frames, embeddings and graph", {
  skip_without_backend()
  object <- small_object()
  value <- arrived(object)
  data <- as.matrix(object[["RNA"]]@data)
  expect_identical(unlist(value$normalized$n), c(80L, 230L))
  expect_equal(value$normalized$sums$cells, unname(colSums(data)))
  expect_equal(value$normalized$sums$genes, unname(rowSums(data)))
  expect_identical(value$normalized$sums$nnz, as.numeric(sum(data != 0)))
  counts <- as.matrix(object[["RNA"]]@counts)
  expect_identical(value$counts$sums$cells, unname(colSums(counts)))
  expect_identical(value$counts$sums$genes, unname(rowSums(counts)))
  expect_same_bits(as.list(value$var), as.list(object[["RNA"]]@meta.features))
  pca <- SeuratObject::Embeddings(object, "pca")
  expect_identical(value$embeddings$pca, as.vector(pca))
  expect_identical(value$graph$name, "RNA_snn")
  expect_equal(value$graph$sums$rows, unname(Matrix::rowSums(object@graphs$RNA_snn)))
  expect_equal(value$graph$sums$columns, unname(Matrix::colSums(object@graphs$RNA_snn)))
})

test_that("a directed graph keeps its direction", {
  skip_without_backend()
  object <- small_object()
  graph <- object@graphs$RNA_snn
  graph@x[seq_len(graph@p[2])] <- 9
  object@graphs <- list(RNA_nn = graph)
  sums <- arrived(object, parts = "graph")$graph$sums
  expect_equal(sums$rows, unname(Matrix::rowSums(graph)))
  expect_gt(max(abs(sums$rows - sums$columns)), 1)
})

test_that("ragged split layers arrive as the dense truth", {
  skip_without_backend()
  skip_without_seurat5()
  ragged <- ragged_parts()
  object <- split_object(ragged)
  object$group <- rep(c("a", "b"), 20)
  value <- arrived(object, group.by = "group")
  for (part in c("normalized", "counts")) {
    expect_identical(value[[part]]$sums$cells, rowSums(ragged$truth))
    expect_identical(value[[part]]$sums$genes, colSums(ragged$truth))
  }
})

test_that("only the wanted parts are sent", {
  skip_without_backend()
  value <- arrived(small_object(), parts = "counts")
  expect_null(value$obs)
  expect_null(value$graph)
  expect_null(value$normalized$n)
  expect_identical(unlist(value$counts$n), c(80L, 230L))
})

test_that("expression that an engine can't do without is asked for with the recipe", {
  object <- small_object()
  expect_silent(require_parts(object, "RNA", c("normalized", "counts")))
  expect_refusal <- function(object, needed, code, name, assay = "RNA") {
    expect_error(
      require_parts(object, assay, needed), class = paste0("cellferry_", code, "_error")
    )
    expect_messages(require_parts(object, assay, needed), name)
  }
  raw <- object
  raw@assays$RNA@data <- raw@assays$RNA@counts
  expect_refusal(raw, "normalized", "not_normalized", "layer-raw")
  scaled <- object
  scaled@assays$RNA@data <- scaled@assays$RNA@scale.data
  expect_refusal(scaled, "normalized", "not_normalized", "layer-scaled")
  bare <- object
  bare@assays$RNA@data <- methods::new("dgCMatrix")
  expect_refusal(bare, "normalized", "layer_missing", "layer-no-data")
  bare@assays$RNA@counts <- methods::new("dgCMatrix")
  expect_refusal(bare, "counts", "layer_missing", "layer-no-counts")
  testthat::skip_if_not_installed("SingleCellExperiment")
  experiment <- small_sce()
  SummarizedExperiment::assayNames(experiment) <- c("spliced", "unspliced")
  expect_refusal(experiment, "normalized", "layer_missing", "layer-other", assay = NULL)
})

test_that("columns that are no vectors of cells are left alone", {
  x <- SeuratObject::pbmc_small
  frame <- x[[]]
  frame$percent.mt <- I(matrix(1, nrow(frame), 2))
  frame$DF.classifications_0.25 <- "Singlet"
  expect_setequal(
    names(quality_of(frame)),
    c("orig.ident", "nCount_RNA", "nFeature_RNA", "DF.classifications_0.25")
  )
})
