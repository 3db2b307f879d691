test_that("Seurat's table is returned as it is, with cluster a factor", {
  skip_without_backend()
  markers <- small_markers()
  found <- ReadMarkers(markers)
  expect_identical(as.character(found$cluster), as.character(markers$cluster))
  expect_identical(levels(found$cluster), levels(markers$cluster))
  expect_identical(found$gene, markers$gene)
  for (name in c("p_val", "avg_log2FC", "pct.1", "pct.2", "p_val_adj")) {
    expect_identical(found[[name]], markers[[name]])
  }
  expect_identical(ReadMarkers(found), found)
})

test_that("the tables of Seurat 3 and of the ROC test are read", {
  skip_without_backend()
  markers <- small_markers()
  old <- stats::setNames(markers, sub("avg_log2FC", "avg_logFC", names(markers)))
  expect_true("avg_log2FC" %in% names(ReadMarkers(old)))
  testthat::skip_if_not_installed("Seurat")
  roc <- suppressWarnings(suppressMessages(Seurat::FindAllMarkers(
    small_object(),
    test.use = "roc", only.pos = TRUE, verbose = FALSE
  )))
  found <- ReadMarkers(roc)
  expect_identical(found$gene, roc$gene)
  expect_identical(found$avg_log2FC, roc$avg_log2FC)
  local_home()
  table <- AnnotateClusters(roc, verbose = FALSE)
  expect_identical(table$cluster, c("0", "1", "2"))
})

test_that("the gene column counts, not the row names", {
  skip_without_backend()
  markers <- small_markers()
  expect_true(any(rownames(markers) != markers$gene))
  expect_identical(ReadMarkers(markers)$gene, markers$gene)
})

test_that("a file holds what the table holds", {
  skip_without_backend()
  markers <- small_markers()
  file <- withr::local_tempfile(fileext = ".csv")
  write.csv(markers, file)
  found <- ReadMarkers(file)
  expect_identical(as.character(found$cluster), as.character(markers$cluster))
  expect_identical(found$gene, markers$gene)
  expect_equal(found$avg_log2FC, markers$avg_log2FC)
})

test_that("a named list and a long table are lists of genes", {
  skip_without_backend()
  genes <- list("10" = c("CD79A", "MS4A1"), "2" = "CD3E", "\u00e9" = "LYZ")
  found <- ReadMarkers(genes)
  expect_identical(levels(found$cluster), c("2", "10", "\u00e9"))
  expect_identical(found$gene[found$cluster == "10"], genes[["10"]])
  long <- data.frame(cluster = c(10, 10, 2), gene = c("CD79A", "MS4A1", "CD3E"))
  expect_identical(levels(ReadMarkers(long)$cluster), c("2", "10"))
})

test_that("explicit column names win", {
  skip_without_backend()
  markers <- small_markers()
  markers$group <- paste0("c", markers$cluster)
  found <- ReadMarkers(markers, cluster.column = "group")
  expect_identical(levels(found$cluster), c("c0", "c1", "c2"))
  expect_error(
    ReadMarkers(markers, cluster.column = "no_such"),
    "`cluster.column`",
    class = "cellferry_invalid_option_error"
  )
})

test_that("tables that are none are distinguished", {
  skip_without_backend()
  markers <- small_markers()
  folder <- withr::local_tempdir()
  gone <- c("'[^']*/|\"[^\"]*/" = "\"")
  expect_messages(ReadMarkers(markers[0, ]), "markers-empty")
  expect_messages(ReadMarkers(data.frame()), "markers-empty-frame")
  expect_messages(ReadMarkers(file.path(folder, "none.csv")), "markers-no-file", gone)
  binary <- file.path(folder, "binary.csv")
  writeBin(as.raw(c(1, 0, 2, 0)), binary)
  expect_messages(ReadMarkers(binary), "markers-binary", gone)
  expect_messages(
    ReadMarkers(cbind(markers, gene = "x")), "markers-duplicated-columns"
  )
  expect_messages(ReadMarkers(data.frame(a = 1, b = 2, c = 3)), "markers-format")
  expect_messages(ReadMarkers(mean), "markers-class")
  expect_messages(ReadMarkers(markers, cluster_column = "a"), "markers-option")
})

test_that("a table crosses once, and its data frame is made when it is asked for", {
  skip_without_backend()
  local_home()
  calls <- character()
  bridge <- backend()
  withr::defer(.globals$bridge <- bridge)
  .globals$bridge <- function(name, message, buffers, callback = NULL) {
    calls <<- c(calls, paste(name, length(buffers)))
    python_call(bridge, name, message, buffers, callback)
  }
  object <- small_object()
  AnnotateClusters(object, small_markers(), verbose = FALSE)
  names <- sub(" .*", "", calls)
  expect_identical(
    names[!names %in% c("block", "describe")],
    c("request", "read_markers", "check_clustering", "study_begin", "annotate", "discard")
  )
  calls <- character()
  found <- open_markers(small_markers(), verbose = FALSE)
  expect_identical(unlist(found$clusters), c("0", "1", "2"))
  expect_identical(sum(unlist(found$sizes)), nrow(small_markers()))
  expect_identical(found$ranking_methods[[1]], "avg_log2FC")
  bridge_call("discard", list(handle = json_text(found$handle)))
  calls <- character()
  expect_s3_class(ReadMarkers(small_markers()), "data.frame")
  expect_identical(sub(" .*", "", calls), c("read_markers", "marker_frame"))
})

test_that("Markers() are those stored with the annotations", {
  found <- Markers(labelled_object())
  expect_identical(found$gene, c("CD3E", "LYZ"))
  expect_identical(found$avg_log2FC, c(1.5, NA))
  expect_identical(levels(found$cluster), c("0", "1", "2"))
})
