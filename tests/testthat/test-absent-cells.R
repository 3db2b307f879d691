# Cells that an assay does not have are in no figure, whatever cells these are: the figures are
# those of an object of the others.

# `x` with an assay "sketch", the default, that has only the cells `at`.
with_sketch <- function(x, at) {
  part <- suppressWarnings(subset(x[["RNA"]], cells = colnames(x)[at]))
  # Seurat 4 has no way to make one, but reads it like any other.
  x@assays$sketch <- part
  x@active.assay <- "sketch"
  x
}

random_cells <- function(x, seed, n = 12) {
  set.seed(seed)
  sort(sample(ncol(x), n))
}

sketch_markers <- function() {
  ReadMarkers(list(
    "0" = c("CD79A", "MS4A1", "CD79B", "CD19", "BANK1"),
    "1" = c("CD3D", "CD3E", "CD3G", "CD2", "IL32")
  ))
}

quiet <- function(code) {
  withCallingHandlers(code, cellferry_cells_without_expression_warning = function(cnd) {
    invokeRestart("muffleWarning")
  })
}

test_that("the figures of artifacts are those of the cells that the assay has", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  local_home()
  x <- known_cells()
  for (seed in 1:3) {
    at <- random_cells(x, seed)
    made <- lapply(list(with_sketch(x, at), x[, at]), function(object) {
      folder <- withr::local_tempdir()
      quiet(BuildArtifacts(
        object, vars_h5_path = file.path(folder, "v.h5"),
        obs_duckdb_path = file.path(folder, "o.duckdb"), verbose = FALSE
      ))
    })
    same <- c("percentages", "cells_per_cluster", "metadata", "normalisation", "counts")
    expect_identical(made[[1]][same], made[[2]][same])
  }
})

test_that("labels of clusters reach all cells, and evidence is of the measured ones", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  local_home()
  x <- known_cells()
  at <- random_cells(x, 4)
  sketch <- with_sketch(x, at)
  expect_messages(
    found <- AnnotateClusters(sketch, sketch_markers(), verbose = FALSE), "cells-absent-clusters"
  )
  part <- AnnotateClusters(x[, at], sketch_markers(), verbose = FALSE)
  expect_identical(as.character(found$cell_type), x$truth, ignore_attr = TRUE)
  same <- c("label", "confidence", "supporting", "conflicting", "missing")
  expect_identical(
    as.list(Annotations(found))[same], as.list(Annotations(part))[same]
  )
  expect_identical(Annotations(found)$n_cells, c(15L, 15L))
  stored <- parse_annotations(extract_stored(found)$cell_type)
  expect_identical(stored$provenance$absent_cells, 18L)
  expect_identical(vapply(stored$rows, function(row) row$n_cells, 1L), c(15L, 15L))
})

test_that("a marker table with percentages of the measured cells is of these clusters", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  local_home()
  x <- known_cells()
  at <- random_cells(x, 5)
  values <- layer_parts(x, "RNA", "data")[[1]]
  fraction <- function(cluster, gene) {
    inside <- intersect(at, which(SeuratObject::Idents(x) == cluster))
    mean(values$mat[match(gene, values$genes), inside] > 0)
  }
  table <- as.data.frame(sketch_markers()[c("cluster", "gene")])
  table$avg_log2FC <- 4
  table$pct.1 <- mapply(fraction, as.character(table$cluster), table$gene)
  table$pct.2 <- 0
  expect_no_error(quiet(AnnotateClusters(with_sketch(x, at), table, verbose = FALSE)))
  # A cluster of which nothing was measured is labelled by its markers.
  only <- intersect(at, which(SeuratObject::Idents(x) == "0"))
  found <- quiet(AnnotateClusters(with_sketch(x, only), table, verbose = FALSE))
  expect_identical(sort(unique(as.character(found$cell_type))), c("B cell", "T cell"))
})

test_that("cells that were not measured are skipped and count for nothing", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  local_home()
  x <- known_cells(60L)
  for (seed in 6:7) {
    at <- random_cells(x, seed, 40)
    if (seed == 6) {
      expect_messages(
        found <- AnnotateCells(with_sketch(x, at), verbose = FALSE), "cells-absent-cells"
      )
    } else {
      found <- quiet(AnnotateCells(with_sketch(x, at), verbose = FALSE))
    }
    part <- AnnotateCells(x[, at], verbose = FALSE)
    ours <- grep("^cell_type_cell", names(found[[]]), value = TRUE)
    expect_identical(ours, grep("^cell_type_cell", names(part[[]]), value = TRUE))
    plain <- function(frame) lapply(as.list(frame), plain_values)
    expect_identical(plain(found[[]][at, ours]), plain(part[[]][, ours]))
    out <- found[[]][-at, ours]
    expect_true(all(out$cell_type_cell_status == "skipped"))
    expect_true(all(is.na(out[setdiff(ours, "cell_type_cell_status")])))
    expect_identical(Annotations(found)$n_cells, Annotations(part)$n_cells)
  }
})

test_that("what is reported are the cells that are read", {
  skip_if_not_installed("Seurat")
  report <- StudyReport(with_sketch(known_cells(), 1:12))
  expect_identical(as.character(report$action[report$item == "cells"]), "coerced")
  expect_match(report$why[report$item == "cells"], "18 of 30 cells have no values in this assay")
})

test_that("clusters of no measured cell are refused where the cells matter", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  x <- with_sketch(known_cells(), 1:12)
  x$other <- c(rep(NA, 12), rep("a", 18))
  folder <- withr::local_tempdir()
  expect_messages(
    quiet(BuildArtifacts(x, group.by = "other", vars_h5_path = file.path(folder, "v.h5"))),
    "group-absent"
  )
})

test_that("the sketch of Seurat 5 is read like the object of its cells", {
  skip_without_backend()
  skip_if_not_installed("SeuratObject", "5.0.0")
  skip_if_not_installed("Seurat", "5.0.0")
  local_home()
  x <- known_cells(60L)
  x <- suppressMessages(Seurat::FindVariableFeatures(x, verbose = FALSE))
  x <- suppressWarnings(suppressMessages(Seurat::SketchData(
    x, ncells = 30, method = "Uniform", sketched.assay = "sketch", verbose = FALSE
  )))
  SeuratObject::DefaultAssay(x) <- "sketch"
  inside <- SeuratObject::Cells(x[["sketch"]])
  found <- quiet(AnnotateCells(x, verbose = FALSE))
  expect_setequal(colnames(found)[found$cell_type_cell_status != "skipped"], inside)
  labelled <- quiet(AnnotateClusters(x, sketch_markers(), verbose = FALSE))
  expect_identical(as.character(labelled$cell_type), x$truth, ignore_attr = TRUE)
  # The assay that has all cells is read as ever.
  expect_no_warning(
    whole <- AnnotateCells(x, assay = "RNA", verbose = FALSE),
    class = "cellferry_cells_without_expression_warning"
  )
  expect_false("skipped" %in% whole$cell_type_cell_status)
})
