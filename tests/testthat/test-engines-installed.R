# The package of a stranger with an engine, really installed; tests/python/engines/stranger.
installed_stranger <- function(frame = parent.frame()) {
  source <- test_path("..", "python", "engines", "stranger")
  skip_if_not(dir.exists(source), "The tests of Python are not in the package of R")
  folder <- withr::local_tempdir(.local_envir = frame)
  file.copy(source, folder, recursive = TRUE)
  target <- file.path(folder, "installed")
  status <- with_clean_library_path(system2(
    python_path(),
    c(
      "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target",
      shQuote(target), shQuote(file.path(folder, "stranger"))
    ),
    stdout = TRUE, stderr = TRUE
  ))
  expect_null(attr(status, "status"), info = paste(status, collapse = "\n"))
  target
}

test_that("an engine of another package is listed, chosen, checked and used from R", {
  skip_without_backend()
  target <- installed_stranger()
  home <- withr::local_tempdir()
  code <- c(
    "library(cellferry)",
    "known <- KnownEngines()",
    "cat(known$answers[known$engine == \"overlap\"], known$package[known$engine == \"overlap\"],",
    "  sep = \"|\")",
    "cat(\"\\n\")",
    "cat(KnownEngines(\"overlap\")$option, sep = \"|\")",
    "cat(\"\\n\")",
    "markers <- list(\"0\" = c(\"CD79A\", \"MS4A1\"), \"1\" = c(\"CD3D\", \"CD3E\", \"CD3G\"))",
    "table <- ReadMarkers(markers)",
    "frame <- data.frame(cluster = rep(c(\"0\", \"1\"), c(2, 3)), gene = unlist(markers))",
    "found <- AnnotateClusters(frame, engine = Engine(\"overlap\", minimum = 3), verbose = FALSE)",
    "cat(found$label, sep = \"|\")",
    "cat(\"\\n\")",
    "found <- AnnotateClusters(frame, engine = \"overlap\", minimum = 2, verbose = FALSE)",
    "cat(found$label, sep = \"|\")",
    "cat(\"\\n\")",
    "wrong <- tryCatch(AnnotateClusters(frame, engine = \"overlap\", minimun = 2),",
    "  cellferry_unknown_option_error = conditionMessage)",
    "cat(wrong, \"\\n\")",
    "lost <- tryCatch(AnnotateClusters(frame, engine = \"overlap_lost\"),",
    "  cellferry_engine_unusable_error = function(cnd) class(cnd)[1])",
    "cat(lost, \"\\n\")",
    "x <- SeuratObject::pbmc_small",
    "if (utils::packageVersion(\"SeuratObject\") >= \"5.0.0\") {",
    "  x <- suppressMessages(suppressWarnings(SeuratObject::UpdateSeuratObject(x)))",
    "}",
    "x <- suppressWarnings(AnnotateCells(x, engine = \"overlap\", verbose = FALSE))",
    "types <- c(\"B cell\", \"T cell\", \"Monocyte\", \"Unknown\")",
    "cat(nrow(x[[]]), all(x$cell_type_cell %in% types))",
    "cat(\"\\n\")"
  )
  out <- run_r(code, c(
    paste0("PYTHONPATH=", target), paste0("CELLFERRY_HOME=", home),
    paste0("RETICULATE_PYTHON=", python_path())
  ))
  said <- paste(out, collapse = "\n")
  expect_match(said, "clusters, cells|overlap-engine 0.3.1", fixed = TRUE)
  expect_match(said, "minimum|types|types", fixed = TRUE)
  expect_match(said, "Unknown|T cell", fixed = TRUE)
  expect_match(said, "B cell|T cell", fixed = TRUE)
  expect_match(said, "Did you mean `minimum`?", fixed = TRUE)
  expect_match(said, "cellferry_engine_unusable_error", fixed = TRUE)
  expect_match(said, "80 TRUE", fixed = TRUE)
})

test_that("the engines and their options can be listed", {
  skip_without_backend()
  known <- KnownEngines()
  expect_named(known, c("engine", "answers", "package", "description", "problem"))
  expect_identical(known$engine[1:4], c("local", "llm", "cytetype", "cellatlas"))
  expect_identical(known$answers[[4]], "cells, clusters by majority")
  options <- KnownEngines("local")
  expect_named(options, c("answers", "option", "default"))
  expect_identical(options$default[options$option == "n_genes"], "50")
  expect_error(KnownEngines("lokal"), "Available", class = "cellferry_unknown_engine_error")
})

test_that("an engine of cells answers clusters by what most of their cells are", {
  skip_without_backend()
  local_home()
  x <- small_object()
  expect_error(
    AnnotateClusters(
      x,
      engine = CellAtlasEngine(api_url = "https://atlas.example.org/a", api_key = "k"),
      verbose = FALSE
    ),
    class = "cellferry_upload_not_allowed_error"
  )
  planned <- AnnotateClusters(
    x,
    engine = CellAtlasEngine(api_url = "https://atlas.example.org/a", qc = "off"),
    dry.run = TRUE, verbose = FALSE
  )
  expect_identical(as.integer(planned$cells), ncol(x))
})
