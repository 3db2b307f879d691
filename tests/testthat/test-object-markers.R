test_that("cells without a cluster take no part in the markers", {
  testthat::skip_if_not_installed("Seurat")
  object <- small_object()
  object$some <- as.character(SeuratObject::Idents(object))
  object$some[1:10] <- NA
  found <- suppressMessages(
    run_find_all_markers(object, extract_groups(object, "some"), "RNA")
  )$markers
  expect_setequal(as.character(found$cluster), c("0", "1", "2"))
  kept <- subset(object, cells = colnames(object)[-(1:10)])
  expect_identical(
    found, suppressMessages(run_find_all_markers(kept, extract_groups(kept, "some"), "RNA"))$markers
  )
})
