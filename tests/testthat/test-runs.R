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
