test_that("blocks of ragged, shuffled layers are the dense truth, whatever their size", {
  ragged <- ragged_parts()
  for (most in c(1, 7, 50, 1e6)) {
    blocks <- layer_blocks(ragged$parts, ragged$cells, ragged$genes, most)
    expect_identical(dense_blocks(blocks), ragged$truth)
  }
  expect_identical(blocks$n, 1L)
})

test_that("some genes in any order, cells and genes that no layer has", {
  ragged <- ragged_parts()
  genes <- c("gene9", "nowhere", "gene30", "gene2")
  cells <- c("cell7", "nobody", "cell1", "cell40")
  truth <- ragged$truth
  dimnames(truth) <- list(ragged$cells, ragged$genes)
  wanted <- matrix(0, 4, 4, dimnames = list(cells, genes))
  wanted[-2, -2] <- truth[cells[-2], genes[-2]]
  for (most in c(1, 1e6)) {
    blocks <- layer_blocks(ragged$parts, cells, genes, most)
    expect_identical(dense_blocks(blocks), unname(wanted))
  }
})

test_that("any layers of any object give the dense truth", {
  for (seed in 1:20) {
    withr::local_seed(seed)
    mat <- random_counts(sample(20:40, 1), sample(2:50, 1), seed, stats::runif(1))
    ragged <- ragged_parts(mat, sample(1:5, 1), seed)
    blocks <- layer_blocks(ragged$parts, ragged$cells, ragged$genes, sample(c(3, 30, 300), 1))
    expect_identical(dense_blocks(blocks), ragged$truth, info = seed)
    order <- sample(ncol(mat))
    blocks <- layer_blocks(ragged$parts, ragged$cells[order], ragged$genes, 40)
    expect_identical(dense_blocks(blocks), ragged$truth[order, , drop = FALSE], info = seed)
  }
})

test_that("blocks are bounded, and their pointers may pass 2^31", {
  expect_identical(block_starts(c(0, 3, 6, 9), 6), c(0L, 2L))
  expect_identical(block_starts(c(0, 9, 18), 1), c(0L, 1L))
  expect_identical(block_starts(0, 5), 0L)
  huge <- c(0, 2^31, 2^32, 2^32 + 5)
  expect_identical(block_starts(huge, 10), c(0L, 1L, 2L))
  mat <- random_counts(50, 60)
  blocks <- layer_blocks(
    list(list(mat = mat, genes = rownames(mat), cells = colnames(mat))), colnames(mat),
    most = 100
  )
  values <- vapply(seq_len(blocks$n), function(k) length(blocks$read(k)$data), 0L)
  expect_lte(max(values), 100)
})

test_that("layers that together pass 2^31 values are read block by block", {
  # One matrix of 2^22 values, held once, as 513 layers of cells of their own.
  genes <- paste0("g", seq_len(2^16))
  mat <- methods::new("dgCMatrix",
    i = rep(seq_along(genes) - 1L, 64), p = as.integer(seq(0, 2^22, by = 2^16)),
    x = rep(seq_len(64), each = 2^16) + 0, Dim = c(65536L, 64L)
  )
  parts <- lapply(seq_len(513), function(k) {
    list(mat = mat, genes = genes, cells = paste0("c", seq_len(64) + 64 * (k - 1)), layer = k)
  })
  cells <- unlist(lapply(parts, function(part) part$cells))
  blocks <- layer_blocks(parts, cells)
  sizes <- diff(parts[[1]]$mat@p)
  expect_gt(length(parts) * as.numeric(sum(sizes)), 2^31)
  last <- blocks$read(blocks$n)
  expect_identical(last$row_start + last$n_rows, length(cells))
  expect_identical(last$data[length(last$data)], 64)
  expect_identical(last$indptr[length(last$indptr)], length(last$data))
  middle <- blocks$read(blocks$n %/% 2)
  first <- (middle$row_start %% 64) + 1
  expect_identical(middle$data[1], as.numeric(first))
})

test_that("the layers of an assay are found by their exact names", {
  expect_identical(layer_names(c("counts", "data", "scale.data"), "data"), "data")
  expect_identical(
    layer_names(c("counts.1", "data.b", "scale.data", "data.a", "mydata", "datax"), "data"),
    c("data.b", "data.a")
  )
  expect_identical(layer_names(c("data.1", "data"), "data"), "data")
})

test_that("slots of an assay are read as they are", {
  object <- small_object()
  parts <- layer_parts(object, layer = "counts")
  expect_length(parts, 1)
  expect_identical(parts[[1]]$mat, object[["RNA"]]@counts)
  expect_identical(parts[[1]]$genes, rownames(object))
  scaled <- layer_parts(object, "RNA", "scale.data")
  expect_identical(dim(scaled[[1]]$mat), c(20L, 80L))
  expect_identical(value_kind(scaled), "scaled")
  expect_identical(extract_genes(object), rownames(object))
  object@assays$RNA@data <- methods::new("dgCMatrix")
  expect_identical(layer_parts(object), list())
  expect_null(extract_genes(object))
})

test_that("an SCT assay is read like any other", {
  testthat::skip_if_not_installed("Seurat")
  object <- small_object()
  sct <- methods::as(object[["RNA"]], "SCTAssay")
  SeuratObject::Key(sct) <- "sct_"
  object[["SCT"]] <- sct
  SeuratObject::DefaultAssay(object) <- "SCT"
  blocks <- layer_blocks(layer_parts(object), extract_cells(object))
  expect_identical(
    dense_blocks(blocks), unname(t(as.matrix(object@assays$RNA@data)))
  )
})

test_that("a joined and a split assay of Seurat 5 are read from their storage", {
  skip_without_seurat5()
  ragged <- ragged_parts()
  object <- split_object(ragged)
  expect_length(layer_parts(object), 3)
  for (layer in c("counts", "data")) {
    blocks <- layer_blocks(
      layer_parts(object, "RNA", layer), extract_cells(object), extract_genes(object), 50
    )
    expect_identical(blocks$genes, ragged$genes)
    expect_identical(dense_blocks(blocks), ragged$truth)
  }
  joined <- object
  joined[["RNA"]] <- getExportedValue("SeuratObject", "JoinLayers")(object[["RNA"]])
  parts <- layer_parts(joined)
  expect_length(parts, 1)
  expect_identical(
    dense_blocks(layer_blocks(parts, extract_cells(object), ragged$genes)), ragged$truth
  )
  shuffled <- object[, rev(colnames(object))]
  expect_identical(
    dense_blocks(layer_blocks(layer_parts(shuffled), ragged$cells, ragged$genes)), ragged$truth
  )
})

test_that("the storage of Seurat 5 is understood without Seurat 5", {
  ragged <- ragged_parts()
  stored <- layered_storage(ragged)
  expect_true(is_layered(stored))
  parts <- layered_parts(stored, "data")
  expect_identical(
    dense_blocks(layer_blocks(parts, ragged$cells, ragged$genes, 50)), ragged$truth
  )
  expect_identical(layered_parts(stored, "scale.data"), list())
  stored@cells[] <- TRUE
  expect_error(layered_parts(stored, "data"), class = "cellferry_invalid_object_error")
  expect_messages(layered_parts(stored, "data"), "layers-overlap")
})

test_that("a damaged matrix is refused before it is read", {
  whole <- random_counts()
  part <- function(mat) {
    list(mat = mat, genes = rownames(whole), cells = colnames(whole), layer = "counts")
  }
  expect_identical(check_part(part(whole)), part(whole))
  expect_error(check_part(part(whole[-1, ])), class = "cellferry_invalid_object_error")
  expect_messages(check_part(part(whole[-1, ])), "matrix-shape")
  unsorted <- whole
  first <- seq_len(unsorted@p[2])
  unsorted@i[first] <- rev(unsorted@i[first])
  outside <- whole
  outside@i[length(outside@i)] <- 5000L
  short <- whole
  short@x <- short@x[-1]
  for (mat in list(unsorted, outside, short)) {
    expect_error(check_part(part(mat)), class = "cellferry_invalid_object_error")
  }
  object <- small_object()
  object@assays$RNA@data@i[1] <- 99999L
  expect_messages(layer_parts(object), "matrix-damaged", c("is damaged: .*" = "is damaged: #"))
})

test_that("an object without normalised values has no genes to send", {
  testthat::skip_if_not_installed("SingleCellExperiment")
  object <- small_sce()
  expect_identical(extract_genes(object), rownames(object))
  expect_identical(layer_parts(object, layer = "counts")[[1]]$layer, "counts")
  SummarizedExperiment::assay(object, "logcounts") <- NULL
  expect_identical(normalized_parts(object), list())
  expect_null(extract_genes(object))
})

test_that("layers are named without the suffix of a split", {
  expect_setequal(extract_layer_names(small_object(), "RNA"), c("counts", "data", "scale.data"))
  expect_identical(extract_layer_names(small_sce()), c("counts", "logcounts"))
  skip_without_seurat5()
  expect_setequal(extract_layer_names(split_object(), "RNA"), c("counts", "data"))
})

test_that("genes and variable features are in the order of the assay", {
  object <- small_object()
  expect_identical(extract_all_genes(object), rownames(object))
  expect_identical(extract_variable_features(object), SeuratObject::VariableFeatures(object))
  expect_identical(extract_variable_features(small_sce()), character())
  expect_identical(extract_all_genes(small_sce()), rownames(object))
})
