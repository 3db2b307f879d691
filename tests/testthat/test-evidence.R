test_that("supporting markers are a list for DotPlot(), no gene twice", {
  object <- labelled_object()
  expect_identical(
    SupportingMarkers(object),
    list("type 0" = c("CD3E", "G0"), "type 1" = "G1", "type 2" = "G2")
  )
  expect_identical(SupportingMarkers(object, n = 1)[["type 0"]], "CD3E")
  expect_identical(SupportingMarkers(Annotations(object)), SupportingMarkers(object))
  expect_error(SupportingMarkers(object, n = 0), class = "cellferry_invalid_option_error")
})

test_that("clusters without a label have no supporting markers", {
  json <- gsub("\"ok\"", "\"unknown\"", as.character(small_json()))
  expect_identical(SupportingMarkers(labelled_object(json = json)), list())
})

test_that("Markers() are those stored with the annotations", {
  found <- Markers(labelled_object())
  expect_identical(found$gene, c("CD3E", "LYZ"))
  expect_identical(found$avg_log2FC, c(1.5, NA))
  expect_identical(levels(found$cluster), c("0", "1", "2"))
})

test_that("the report is one file", {
  skip_without_backend()
  local_home()
  file <- withr::local_tempfile(fileext = ".html")
  object <- suppressMessages(AnnotateClusters(small_object(), small_markers()))
  expect_identical(
    normalizePath(AnnotationReport(object, file)), normalizePath(file)
  )
  text <- paste(readLines(file, encoding = "UTF-8", warn = FALSE), collapse = "\n")
  for (label in Annotations(object)$label) {
    expect_match(text, label, fixed = TRUE)
  }
  expect_false(grepl("src=\"http", text, fixed = TRUE))
  AnnotationReport(Annotations(object), file)
  expect_true(file.exists(file))
})
