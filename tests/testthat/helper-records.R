# The records that 0.1.0 left on disk, and what is in them: tests/fixtures/0.1.0/README.md.
record <- function(...) testthat::test_path("..", "fixtures", "0.1.0", ...)

# The data folder of the R session that made them, copied for this test.
local_records <- function(frame = parent.frame()) {
  home <- local_home(frame)
  file.copy(record("r-home", "runs"), home, recursive = TRUE)
  home
}

# A run goes on at its own address only: its units are keyed by whom they were asked from.
recorded_ports <- list(llm = 28701, cellatlas = 28703)

recorded_labels <- c("0" = "T or NK cell", "1" = "Monocyte", "2" = "Naive B cell")
recorded_cells <- c(
  "Monocyte" = 21L, "T cell" = 10L, "NK cell" = 9L, "Platelet" = 9L, "B cell" = 8L,
  "Mononuclear phagocyte" = 4L, "CD4 effector memory T cell" = 3L, "Dendritic cell" = 3L,
  "CD4 central memory T cell" = 2L, "Naive B cell" = 2L, "Naive T cell" = 2L,
  "T or NK cell" = 2L, "Classical monocyte" = 1L, "Conventional dendritic cell" = 1L,
  "Effector CD8 T cell" = 1L, "Memory CD8 T cell" = 1L, "Non-classical monocyte" = 1L
)

counted <- function(found) stats::setNames(found$n_cells, found$label)

expect_recorded_object <- function(object, clusters, metadata) {
  found <- Annotations(object, "cell_type")
  testthat::expect_identical(stats::setNames(found$label, found$cluster), recorded_labels)
  testthat::expect_identical(found$n_cells, c(36L, 25L, 19L))
  testthat::expect_identical(found$supporting[[1]][1:3], c("CD7", "LCK", "CCL5"))
  testthat::expect_identical(found$ontology_id[2:3], c("CL:0000576", "CL:0000788"))
  testthat::expect_identical(found$status, rep("ok", 3))
  provenance <- attr(found, "provenance")
  testthat::expect_identical(provenance$versions$cellferry, "0.1.0")
  testthat::expect_identical(provenance$tissue, "blood")
  testthat::expect_identical(
    SupportingMarkers(object, "cell_type", n = 2),
    list(
      "T or NK cell" = c("CD7", "LCK"), "Monocyte" = c("FCN1", "CTSS"),
      "Naive B cell" = c("FCER2", "TCL1A")
    )
  )
  testthat::expect_identical(Markers(object, "cell_type")$gene[1:2], c("GNLY", "LAMP1"))
  # The newest key is that of the cells.
  testthat::expect_identical(counted(Annotations(object)), recorded_cells)
  testthat::expect_identical(
    as.character(metadata$cell_type), unname(recorded_labels[as.character(clusters)])
  )
  testthat::expect_identical(
    c(table(as.character(metadata$cell_type_cell)))[names(recorded_cells)], recorded_cells
  )
}

expect_recorded_report <- function(object) {
  for (key in c("cell_type", "cell_type_cell")) {
    file <- withr::local_tempfile(fileext = ".html")
    AnnotationReport(object, file, key = key, verbose = FALSE)
    page <- paste(readLines(file, warn = FALSE), collapse = "\n")
    for (label in Annotations(object, key)$label) testthat::expect_true(grepl(label, page))
  }
}

cells_json <- function(...) {
  json <- jsonlite::fromJSON(small_json(...), simplifyVector = FALSE)
  json$provenance$level <- "cells"
  as.character(jsonlite::toJSON(json, auto_unbox = TRUE, null = "null"))
}
