test_that("a run is listed and brings its labels back", {
  skip_without_backend()
  local_home()
  expect_identical(nrow(ListRuns()), 0L)
  expect_messages(ResumeAnnotation(), "no-run")
  object <- small_object()
  labelled <- suppressMessages(AnnotateClusters(object, small_markers(), key = "type"))
  runs <- ListRuns()
  expect_identical(runs$status, "finished")
  expect_identical(runs$key, "type")
  again <- ResumeAnnotation(object, runs$run, verbose = FALSE)
  expect_identical(again@meta.data, labelled@meta.data)
  expect_identical(Annotations(again), Annotations(labelled))
  table <- suppressMessages(ResumeAnnotation())
  expect_identical(table$label, Annotations(labelled)$label)
})

test_that("another object is refused", {
  skip_without_backend()
  local_home()
  suppressMessages(AnnotateClusters(small_object(), small_markers()))
  other <- small_object()[, -1]
  run <- ListRuns()$run
  expect_messages(ResumeAnnotation(other, run), "run-mismatch", c("run \"[^\"]*\"" = "run \"ID\""))
  expect_messages(ResumeAnnotation(other, "no-such-run"), "run-not-found")
  expect_messages(ResumeAnnotation(1, run), "resume-unsupported")
})

# As an interrupt leaves the newest run, before its first answer.
interrupt_run <- function() {
  folder <- ListRuns()$folder[1]
  file <- file.path(folder, "run.json")
  content <- sub("\"finished\"", "\"interrupted\"", readLines(file, warn = FALSE), fixed = TRUE)
  writeLines(content, file)
  writeLines(character(), file.path(folder, "journal.jsonl"))
}

test_that("a run that was stopped goes on with its object, for clusters and for cells", {
  skip_without_backend()
  local_home()
  object <- known_cells()
  object$two <- rep(c("a", "b"), length.out = ncol(object))
  markers <- list(a = c("CD79A", "MS4A1", "CD79B"), b = c("CD3D", "CD3E", "CD2"))
  labelled <- AnnotateClusters(object, markers, group.by = "two", key = "type", verbose = FALSE)
  interrupt_run()
  expect_identical(ListRuns()$status, "interrupted")
  again <- ResumeAnnotation(object, verbose = FALSE)
  expect_identical(again@meta.data, labelled@meta.data)
  expect_identical(Annotations(again)$supporting, Annotations(labelled)$supporting)
  expect_identical(ListRuns()$status, "finished")
  labelled <- AnnotateCells(object, group.by = "two", verbose = FALSE)
  interrupt_run()
  again <- ResumeAnnotation(object, verbose = FALSE)
  expect_identical(again@meta.data, labelled@meta.data)
})

test_that("without its object a run about clusters goes on as a table", {
  skip_without_backend()
  local_home()
  markers <- list(a = c("CD79A", "MS4A1", "CD79B"), b = c("CD3D", "CD3E", "CD2"))
  found <- AnnotateClusters(ReadMarkers(markers), verbose = FALSE)
  interrupt_run()
  expect_identical(ResumeAnnotation(verbose = FALSE)$label, found$label)
})
