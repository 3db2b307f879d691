small_assay <- function(key) {
  counts <- matrix(1:240 + 0, 3, dimnames = list(c("A", "B", "C"), colnames(small_object())))
  assay <- SeuratObject::CreateAssayObject(counts)
  SeuratObject::Key(assay) <- key
  assay
}

test_that("every item of an object is listed once, with what is done with it", {
  object <- small_object()
  object@meta.data$several <- lapply(1:80, function(i) c("a", "b"))
  object$minutes <- as.difftime(1:80, units = "mins")
  object[["ADT"]] <- small_assay("adt_")
  object@misc$mine <- 1
  report <- StudyReport(object)
  expect_identical(names(report), c("item", "kind", "what", "action", "why"))
  expect_false(anyDuplicated(report[c("item", "kind")]) > 0)
  expect_identical(levels(report$action), c("taken", "coerced", "left"))
  action <- function(item, kind) {
    as.character(report$action[report$item == item & report$kind == kind])
  }
  expect_identical(report$item[report$kind == "metadata"], names(object@meta.data))
  expect_identical(
    report$item[report$kind == "gene metadata"], names(object[["RNA"]]@meta.features)
  )
  expect_identical(report$item[report$kind == "layer"], c("counts", "data", "scale.data"))
  expect_identical(report$item[report$kind == "command"], names(object@commands))
  expect_identical(action("data", "layer"), "taken")
  expect_identical(action("scale.data", "layer"), "left")
  expect_identical(action("several", "metadata"), "left")
  expect_identical(action("minutes", "metadata"), "coerced")
  expect_identical(action("groups", "metadata"), "taken")
  expect_identical(action("ADT", "assay"), "left")
  expect_identical(action("tsne", "embedding"), "taken")
  expect_identical(action("pca loadings", "loadings"), "left")
  expect_identical(action("RNA_snn", "graph"), "taken")
  expect_identical(action("mine", "misc"), "left")
  expect_identical(report$why == "", report$action == "taken")
  expect_identical(StudyReport(object, assay = "ADT")$what[1:2], c("80 names", "3 names"))
})

test_that("nothing that the study takes is missing from the report, and the reverse", {
  skip_without_backend()
  object <- small_object()
  object@meta.data$several <- lapply(1:80, function(i) c("a", "b"))
  report <- StudyReport(object)
  value <- arrived(object)
  taken <- function(kind) report$item[report$kind == kind & report$action != "left"]
  expect_identical(taken("metadata"), names(value$obs))
  expect_identical(taken("gene metadata"), names(value$var))
  expect_identical(taken("embedding"), names(value$embeddings))
  expect_identical(taken("graph"), value$graph$name)
})

test_that("a split assay is listed layer by layer", {
  skip_without_seurat5()
  report <- StudyReport(split_object())
  layers <- report[report$kind == "layer", ]
  expect_setequal(layers$item, paste0(rep(c("counts.", "data."), each = 3), 1:3))
  expect_true(all(layers$action == "taken"))
})

test_that("cells that the assay does not have are reported", {
  object <- small_object()
  assay <- object@assays$RNA
  object@assays$RNA <- subset(assay, cells = colnames(object)[-(1:3)])
  report <- StudyReport(object)
  expect_identical(
    report$why[report$item == "data"], "3 cells are not in it and have no values."
  )
})

test_that("a SingleCellExperiment is listed too", {
  testthat::skip_if_not_installed("SingleCellExperiment")
  object <- small_sce()
  S4Vectors::metadata(object)$mine <- 1
  SummarizedExperiment::assay(object, "spliced") <- SummarizedExperiment::assay(object, "counts")
  report <- StudyReport(object)
  expect_identical(report$item[report$kind == "layer"], c("counts", "logcounts", "spliced"))
  expect_identical(report$item[report$action == "left"], c("spliced", "mine"))
  expect_error(StudyReport(1), class = "cellferry_unsupported_object_error")
})

test_that("what no function reads is listed by kind", {
  object <- small_object()
  SeuratObject::Misc(object, "mine") <- 1
  others <- extract_others(object)
  expect_identical(others$misc, "mine")
  expect_true("FindClusters" %in% others$command)
  expect_identical(others$assay, character())
  expect_identical(
    others[["part of a reduction"]], c("pca: jackstraw", "pca: projected loadings")
  )
  sce <- small_sce()
  sce <- set_experiment_metadata(sce, list(cellferry = list(), other = 1))
  expect_identical(extract_others(sce)$metadata, "other")
})

test_that("a slot that an older Seurat did not have is empty", {
  old <- small_object()
  attr(old, "images") <- NULL
  expect_null(extract_others(old)$image)
  expect_false("image" %in% StudyReport(old)$kind)
})
