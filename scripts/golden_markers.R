# Writes what the real FindAllMarkers() of the installed Seurat, with limma, makes of three objects:
# tests/fixtures/markers/. Run it in both lanes: Rscript scripts/golden_markers.R OUT [--objects]
# With --objects the objects are written too; they must be the same for both.
suppressPackageStartupMessages({
  library(Seurat)
  library(Matrix)
})
arguments <- commandArgs(TRUE)
out <- arguments[1]
objects <- file.path("tests", "fixtures", "markers")
dir.create(out, FALSE, TRUE)
source(file.path("tests", "testthat", "helper-marker-objects.R"))

numbers <- function(x) ifelse(is.na(x), "", format(x, digits = 17, trim = TRUE))
write_table <- function(frame, name) {
  frame[] <- lapply(frame, function(x) if (is.double(x)) numbers(x) else as.character(x))
  frame <- cbind(row = rownames(frame), frame)
  file <- gzfile(file.path(out, paste0(name, ".csv.gz")), "wb")
  on.exit(close(file))
  write.csv(frame, file, row.names = FALSE)
}

stopifnot(requireNamespace("limma", quietly = TRUE), !requireNamespace("presto", quietly = TRUE))
for (name in names(marker_objects)) {
  object <- suppressMessages(marker_objects[[name]]())
  if ("--objects" %in% arguments) {
    values <- GetAssayData(object, "data")
    plain <- tempfile()
    writeMM(values, plain)
    file <- gzfile(file.path(objects, paste0(name, ".mtx.gz")), "wb")
    writeLines(readLines(plain), file)
    close(file)
    writeLines(rownames(values), file.path(objects, paste0(name, ".genes.txt")))
    writeLines(as.character(Idents(object)), file.path(objects, paste0(name, ".clusters.txt")))
  }
  for (positive in c(TRUE, FALSE)) {
    table <- suppressMessages(suppressWarnings(
      FindAllMarkers(object, only.pos = positive, verbose = FALSE)
    ))
    write_table(table, paste0(name, if (positive) "-positive" else "-all"))
  }
}
