test_that("the next line names the user's object and what it can draw", {
  object <- small_object()
  expect_identical(
    next_line(object, "pbmc", "type"), "DimPlot(pbmc, group.by = \"type\", label = TRUE)"
  )
  object@reductions <- list()
  expect_identical(next_line(object, "pbmc", "type"), "table(pbmc$type)")
  expect_identical(object_name(quote(pbmc)), "pbmc")
  expect_identical(object_name(quote(readRDS("x.rds"))), "x")
})

test_that("progress is drawn and never signals, whatever arrives", {
  event <- charToRaw("{\"kind\":\"progress\",\"done\":1,\"total\":3,\"unit\":\"cluster\"}")
  shown <- capture.output(progress_line(event), type = "message")
  expect_match(shown, "Annotating: 1 of 3 clusters", all = FALSE)
  for (odd in list(raw(0), charToRaw("{"), charToRaw("{}"), NULL)) {
    expect_silent(progress_line(odd))
  }
})
