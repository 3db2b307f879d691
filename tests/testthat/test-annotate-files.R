genes <- list("0" = c("CD79A", "MS4A1", "CD79B", "CD19", "BANK1"), "1" = c("CD3D", "CD3E", "TRAC"))

# One table for each cluster, with the genes as row names, as FindMarkers() returns it.
single_tables <- function() {
  lapply(genes, function(names) {
    data.frame(
      p_val_adj = 10^-(rev(seq_along(names)) + 9), avg_log2FC = rev(seq_along(names)) + 1,
      row.names = names
    )
  })
}

expect_genes <- function(found) {
  expect_identical(split(found$gene, found$cluster), genes)
}

test_that("one table for each cluster is read from a named list", {
  skip_without_backend()
  tables <- single_tables()
  found <- ReadMarkers(tables)
  expect_genes(found)
  expect_identical(found$avg_log2FC[1], tables[[1]]$avg_log2FC[1])
  tables <- lapply(tables, function(table) cbind(gene = rownames(table), table))
  expect_genes(ReadMarkers(lapply(tables, `rownames<-`, NULL)))
  expect_messages(ReadMarkers(unname(single_tables())), "markers-unnamed")
  expect_messages(ReadMarkers(list(a = 1)), "markers-class-list")
  expect_error(
    ReadMarkers(lapply(single_tables(), `rownames<-`, NULL)), "row names of text",
    class = "cellferry_markers_format_error"
  )
})

test_that("tables of S4Vectors are read, of scran and of DESeq2", {
  skip_without_backend()
  testthat::skip_if_not_installed("S4Vectors")
  tables <- lapply(single_tables(), function(table) {
    made <- S4Vectors::DataFrame(
      Top = seq_len(nrow(table)), FDR = table$p_val_adj, summary.logFC = table$avg_log2FC,
      chr = S4Vectors::Rle("x", nrow(table)), row.names = rownames(table)
    )
    made$stats <- S4Vectors::DataFrame(logFC = table$avg_log2FC)
    made
  })
  for (given in list(S4Vectors::SimpleList(tables), tables)) {
    found <- ReadMarkers(given)
    expect_genes(found)
    expect_identical(found$avg_log2FC[1], 6)
  }
  local_home()
  table <- AnnotateClusters(S4Vectors::SimpleList(tables), verbose = FALSE)
  expect_identical(table$label, c("B cell", "T cell"))
  expect_identical(ReadMarkers(S4Vectors::DataFrame(
    cluster = c("a", "b"), gene = c("CD79A", "CD3E"), avg_log2FC = 1:2
  ))$gene, c("CD79A", "CD3E"))
})

test_that("names and scores of COSG are read", {
  skip_without_backend()
  found <- ReadMarkers(list(
    names = data.frame("0" = genes[[1]][1:3], "1" = genes[[2]], check.names = FALSE),
    scores = data.frame("0" = 3:1 / 4, "1" = 3:1 / 5, check.names = FALSE)
  ))
  expect_identical(split(found$gene, found$cluster), list("0" = genes[[1]][1:3], "1" = genes[[2]]))
  expect_identical(found$Score[1], 0.75)
})

test_that("a file is read for what it is, and the result is the table", {
  skip_without_backend()
  local_home()
  folder <- withr::local_tempdir()
  at <- function(name) file.path(folder, name)
  saveRDS(genes, at("lists"))
  saveRDS(single_tables(), at("tables.csv"))
  saveRDS(ReadMarkers(single_tables()), at("frame.rds"))
  write.csv(ReadMarkers(single_tables()), at("m.txt"))
  for (name in c("lists", "tables.csv", "frame.rds", "m.txt")) {
    table <- AnnotateClusters(at(name), verbose = FALSE)
    expect_s3_class(table, "cellferry_annotations")
    expect_identical(table$label, c("B cell", "T cell"))
    expect_genes(ReadMarkers(at(name)))
  }
  expect_error(
    AnnotateCells(at("frame.rds"), verbose = FALSE), "no cells",
    class = "cellferry_unsupported_object_error"
  )
  expect_error(
    AnnotateClusters(at("frame.rds"), genes, verbose = FALSE), "can't be given beside it",
    class = "cellferry_invalid_option_error"
  )
  expect_error(
    AnnotateClusters(at("m.txt"), output = at("x.h5ad"), verbose = FALSE), "marker table has none",
    class = "cellferry_invalid_option_error"
  )
})

test_that("an object in a file is written only where it is asked for", {
  skip_without_backend()
  local_home()
  folder <- withr::local_tempdir()
  path <- file.path(folder, "x.rds")
  output <- file.path(folder, "labelled.rds")
  saveRDS(small_object(), path)
  before <- tools::md5sum(path)
  table <- AnnotateClusters(path, small_markers(), verbose = FALSE)
  expect_identical(table$cluster, c("0", "1", "2"))
  expect_identical(list.files(folder), "x.rds")
  expect_messages(
    AnnotateClusters(path, small_markers(), output = output), "annotated-file",
    c("[0-9.]+ seconds" = "s", "(0[.][0-9])[0-9]  " = "\\1x  ")
  )
  expect_identical(tools::md5sum(path), before)
  expect_identical(as.data.frame(Annotations(readRDS(output)))$label, as.data.frame(table)$label)
  gone <- c("\"[^\"]*/" = "\"")
  expect_messages(AnnotateClusters(path, output = output), "output-exists", gone)
  expect_messages(AnnotateClusters(path, output = "x.h5ad"), "output-suffix", gone)
  cells <- AnnotateCells(path, verbose = FALSE)
  expect_s3_class(cells, "cellferry_annotations")
  built <- BuildArtifacts(
    path,
    vars_h5_path = file.path(folder, "v.h5"), obs_duckdb_path = file.path(folder, "o.duckdb"),
    verbose = FALSE
  )
  expect_identical(sum(built$cells_per_cluster), 80L)
})

test_that("what is no input is named with the line that mends it, in R", {
  skip_without_backend()
  folder <- withr::local_tempdir()
  gone <- c("\"[^\"]*/" = "\"")
  page <- file.path(folder, "x.h5ad")
  writeLines("<!DOCTYPE html><html>", page)
  expect_messages(AnnotateClusters(page), "file-page", gone)
  saved <- file.path(folder, "x.RData")
  one <- 1
  save(one, file = saved)
  expect_messages(AnnotateClusters(saved), "file-rdata", gone)
  expect_messages(BuildArtifacts(saved), "artifacts-file", gone)
  named <- data.frame(cluster_final = "0", gene = "CD3D", avg_log2FC = 1)
  expect_messages(ReadMarkers(named), "markers-looks-like")
})
