test_that("labels follow the cluster's text through any order of cells and of answers", {
  object <- small_object()
  set.seed(1)
  for (i in 1:5) {
    shuffled <- object[, sample(ncol(object))]
    groups <- extract_groups(shuffled, "RNA_snn_res.1")
    delivery <- own_delivery(sample(groups$names))
    labelled <- attach_annotations(shuffled, delivery, groups, "cell_type", "{}")
    expect_identical(
      as.character(labelled$cell_type), paste("is", shuffled$RNA_snn_res.1),
      ignore_attr = TRUE
    )
    expect_identical(names(labelled$cell_type), colnames(shuffled))
  }
})

test_that("nothing but the columns and the record changes", {
  object <- small_object()
  groups <- extract_groups(object)
  labelled <- attach_annotations(object, own_delivery(groups$names), groups, "cell_type", "{}")
  expect_identical(SeuratObject::Idents(labelled), SeuratObject::Idents(object))
  expect_identical(labelled@misc$cellferry, list(cell_type = "{}"))
  labelled@misc <- object@misc
  labelled@meta.data[c("cell_type", "cell_type_confidence")] <- NULL
  expect_identical(labelled, object)
})

test_that("columns are factors with their levels, and cells without an answer are NA", {
  object <- small_object()
  groups <- extract_groups(object)
  delivery <- own_delivery(c("0", "2"))
  labelled <- attach_annotations(object, delivery, groups, "cell_type", "{}")
  expect_identical(levels(labelled$cell_type), c("is 0", "is 2"))
  expect_identical(
    unname(is.na(labelled$cell_type)), unname(SeuratObject::Idents(object) == "1")
  )
  expect_identical(
    unname(is.na(labelled$cell_type_confidence)), unname(is.na(labelled$cell_type))
  )
})

test_that("replaced columns go, without a warning, and other keys stay", {
  object <- labelled_object("first")
  groups <- extract_groups(object)
  delivery <- own_delivery(groups$names)
  expect_silent(
    labelled <- attach_annotations(object, delivery, groups, "second", "{}", "first_status")
  )
  expect_false("first_status" %in% names(labelled@meta.data))
  expect_named(labelled@misc$cellferry, c("first", "second"))
  expect_silent(
    attach_annotations(labelled, delivery, groups, "second", "{\"a\":1}", names(delivery))
  )
})

test_that("a SingleCellExperiment gets the same columns and record", {
  testthat::skip_if_not_installed("SingleCellExperiment")
  object <- small_sce()
  groups <- extract_groups(object)
  expect_identical(groups$names, c("0", "1", "2"))
  labelled <- attach_annotations(object, own_delivery(groups$names), groups, "cell_type", "{}")
  expect_identical(as.character(labelled$cell_type), paste("is", object$label))
  expect_identical(S4Vectors::metadata(labelled)$cellferry, list(cell_type = "{}"))
  expect_identical(
    SummarizedExperiment::assay(labelled, "logcounts"),
    SummarizedExperiment::assay(object, "logcounts")
  )
})
