test_that("buffers come back from a file as they were", {
  path <- tempfile()
  for (buffers in list(list(), list(raw()), list(as.raw(0:255), raw(), charToRaw("x")))) {
    write_buffers(path, buffers)
    expect_identical(read_buffers(path), buffers)
  }
})

test_that("files without an object are refused with the recipe", {
  path <- tempfile(fileext = ".rds")
  writeLines("text", path)
  expect_error(read_rds(path), "can't be read as .rds", class = "cellferry_input_error")
  saveRDS(matrix(1), path)
  expect_false(is_marker_source(read_rds(path)))
})

test_that("a class of a package that is not there is said by the name of the package", {
  strange <- structure(1, class = structure("Strange", package = "no.such.package"))
  expect_error(
    load_classes(strange), "no.such.package",
    class = "cellferry_dependency_missing_error"
  )
  path <- tempfile(fileext = ".rds")
  saveRDS(small_sce(), path)
  expect_s4_class(read_rds(path), "SingleCellExperiment")
})

test_that("no Python is looked for where Python is the parent", {
  said <- run_r(c(
    "globals <- getFromNamespace('.globals', 'cellferry')",
    "answer <- list(charToRaw('{\"ok\": true, \"value\": {\"variables\": [\"A_KEY\"]}}'))",
    "globals$bridge <- function(name, message, buffers, callback) answer",
    "cellferry:::json_engine(cellferry::Engine('local'))",
    "cat('reticulate' %in% loadedNamespaces())"
  ))
  expect_identical(utils::tail(said, 1), "FALSE")
})
