# What Python sends, as plain parts.
plain_parts <- function(...) {
  counts <- random_counts(5, 8)
  cells <- colnames(counts)
  genes <- rownames(counts)
  dimnames(counts) <- NULL
  data <- counts
  data@x <- log1p(data@x)
  columns <- extract_metadata_columns(
    data.frame(n = seq_along(cells), f = factor(rep_len(c("b", "a", NA), 8), c("b", "a")))
  )
  parts <- list(
    assay = "RNA", cells = cells, genes = genes, layers = list(counts = counts, data = data),
    metadata = columns, features = extract_metadata_columns(data.frame(long = genes)),
    variable_features = genes[c(3, 1)],
    reductions = list(list(
      name = "pca", key = "PC_", values = matrix(as.double(1:16), 8),
      loadings = matrix(c(1, 2, 3, 4), 2), loading_genes = genes[c(2, 4)], stdev = c(2, 1)
    )),
    graphs = list(list(
      name = "RNA_nn", assay = "RNA", mat = methods::as(diag(8), "CsparseMatrix")
    )),
    idents = columns[[2]], misc = list(cellferry = list(cell_type = "{}"))
  )
  given <- list(...)
  parts[names(given)] <- given
  parts
}

test_that("an object is valid and holds exactly what was given", {
  parts <- plain_parts()
  object <- construct_seurat(parts)
  expect_true(methods::validObject(object, complete = TRUE))
  for (layer in c("counts", "data")) {
    part <- layer_parts(object, "RNA", layer)[[1]]
    expect_identical(unname(as.matrix(part$mat)), as.matrix(parts$layers[[layer]]))
    expect_identical(part$genes, parts$genes)
    expect_identical(part$cells, parts$cells)
  }
  expect_identical(object[[]]$f, factor(rep_len(c("b", "a", NA), 8), c("b", "a")))
  expect_identical(
    as.character(SeuratObject::Idents(object)), as.character(rep_len(c("b", "a", NA), 8))
  )
  expect_identical(SeuratObject::VariableFeatures(object), parts$variable_features)
  expect_identical(unname(SeuratObject::Embeddings(object, "pca")), matrix(as.double(1:16), 8))
  expect_identical(rownames(SeuratObject::Loadings(object, "pca")), parts$genes[c(2, 4)])
  expect_identical(SeuratObject::Stdev(object, "pca"), c(2, 1))
  expect_identical(methods::slot(object[["RNA_nn"]], "assay.used"), "RNA")
  expect_identical(extract_stored(object), list(cell_type = "{}"))
})

test_that("what was made is read again as it was given", {
  parts <- plain_parts()
  object <- construct_seurat(parts)
  expect_identical(extract_metadata_columns(object), parts$metadata)
  features <- extract_feature_metadata(object, "RNA")
  expect_identical(features$long, parts$genes)
  expect_identical(extract_idents(object)$column, "f")
  expect_identical(extract_reductions(object)$pca$values, parts$reductions[[1]]$values)
  expect_identical(unname(as.matrix(extract_graphs(object)$RNA_nn$mat)), diag(8))
})

test_that("counts alone are an assay too", {
  parts <- plain_parts()
  parts$layers$data <- NULL
  object <- construct_seurat(parts)
  expect_length(layer_parts(object, "RNA", "counts"), 1L)
  expect_true(methods::validObject(object, complete = TRUE))
})

test_that("Seurat works with what was made", {
  skip_if_not_installed("Seurat")
  object <- Seurat::NormalizeData(construct_seurat(plain_parts()), verbose = FALSE)
  expect_equal(dim(object), c(5, 8))
  expect_equal(ncol(merge(object, object, add.cell.ids = c("a", "b"))), 16)
  expect_identical(colnames(subset(object, n > 6)), c("cell7", "cell8"))
})

test_that("the class of the assay is that of this generation", {
  object <- construct_seurat(plain_parts())
  expect_identical(is_layered(methods::slot(object, "assays")$RNA), makes_layered())
  expect_identical(SeuratObject::Key(object[["RNA"]]), "rna_", ignore_attr = TRUE)
  expect_identical(assay_key("my assay.1"), "myassay1_")
})

test_that("a damaged matrix is not made", {
  expect_error(construct_matrix(c(0L, 9L), c(0L, 2L), c(1, 2), c(3L, 1L)))
  expect_error(construct_matrix(c(1L, 0L), c(0L, 2L), c(1, 2), c(3L, 1L)))
})
