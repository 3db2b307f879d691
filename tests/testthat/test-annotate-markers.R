test_that("markers that can't be computed are errors with the recipe", {
  object <- small_object()
  compute <- function(object, group.by = "ident") {
    compute_markers(object, extract_groups(object, group.by), "RNA")
  }
  raw <- object
  raw[["RNA"]]@data <- raw[["RNA"]]@counts
  expect_messages(compute(raw), "markers-required-raw")
  expect_messages(compute(object, "orig.ident"), "markers-required-single")
  expect_messages(
    require_joined(list(1, 2), "RNA"), "markers-required-split"
  )
})

test_that("computed markers are Seurat's own, and the session's seed is kept", {
  testthat::skip_if_not_installed("Seurat")
  object <- small_object()
  set.seed(7)
  before <- .Random.seed
  found <- NULL
  expect_messages(
    found <- compute_markers(object, extract_groups(object), "RNA"), "markers-computed"
  )
  expect_identical(.Random.seed, before)
  truth <- suppressWarnings(suppressMessages(Seurat::FindAllMarkers(
    object,
    only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1, verbose = FALSE
  )))
  expect_identical(found, truth)
})

test_that("the time is said in words", {
  expect_identical(about_time(3), "a few seconds")
  expect_identical(about_time(32), "about 30 seconds")
  expect_identical(about_time(170), "about 3 minutes")
})
