test_that("a SummarizedExperiment is labelled as the SingleCellExperiment of the same cells", {
  skip_without_backend()
  skip_if_not_installed("SingleCellExperiment")
  single <- small_sce()
  plain <- SummarizedExperiment::SummarizedExperiment(
    as.list(SummarizedExperiment::assays(single)),
    colData = SummarizedExperiment::colData(single)
  )
  expect_false(methods::is(plain, "SingleCellExperiment"))
  markers <- small_markers()
  labelled <- AnnotateClusters(plain, markers, tissue = "blood", verbose = FALSE)
  expected <- AnnotateClusters(single, markers, tissue = "blood", verbose = FALSE)
  expect_s4_class(labelled, "SummarizedExperiment")
  expect_false(methods::is(labelled, "SingleCellExperiment"))
  columns <- grep("^cell_type", names(SummarizedExperiment::colData(expected)), value = TRUE)
  expect_identical(
    as.data.frame(SummarizedExperiment::colData(labelled))[columns],
    as.data.frame(SummarizedExperiment::colData(expected))[columns]
  )
  expect_identical(Annotations(labelled)$label, Annotations(expected)$label)
  expect_identical(SupportingMarkers(labelled), SupportingMarkers(expected))
  expect_s3_class(StudyReport(labelled), "data.frame")
  found <- FindClusterMarkers(plain, verbose = FALSE)
  expect_identical(found, FindClusterMarkers(single, verbose = FALSE))
  cells <- AnnotateCells(plain, tissue = "blood", verbose = FALSE)
  expect_identical(
    cells$cell_type_cell, AnnotateCells(single, tissue = "blood", verbose = FALSE)$cell_type_cell
  )
})

test_that("each object of a named list is annotated, in its place", {
  skip_without_backend()
  object <- small_object()
  half <- subset(object, cells = colnames(object)[SeuratObject::Idents(object) != "2"])
  objects <- list(half = half, whole = object)
  markers <- list(whole = small_markers(), half = small_markers())
  markers$half <- markers$half[markers$half$cluster != "2", ]
  found <- AnnotateClusters(objects, markers, tissue = "blood", verbose = FALSE)
  expect_named(found, c("half", "whole"))
  for (name in names(objects)) {
    alone <- AnnotateClusters(objects[[name]], markers[[name]], tissue = "blood", verbose = FALSE)
    expect_identical(found[[name]]$cell_type, alone$cell_type)
  }
  cells <- AnnotateCells(objects, tissue = "blood", verbose = FALSE)
  expect_identical(vapply(cells, ncol, 0L), vapply(objects, ncol, 0L))
  expect_true(all(vapply(cells, function(x) "cell_type_cell" %in% names(x[[]]), NA)))
})

test_that("the object of a list that fails is named, and lists that mean nothing are refused", {
  object <- small_object()
  expect_messages(
    AnnotateClusters(list(good = object, bad = object), group.by = "no.such", verbose = FALSE),
    "each-fails"
  )
  expect_messages(AnnotateClusters(list(object, object)), "each-names")
  expect_messages(AnnotateClusters(list(a = object), small_markers()), "each-markers")
  # Lists of genes and tables are marker tables as before.
  expect_false(is_list_of_objects(list("0" = c("CD3D", "CD3E"))))
  expect_false(is_list_of_objects(list()))
})
