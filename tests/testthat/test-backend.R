test_that("BackendInfo() says what is in use", {
  skip_without_backend()
  shown <- capture.output(info <- BackendInfo())
  expect_true(info$ok)
  expect_identical(info$core, as.character(utils::packageVersion("cellferry")))
  expect_false(anyNA(info$packages))
  expect_match(shown[1], info$python, fixed = TRUE)
  expect_match(shown, info$rule, fixed = TRUE, all = FALSE)
  expect_match(shown, "ready", all = FALSE)
  expect_match(shown, "^Vignettes: +(vignette\\(|not installed; )", all = FALSE)
})

test_that("pip gets what was tested, by hash on its platform and by version on others", {
  lock <- backend_lock("3.11")
  expect_true(file.exists(lock))
  expect_null(backend_lock("3.99"))
  here <- pip_arguments(lock, platform = "x86_64-pc-linux-gnu")
  expect_identical(utils::tail(here, 3), c("--require-hashes", "-r", lock))
  elsewhere <- pip_arguments(lock, platform = "aarch64-apple-darwin20")
  versions <- readLines(elsewhere[which(elsewhere == "-c") + 1])
  expect_match(versions, "^(#|[a-z0-9.-]+==[^ ]+$)")
  expect_true(all(c(backend_requirements(), backend_requirements("-server")) %in% elsewhere))
  newest <- pip_arguments()
  expect_false(any(c("-r", "-c") %in% newest))
  # Every package that is asked for is in the list.
  name <- function(x) sub("[=<>].*", "", x)
  asked <- name(c(backend_requirements(), backend_requirements("-server")))
  expect_identical(setdiff(asked, name(versions)), character())
})

test_that("a folder of wheels is all that pip looks at", {
  folder <- withr::local_tempdir()
  found <- pip_arguments(wheels = folder)
  expect_true("--no-index" %in% found)
  expect_identical(found[which(found == "--find-links") + 1], normalizePath(folder))
  expect_messages(InstallBackend(wheels = "/nonexistent/wheels"), "install-no-wheels")
})

test_that("an environment is made anew where one was stopped half way, and pip's failure is said", {
  python <- find_python()
  skip_if(is.null(python), "no Python")
  withr::local_envvar(WORKON_HOME = withr::local_tempdir("with space"))
  half <- reticulate::virtualenv_python("half")
  dir.create(dirname(half), recursive = TRUE)
  # As venv leaves it before it has put pip there.
  file.create(half, file.path(dirname(dirname(half)), "pyvenv.cfg"))
  wheels <- withr::local_tempdir()
  cnd <- tryCatch(
    InstallBackend(
      "half", python,
      wheels = wheels, proxy = "http://me:secret@127.0.0.1:9", verbose = FALSE
    ),
    cellferry_backend_missing_error = identity
  )
  text <- conditionMessage(cnd)
  expect_match(text, "pip ended with status 1", fixed = TRUE)
  expect_match(text, "No matching distribution", fixed = TRUE)
  expect_match(text, "InstallBackend(wheels = \"folder\")", fixed = TRUE)
  expect_false(grepl("secret", text, fixed = TRUE))
  expect_identical(Sys.getenv("PIP_PROXY"), "")
  # It has pip now, so it is taken as it is.
  expect_identical(with_clean_library_path(system2(half, "-m pip --version", stdout = FALSE)), 0L)
  expect_identical(create_environment("half", "/nonexistent/python"), half)
  expect_error(create_environment("other", "/nonexistent/python"), "No environment could be made")
})

test_that("the requirements are read without comments", {
  server <- "^(anyio|duckdb|h11|hdf5plugin|pydantic|starlette|uvicorn)"
  expect_match(backend_requirements("-server"), server)
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
