test_that("BackendInfo() says what is in use", {
  skip_without_backend()
  shown <- capture.output(info <- BackendInfo())
  expect_true(info$ok)
  expect_identical(info$core, as.character(utils::packageVersion("cellferry")))
  expect_false(anyNA(info$packages))
  expect_match(shown[1], info$python, fixed = TRUE)
  expect_match(shown, info$rule, fixed = TRUE, all = FALSE)
  expect_match(shown, "ready", all = FALSE)
})

test_that("the requirements are read without comments", {
  expect_match(backend_requirements("-server"), "^(anyio|duckdb|h11|hdf5plugin|pydantic|starlette|uvicorn)")
  found <- backend_requirements()
  expect_true(any(grepl("^numpy", found)))
  expect_false(any(grepl("#", found) | !nzchar(found)))
})

test_that("a Python that is too old or absent can't be installed from", {
  expect_messages(InstallBackend(python = "/nonexistent/python"), "install-no-python")
  expect_error(InstallBackend(envname = 1), class = "cellferry_invalid_option_error")
})

test_that("the package loads and says what is missing without Python", {
  out <- run_r(
    c(
      "library(cellferry)",
      "cnd <- tryCatch(AnnotateClusters(SeuratObject::pbmc_small), error = identity)",
      "cat('class:', class(cnd)[1], '\\n')",
      "cat(conditionMessage(cnd), '\\n')",
      "info <- BackendInfo()",
      "cat('ok:', info$ok, '\\n')",
      "cat('labels:', nrow(extract <- cellferry:::extract_metadata(SeuratObject::pbmc_small)))"
    ),
    c("RETICULATE_PYTHON=/nonexistent/python", "RETICULATE_MINICONDA_ENABLED=FALSE")
  )
  expect_true("class: cellferry_backend_missing_error " %in% out)
  expect_match(out, "InstallBackend()", fixed = TRUE, all = FALSE)
  expect_true("ok: FALSE " %in% out)
  expect_identical(out[length(out)], "labels: 80")
})

test_that("loading starts no Python", {
  out <- run_r(c("library(cellferry)", "cat(reticulate::py_available(FALSE))"))
  expect_identical(out[length(out)], "FALSE")
})

test_that("missing Python packages are named with the line that repairs it", {
  skip_without_backend()
  described <- list(dependencies = list(numpy = "2", pandas = NULL, h5py = NULL))
  described$dependencies["pandas"] <- list(NULL)
  described$dependencies["h5py"] <- list(NULL)
  expect_identical(missing_dependencies(described), c("pandas", "h5py"))
  expect_identical(missing_dependencies(describe_backend()), character())
})

test_that("environment variables are put back, also after an error", {
  withr::local_envvar(CELLFERRY_TEST_A = "before", CELLFERRY_TEST_B = NA)
  change <- c(CELLFERRY_TEST_A = NA, CELLFERRY_TEST_B = "inside")
  with_variables(change, {
    expect_identical(Sys.getenv("CELLFERRY_TEST_A", NA), NA_character_)
    expect_identical(Sys.getenv("CELLFERRY_TEST_B"), "inside")
  })
  expect_error(with_variables(change, stop("no")), "no")
  expect_identical(Sys.getenv("CELLFERRY_TEST_A"), "before")
  expect_identical(Sys.getenv("CELLFERRY_TEST_B", NA), NA_character_)
})
