test_that("sums are those of the counts", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$pbmc_small())
  object$condition <- ifelse(object$groups == "g1", "ill", "well")
  found <- PseudobulkCounts(object, sample.by = "groups", columns = "condition", min.cells = 2L)
  counts <- as.matrix(layer_parts(object, "RNA", "counts")[[1]]$mat)
  for (column in colnames(found$counts)) {
    row <- found$samples[column, ]
    inside <- SeuratObject::Idents(object) == row$cluster & object$groups == row$sample
    expect_identical(found$counts[, column], rowSums(counts[, inside, drop = FALSE]))
    expect_identical(as.integer(row$n_cells), sum(inside))
    expect_identical(row$condition, if (row$sample == "g1") "ill" else "well")
  }
  expect_identical(nrow(found$samples), 6L)
  expect_error(
    PseudobulkCounts(object, columns = "groups"), "several values",
    class = "cellferry_invalid_option_error"
  )
  expect_error(
    PseudobulkCounts(object, sample.by = "group"), "groups",
    class = "cellferry_group_missing_error"
  )
})
