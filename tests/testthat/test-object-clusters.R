cases <- list(
  numeric_like = c("0", "10", "7"),
  unicode = c("\u00e9t\u00e9", "\u4e2d\u6587", "\U0001f9ec"),
  spaces = c("B cell", " leading", "trailing "),
  underscore = c("7_0", "7_1", "10_0"),
  similar = c("1", "1.0", "01"),
  odd = c("a/b", "\"quoted\"", "NA"),
  prefix = c("CD4", "CD4 T", "T")
)

test_that("every kind of cluster name keeps its own label", {
  for (case in names(cases)) {
    names <- cases[[case]]
    object <- renamed_object(names)
    groups <- extract_groups(object, "renamed")
    expect_setequal(groups$names, names)
    labelled <- attach_annotations(object, own_delivery(groups$names), groups, "cell_type", "{}")
    expect_identical(
      as.character(labelled$cell_type), paste("is", object$renamed),
      ignore_attr = TRUE, info = case
    )
  }
})

test_that("clusters are in the order of levels, numbers or nature, without unused levels", {
  object <- small_object()
  old <- as.integer(as.character(SeuratObject::Idents(object))) + 1L
  object$factor <- factor(c("x", "b", "a")[old], levels = c("unused", "b", "x", "a"))
  object$number <- c(10, 2, 0.5)[old]
  object$large <- c(1e5, 2e5, 3)[old]
  object$whole <- c(10L, 2L, 1L)[old]
  object$text <- c("10", "2", "1")[old]
  object$flag <- (old == 1)
  expect_identical(extract_groups(object, "factor")$names, c("b", "x", "a"))
  expect_identical(extract_groups(object, "number")$names, c("0.5", "2", "10"))
  expect_identical(extract_groups(object, "large")$names, c("3", "100000", "200000"))
  expect_identical(extract_groups(object, "whole")$names, c("1", "2", "10"))
  expect_identical(extract_groups(object, "text")$names, c("1", "2", "10"))
  expect_identical(extract_groups(object, "flag")$names, c("FALSE", "TRUE"))
  for (column in c("factor", "number", "large", "whole", "text", "flag")) {
    groups <- extract_groups(object, column)
    expect_identical(groups$names[groups$codes], cluster_texts(object[[column]][[1]]))
  }
})

test_that("the natural order is that of Python", {
  skip_without_backend()
  names <- c(
    "10", "2", "1", "01", "001", "a10", "a2", "B", "b", "7_10", "7_2", "\u00e9", "T cell", "T",
    "", "1a", "1 a", "99999999999999999999", "100000000000000000000"
  )
  lists <- stats::setNames(rep(list("CD3E"), length(names) - 1), setdiff(names, ""))
  expect_identical(
    natural_sort(setdiff(names, "")), levels(ReadMarkers(sample(lists))$cluster)
  )
})

test_that("the active identity names its metadata column", {
  groups <- extract_groups(small_object())
  expect_identical(groups$column, "RNA_snn_res.1")
  object <- small_object()
  SeuratObject::Idents(object) <- rev(as.character(SeuratObject::Idents(object)))
  expect_null(extract_groups(object)$column)
})

test_that("cells without a cluster have no code, and only NA is no cluster", {
  object <- renamed_object(c("NA", "b", NA))
  groups <- extract_groups(object, "renamed")
  expect_identical(groups$names, c("NA", "b"))
  expect_identical(is.na(groups$codes), unname(is.na(object$renamed)))
  object$renamed <- NA
  expect_messages(extract_groups(object, "renamed"), "group-empty")
})

test_that("a missing column names the columns that can be clusters", {
  expect_messages(extract_groups(small_object(), "gruops"), "group-missing")
})

test_that("the identity is found among the columns only where all of it is the same", {
  object <- small_object()
  expect_identical(extract_idents(object)$column, "RNA_snn_res.1")
  expect_identical(vector_of(extract_idents(object)$values), unname(SeuratObject::Idents(object)))
  object$RNA_snn_res.1 <- factor(object$RNA_snn_res.1, levels = c("2", "1", "0"))
  expect_null(extract_idents(object)$column)
  expect_null(extract_idents(small_sce()))
})
