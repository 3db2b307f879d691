test_that("layers are named without the suffix of a split", {
  expect_setequal(extract_layer_names(small_object(), "RNA"), c("counts", "data", "scale.data"))
  expect_identical(extract_layer_names(small_sce()), c("counts", "logcounts"))
  skip_without_seurat5()
  expect_setequal(extract_layer_names(split_object(), "RNA"), c("counts", "data"))
})

test_that("genes and variable features are in the order of the assay", {
  object <- small_object()
  expect_identical(extract_all_genes(object), rownames(object))
  expect_identical(extract_variable_features(object), SeuratObject::VariableFeatures(object))
  expect_identical(extract_variable_features(small_sce()), character())
  expect_identical(extract_all_genes(small_sce()), rownames(object))
})

test_that("the identity is found among the columns only where all of it is the same", {
  object <- small_object()
  expect_identical(extract_idents(object)$column, "RNA_snn_res.1")
  expect_identical(vector_of(extract_idents(object)$values), unname(SeuratObject::Idents(object)))
  object$RNA_snn_res.1 <- factor(object$RNA_snn_res.1, levels = c("2", "1", "0"))
  expect_null(extract_idents(object)$column)
  expect_null(extract_idents(small_sce()))
})

test_that("what no function reads is listed by kind", {
  object <- small_object()
  SeuratObject::Misc(object, "mine") <- 1
  others <- extract_others(object)
  expect_identical(others$misc, "mine")
  expect_true("FindClusters" %in% others$command)
  expect_identical(others$assay, character())
  expect_identical(
    others[["part of a reduction"]], c("pca: jackstraw", "pca: projected loadings")
  )
  sce <- small_sce()
  sce <- set_experiment_metadata(sce, list(cellferry = list(), other = 1))
  expect_identical(extract_others(sce)$metadata, "other")
})
