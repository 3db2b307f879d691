embeddings <- function(object, name = "cellferry") {
  SeuratObject::Embeddings(object, reduction = name)
}

atlas_here <- function(url, ...) {
  CellAtlasEngine(
    api_url = paste0(url, "/v1/singlecell/annotate"), values = "normalized", qc = "off", ...
  )
}

test_that("labels are exported with the markers of FindClusterMarkers(), here and by a server", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$pbmc_small())
  object$label <- c("a", "b", "c")[as.integer(SeuratObject::Idents(object))]
  here <- ExportMarkers(object, group.by = "label", verbose = FALSE)
  wanted <- FindClusterMarkers(
    object,
    group.by = "label", only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1, rules = "5.0.1",
    verbose = FALSE
  )
  columns <- c("gene", "p_val", "avg_log2FC", "pct.1", "pct.2", "p_val_adj")
  expect_equal(here[columns], wanted[columns], ignore_attr = "row.names")
  expect_identical(as.character(here$cluster), as.character(wanted$cluster))
  engine <- atlas_here(served())
  there <- suppressWarnings(
    ExportMarkers(object, group.by = "label", engine = engine, verbose = FALSE)
  )
  expect_identical(there$gene, here$gene)
  expect_equal(there$p_val, here$p_val, tolerance = 1e-4)
  embedded <- suppressWarnings(EmbedCells(object, verbose = FALSE))
  other <- suppressWarnings(
    EmbedCells(object, engine = engine, reduction = "there", verbose = FALSE)
  )
  expect_equal(
    embeddings(other, "there"), embeddings(embedded),
    tolerance = 1e-5, ignore_attr = TRUE
  )
})

test_that("an embedding is a reduction of the object, and a foreign one is not replaced", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$pbmc_small())
  before <- SeuratObject::Idents(object)
  found <- suppressWarnings(EmbedCells(object, verbose = FALSE))
  expect_identical(dim(embeddings(found)), c(ncol(object), 50L))
  expect_identical(rownames(embeddings(found)), colnames(object))
  expect_identical(colnames(embeddings(found))[1:2], c("cellferry_1", "cellferry_2"))
  expect_identical(SeuratObject::Idents(found), before)
  expect_true(all(is.finite(embeddings(found))))
  # Our own is replaced.
  again <- suppressWarnings(EmbedCells(found, verbose = FALSE))
  expect_identical(embeddings(again), embeddings(found))
  expect_error(
    EmbedCells(object, reduction = "pca", verbose = FALSE), "did not write",
    class = "cellferry_column_exists_error"
  )
  expect_error(
    EmbedCells(object, reduction = "RNA", verbose = FALSE), "assay",
    class = "cellferry_invalid_key_error"
  )
})

test_that("what may not be sent, and what the hosted service has not published, is an error", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$pbmc_small())
  hosted <- CellAtlasEngine(api_key = "k-1234567", qc = "off")
  expect_error(
    suppressWarnings(EmbedCells(object, engine = hosted, verbose = FALSE)), "allow.upload = TRUE",
    class = "cellferry_upload_not_allowed_error"
  )
  expect_error(
    suppressWarnings(EmbedCells(object, engine = hosted, allow.upload = TRUE, verbose = FALSE)),
    "embedding_path",
    class = "cellferry_invalid_option_error"
  )
  expect_error(
    ExportMarkers(object, engine = "local", n_gens = 3), "n_gens",
    class = "cellferry_unknown_option_error"
  )
})

test_that("a SingleCellExperiment gets a reducedDim", {
  skip_without_backend()
  skip_if_not_installed("SingleCellExperiment")
  object <- suppressMessages(marker_objects$pbmc_small())
  data <- as.matrix(layer_parts(object, "RNA", "data")[[1]]$mat)
  sce <- SingleCellExperiment::SingleCellExperiment(assays = list(logcounts = data))
  SingleCellExperiment::colLabels(sce) <- unname(SeuratObject::Idents(object))
  found <- suppressWarnings(EmbedCells(sce, verbose = FALSE))
  values <- SingleCellExperiment::reducedDim(found, "cellferry")
  seurat <- embeddings(suppressWarnings(EmbedCells(object, verbose = FALSE)))
  expect_equal(unname(values[, 1:50]), unname(seurat[, 1:50]), ignore_attr = TRUE)
  expect_s3_class(ExportMarkers(sce, group.by = "label", verbose = FALSE), "data.frame")
})

test_that("a path is taken in the place of an object", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$pbmc_small())
  folder <- withr::local_tempdir()
  path <- file.path(folder, "x.rds")
  saveRDS(object, path)
  wanted <- suppressWarnings(EmbedCells(object, verbose = FALSE))
  found <- suppressWarnings(EmbedCells(path, verbose = FALSE))
  expect_equal(found, embeddings(wanted))
  expect_identical(
    ExportMarkers(path, group.by = "groups", verbose = FALSE),
    ExportMarkers(object, group.by = "groups", verbose = FALSE)
  )
  output <- file.path(folder, "y.rds")
  values <- suppressWarnings(EmbedCells(path, verbose = FALSE, output = output))
  expect_identical(embeddings(readRDS(output)), embeddings(wanted))
  expect_identical(values, found)
  expect_error(
    EmbedCells(path, output = output), "not replaced",
    class = "cellferry_output_error"
  )
  expect_error(
    EmbedCells(object, output = output), "object of a path",
    class = "cellferry_invalid_option_error"
  )
})
