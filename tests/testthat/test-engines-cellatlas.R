key <- "sk-sci-canary-51c0"

cell_atlas <- function(address, ...) {
  CellAtlasEngine(api_url = paste0(address, "/v1/singlecell/annotate"), min_counts = 0L, ...)
}

# Most genes of these cells are no symbols, which is warned of.
quietly <- function(code) {
  suppressWarnings(code, classes = "cellferry_genes_unrecognised_warning")
}

test_that("CellAtlasEngine() has the options of the registry and their defaults", {
  skip_without_backend()
  registered <- describe_engine("cellatlas", "cells")$options
  expect_setequal(names(formals(CellAtlasEngine)), names(registered))
  ours <- lapply(formals(CellAtlasEngine), eval)
  registered$api_url <- NULL
  for (name in names(registered)) {
    expect_equal(ours[[name]], registered[[name]], info = name)
  }
})

test_that("every cell of a Seurat object gets the call of `cellferry serve`", {
  skip_without_backend()
  home <- local_home()
  address <- served()
  x <- known_cells()
  engine <- cell_atlas(address, api_key = key, chunk_size = 7L)
  labelled <- quietly(AnnotateCells(x, engine = engine, verbose = FALSE))
  truth <- as.character(x$truth)
  expect_true(all(mapply(grepl, truth, as.character(labelled$cell_type_cell), fixed = TRUE)))
  expect_true(all(labelled$cell_type_cell_confidence >= 0))
  expect_identical(SeuratObject::Idents(labelled), SeuratObject::Idents(x))
  stored <- jsonlite::parse_json(SeuratObject::Misc(labelled, "cellferry")$cell_type_cell)
  expect_identical(stored$provenance$read, "counts")
  runs <- ListRuns()
  expect_identical(runs$status, "finished")
  expect_identical(length(list.files(file.path(runs$folder, "chunks"))), 5L)
  # The labels do not depend on where the chunks end.
  whole <- quietly(AnnotateCells(x, engine = cell_atlas(address), verbose = FALSE))
  columns <- paste0("cell_type_cell", c("", "_confidence", "_status", "_majority_share"))
  expect_identical(whole[[columns]], labelled[[columns]])
  files <- list.files(home, recursive = TRUE, full.names = TRUE, all.files = TRUE)
  bytes <- unlist(lapply(files, function(file) readBin(file, "raw", file.size(file))))
  expect_length(grepRaw(key, bytes, fixed = TRUE), 0)
  file <- withr::local_tempfile()
  saveRDS(list(engine, labelled), file, compress = FALSE)
  expect_length(grepRaw(key, readBin(file, "raw", file.size(file)), fixed = TRUE), 0)
})

test_that("cells that should not be annotated are reported, or not sent", {
  skip_without_backend()
  local_home()
  address <- served()
  x <- known_cells()
  x$predicted_doublet <- seq_len(ncol(x)) == 2L
  expect_warning(
    quietly(AnnotateCells(x, engine = cell_atlas(address), verbose = FALSE)),
    "1 of 30 cells",
    class = "cellferry_cells_quality_warning"
  )
  expect_warning(
    y <- quietly(AnnotateCells(x, engine = cell_atlas(address, qc = "filter"), verbose = FALSE)),
    "left out",
    class = "cellferry_cells_quality_warning"
  )
  expect_identical(which(is.na(y$cell_type_cell)), c(cell2 = 2L))
  expect_identical(as.character(y$cell_type_cell_status[2]), "skipped")
})

test_that("a SingleCellExperiment is read as a Seurat object is", {
  skip_without_backend()
  testthat::skip_if_not_installed("SingleCellExperiment")
  local_home()
  address <- served()
  x <- known_cells()
  sce <- Seurat::as.SingleCellExperiment(x)
  from_seurat <- quietly(AnnotateCells(x, engine = cell_atlas(address), verbose = FALSE))
  from_sce <- quietly(AnnotateCells(sce, engine = cell_atlas(address), verbose = FALSE))
  expect_s4_class(from_sce, "SingleCellExperiment")
  expect_identical(
    as.character(from_sce$cell_type_cell), as.character(from_seurat$cell_type_cell)
  )
  expect_identical(
    unname(from_sce$cell_type_cell_confidence), unname(from_seurat$cell_type_cell_confidence)
  )
})

test_that("a run that was stopped goes on with the chunks that are missing", {
  skip_without_backend()
  local_home()
  address <- served()
  x <- known_cells()
  engine <- cell_atlas(address, chunk_size = 7L)
  whole <- quietly(AnnotateCells(x, engine = engine, verbose = FALSE))
  # The record of a run whose process was killed after its second chunk.
  folder <- ListRuns()$folder
  record <- file.path(folder, "run.json")
  content <- readLines(record, warn = FALSE)
  writeLines(sub("\"status\": \"finished\"", "\"status\": \"unfinished\"", content), record)
  journal <- file.path(folder, "journal.jsonl")
  writeLines(readLines(journal)[1:2], journal)
  before <- file.mtime(list.files(file.path(folder, "chunks"), full.names = TRUE))
  again <- quietly(ResumeAnnotation(x, verbose = FALSE))
  expect_identical(again$cell_type_cell, whole$cell_type_cell)
  expect_identical(length(readLines(journal)), 5L)
  after <- file.mtime(list.files(file.path(folder, "chunks"), full.names = TRUE))
  expect_identical(sum(after != before), 3L)
  other <- SeuratObject::RenameCells(x, add.cell.id = "other")
  expect_error(ResumeAnnotation(other, verbose = FALSE), class = "cellferry_run_mismatch_error")
})

test_that("a key that is missing is asked for before anything is read or sent", {
  skip_without_backend()
  local_home()
  withr::local_envvar(CELLATLAS_API_KEY = NA)
  prompts <- character()
  request <- function() {
    engine <- CellAtlasEngine(api_url = "https://atlas.invalid/v1/singlecell/annotate")
    new_request(
      engine, list(), "ident", "cell_type_cell", NULL, NULL, NULL, NULL, FALSE, TRUE, FALSE,
      level = "cells"
    )
  }
  withr::local_options(cellferry.ask_key = function(prompt) {
    prompts <<- c(prompts, prompt)
    key
  })
  made <- request()
  open_request(made)
  expect_match(prompts, "atlas.invalid", fixed = TRUE)
  expect_identical(prompted_keys(made$engine), list(api_key = key))
  withr::local_options(cellferry.ask_key = function(prompt) "")
  expect_error(open_request(request()), class = "cellferry_credentials_required_error")
  expect_length(list.files(Sys.getenv("CELLFERRY_HOME")), 0)
  # A variable that is set after Python started counts.
  withr::local_envvar(CELLATLAS_API_KEY = key)
  expect_no_error(open_request(request()))
})
