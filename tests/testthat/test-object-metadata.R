test_that("every type of column becomes a plain one and comes back, bit by bit", {
  for (seed in 1:20) {
    frame <- every_type(seed)
    columns <- extract_metadata_columns(frame)
    expect_true(all(vapply(columns, function(column) column$action, "") == "taken"))
    back <- lapply(columns, vector_of)
    names(back) <- vapply(columns, function(column) column$name, "")
    expect_same_bits(back, as.list(frame))
    plain <- vapply(columns, function(column) is.null(attributes(column$values)), NA)
    expect_true(all(plain))
  }
})

column <- function(x) {
  frame <- structure(list(x = x), class = "data.frame", row.names = .set_row_names(NROW(x)))
  extract_metadata_columns(frame)[[1]]
}

test_that("what changes on the way says so once", {
  coerced <- list(
    as_is = I(1:3), difference = as.difftime(1:3, units = "mins"),
    broken_down = as.POSIXlt(.POSIXct(1:3, tz = "UTC")), level = addNA(factor(c("a", NA, "a"))),
    other = structure(1:3, class = "of_a_package"),
    day = structure(c(0.5, 1, 2), class = "Date"), never = structure(c(Inf, 1, 2), class = "Date")
  )
  for (name in names(coerced)) {
    found <- column(coerced[[name]])
    expect_identical(found$action, "coerced", info = name)
    expect_match(found$why, "\\.$", info = name)
  }
  expect_identical(column(coerced$difference)$values, c(1, 2, 3))
  expect_identical(column(coerced$level)$values, c(0L, -1L, 0L))
  expect_identical(column(coerced$level)$levels, "a")
})

test_that("columns of more than one value per row stay behind and are named", {
  left <- list(
    lists = list(1, "a", NULL), matrix = matrix(1:6, 3), frame = data.frame(a = 1:3),
    complex = complex(3), raw = raw(3)
  )
  for (name in names(left)) {
    found <- column(left[[name]])
    expect_identical(found$action, "left", info = name)
    expect_identical(found$kind, "left", info = name)
    expect_match(found$why, "\\.$", info = name)
  }
})

test_that("metadata of genes comes in the order of the genes", {
  object <- small_object()
  genes <- extract_genes(object)
  found <- extract_feature_metadata(object)
  expect_identical(rownames(found), genes)
  expect_identical(found, object[["RNA"]]@meta.features[genes, ])
  expect_identical(
    extract_feature_metadata(object, genes = rev(genes))$vst.mean, rev(found$vst.mean)
  )
})

test_that("metadata of the genes of a split assay comes in the order of the genes", {
  skip_without_seurat5()
  object <- split_object()
  object@assays$RNA@meta.data$rank <- seq_len(30)
  genes <- c("gene20", "gene3")
  found <- extract_feature_metadata(object, genes = genes)
  expect_identical(found$rank, c(20L, 3L))
})

test_that("nested columns of a SingleCellExperiment are not unfolded", {
  testthat::skip_if_not_installed("SingleCellExperiment")
  object <- small_sce()
  object$nested <- S4Vectors::DataFrame(a = 1:80, b = 1:80)
  metadata <- extract_metadata(object)
  expect_identical(names(metadata), c("label", "nested"))
  expect_identical(rownames(metadata), colnames(object))
  actions <- vapply(extract_metadata_columns(object), function(column) column$action, "")
  expect_identical(actions, c("taken", "left"))
})
