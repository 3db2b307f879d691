# Annotated parts put into the whole: Seurat's own subset() and merge(), and SingleCellExperiment.

quiet <- function(expr) suppressWarnings(suppressMessages(expr))

annotated_small <- function() {
  quiet(AnnotateClusters(small_object(), small_markers(), verbose = FALSE))
}

sub_annotated <- function(x, key = "subtype") {
  part <- x[, as.character(x$RNA_snn_res.1) == "1"]
  part$sub <- rep_len(c("a", "b"), ncol(part))
  markers <- list(a = c("CD79A", "MS4A1", "CD79B", "CD19"), b = c("LYZ", "S100A8", "CD14"))
  quiet(AnnotateClusters(part, markers, group.by = "sub", key = key, verbose = FALSE))
}

test_that("a subset that was annotated anew goes back", {
  skip_without_backend()
  x <- annotated_small()
  part <- sub_annotated(x)
  merged <- MergeAnnotations(x, B = part, verbose = FALSE)
  inside <- colnames(part)
  outside <- setdiff(colnames(x), inside)
  expect_equal(
    as.character(merged$cell_type[inside]), as.character(part$subtype[inside])
  )
  expect_equal(as.character(merged$cell_type[outside]), as.character(x$cell_type[outside]))
  expect_setequal(merged$cell_type_cluster[inside], c("B:a", "B:b"))
  table <- Annotations(merged)
  expect_null(attr(table, "note"))
  expect_equal(table$cluster, c("0", "1", "2", "B:a", "B:b"))
  expect_equal(table$refined_by[2], "B")
  expect_equal(table$n_cells[2], 0L)
  expect_equal(sum(table$n_cells), ncol(x))
  expect_equal(Annotations(merged, "cell_type@B")$cluster, c("a", "b"))
  expect_equal(sum(Annotations(merged, "cell_type@B")$n_cells), ncol(part))
  expect_true(all(nzchar(unlist(SupportingMarkers(merged)))))
  again <- MergeAnnotations(merged, B = part, verbose = FALSE)
  expect_equal(again[[]], merged[[]])
  expect_equal(extract_stored(again), extract_stored(merged))
  file <- tempfile(fileext = ".html")
  AnnotationReport(merged, file, verbose = FALSE)
  expect_gt(file.size(file), 1000)
})

test_that("samples that merge() put together get their evidence back", {
  skip_without_backend()
  a <- annotated_small()
  b <- small_object()[, 1:50]
  markers <- list("0" = c("CD3D", "CD3E"), "1" = c("LYZ", "CD14"), "2" = c("CD79A", "MS4A1"))
  b <- quiet(AnnotateClusters(b, markers, verbose = FALSE))
  both <- quiet(merge(a, b, add.cell.ids = c("A", "B")))
  expect_null(extract_stored(both)$cell_type)
  error <- expect_error(
    MergeAnnotations(both, a, b, verbose = FALSE),
    class = "cellferry_merge_error"
  )
  expect_match(
    conditionMessage(error),
    "x <- MergeAnnotations(x, a, b, add.cell.ids = c(\"A\", \"B\"))",
    fixed = TRUE
  )
  merged <- MergeAnnotations(both, a, b, add.cell.ids = c("A", "B"), verbose = FALSE)
  expect_equal(
    unname(as.character(merged$cell_type)),
    c(unname(as.character(a$cell_type)), unname(as.character(b$cell_type)))
  )
  table <- Annotations(merged)
  expect_null(attr(table, "note"))
  expect_equal(table$cluster, c(paste0("a:", 0:2), paste0("b:", Annotations(b)$cluster)))
  expect_equal(table$n_cells, c(Annotations(a)$n_cells, Annotations(b)$n_cells))
  expect_equal(table$supporting[1:3], Annotations(a)$supporting)
})

test_that("a SingleCellExperiment is a whole and a part", {
  skip_without_backend()
  x <- quiet(AnnotateClusters(small_sce(), small_markers(), group.by = "label", verbose = FALSE))
  part <- x[, as.character(x$label) == "0"]
  part$sub <- rep_len(c("a", "b"), ncol(part))
  markers <- list(a = c("CD79A", "MS4A1", "CD79B", "CD19"), b = c("LYZ", "S100A8", "CD14"))
  part <- quiet(AnnotateClusters(part, markers, group.by = "sub", key = "subtype", verbose = FALSE))
  merged <- MergeAnnotations(x, part, verbose = FALSE)
  expect_equal(
    as.character(merged$cell_type[match(colnames(part), colnames(merged))]),
    as.character(part$subtype)
  )
  expect_equal(Annotations(merged)$cluster, c("0", "1", "2", "part:a", "part:b"))
  expect_null(attr(Annotations(merged), "note"))
})

test_that("parts are named by what they are called", {
  named <- function(...) part_names(names(list(...)), as.list(substitute(list(...)))[-1], list(...))
  liver <- 1
  expect_equal(named(liver, b = 2, c(3)), c("liver", "b", "part3"))
  expect_error(MergeAnnotations(1), class = "cellferry_unsupported_object_error")
})

test_that("the whole and the parts may be paths", {
  skip_without_backend()
  local_home()
  x <- annotated_small()
  part <- sub_annotated(x)
  folder <- withr::local_tempdir()
  files <- file.path(folder, c("whole.rds", "B.rds", "merged.rds"))
  saveRDS(x, files[1])
  saveRDS(part, files[2])
  expected <- MergeAnnotations(x, B = part, verbose = FALSE)
  found <- MergeAnnotations(files[1], files[2], output = files[3], verbose = FALSE)
  merged <- readRDS(files[3])
  expect_equal(merged[[]], expected[[]])
  expect_equal(extract_stored(merged), extract_stored(expected))
  expect_equal(found$label, Annotations(expected)$label)
  expect_equal(MergeAnnotations(x, B = files[2], verbose = FALSE)[[]], expected[[]])
  expect_error(
    MergeAnnotations(files[1], part, output = files[3], verbose = FALSE),
    class = "cellferry_output_error"
  )
  expect_error(
    MergeAnnotations(x, part, output = files[3], verbose = FALSE),
    "`object` is none",
    class = "cellferry_invalid_option_error"
  )
  expect_error(
    MergeAnnotations(x, file.path(folder, "none.h5ad"), verbose = FALSE),
    class = "cellferry_input_error"
  )
})

test_that("what Python reads is a whole and a part", {
  skip_without_backend()
  skip_if_not(reticulate::py_module_available("anndata"))
  local_home()
  x <- annotated_small()
  part <- sub_annotated(x)
  folder <- withr::local_tempdir()
  h5ad <- function(object, name) {
    file <- file.path(folder, name)
    anndata <- reticulate::import("anndata", convert = FALSE)
    pandas <- reticulate::import("pandas", convert = FALSE)
    plain <- lapply(object[[]], function(x) if (is.factor(x)) as.character(x) else x)
    metadata <- as.data.frame(plain, row.names = colnames(object))
    record <- reticulate::dict(cellferry = do.call(reticulate::dict, extract_stored(object)))
    # reticulate makes "NA" of a text that is missing.
    frame <- pandas$DataFrame(metadata)
    obs <- frame$mask(frame$eq("NA"))
    anndata$AnnData(obs = obs, uns = record)$write_h5ad(file)
    file
  }
  expected <- MergeAnnotations(x, B = part, verbose = FALSE)
  of_file <- MergeAnnotations(x, h5ad(part, "B.h5ad"), verbose = FALSE)
  expect_equal(of_file[[]], expected[[]])
  output <- file.path(folder, "merged.h5ad")
  found <- MergeAnnotations(h5ad(x, "x.h5ad"), B = part, output = output, verbose = FALSE)
  expect_equal(found$label, Annotations(expected)$label)
  expect_equal(Annotations(output)$label, Annotations(expected)$label)
})
