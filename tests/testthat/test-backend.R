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
  found <- backend_requirements()
  expect_true(any(grepl("^numpy", found)))
  expect_false(any(grepl("#", found) | !nzchar(found)))
})

test_that("a Python that is too old or absent can't be installed from", {
  expect_messages(InstallBackend(python = "/nonexistent/python"), "install-no-python")
  expect_error(InstallBackend(envname = 1), class = "cellferry_invalid_option_error")
})
