test_that("a type has one colour, in lineage order", {
  skip_without_backend()
  object <- plotted_object(5)
  found <- LabelColors(object)
  expect_named(found, c("CD4 T cell", "NK cell", "B cell", "Monocyte", "Dendritic cell"))
  expect_identical(found[["CD4 T cell"]], "#0072b2")
  expect_match(found, "^#[0-9a-f]{6}$")
  expect_identical(LabelColors(plotted_object(12))[names(found)], found)
  expect_false(any(LabelColors(object, dark = TRUE) == found))
})

test_that("a subset changes no colour", {
  skip_without_backend()
  object <- plotted_object(30)
  part <- subset(object, cells = colnames(object)[object$cell_type %in% c("Club cell", "Pericyte")])
  expect_identical(LabelColors(part), LabelColors(object))
})

test_that("columns of others have colours too", {
  skip_without_backend()
  object <- plotted_object(5)
  object$mine <- ifelse(object$cell_type == "B cell", "B cells", "Natural killer cells")
  found <- LabelColors(object, "mine")
  expect_named(found, c("Natural killer cells", "B cells"))
  expect_identical(found[["B cells"]], LabelColors(object)[["B cell"]])
  expect_error(LabelColors(object, "mnie"), class = "cellferry_group_missing_error")
})

test_that("own colours are kept with the record", {
  skip_without_backend()
  object <- plotted_object(5)
  mine <- LabelColors(object, colors = c("B cell" = "#123456", "NK cell" = "red"))
  expect_s4_class(mine, "Seurat")
  expect_identical(LabelColors(mine)[c("B cell", "NK cell")], c(
    "B cell" = "#123456", "NK cell" = "#ff0000"
  ))
  expect_identical(LabelColors(mine)[["CD4 T cell"]], LabelColors(object)[["CD4 T cell"]])
  more <- LabelColors(mine, colors = c(Monocyte = "orange"))
  expect_identical(LabelColors(more)[["B cell"]], "#123456")
  expect_identical(Annotations(more)$label, Annotations(object)$label)
  again <- with_kept_colors(extract_stored(object)$cell_type, extract_stored(mine)$cell_type)
  expect_identical(from_json(again)$provenance$colors[["B cell"]], "#123456")
})

test_that("own colours that are none are refused", {
  skip_without_backend()
  object <- plotted_object(5)
  refused <- function(colors) {
    expect_error(LabelColors(object, colors = colors), class = "cellferry_invalid_option_error")
  }
  refused(c("B cell" = "no such colour"))
  refused(c("B cells" = "#123456"))
  refused("#123456")
  refused(c("B cell" = NA))
})

test_that("a SingleCellExperiment keeps own colours", {
  skip_without_backend()
  testthat::skip_if_not_installed("SingleCellExperiment")
  object <- suppressWarnings(Seurat::as.SingleCellExperiment(plotted_object(5)))
  S4Vectors::metadata(object)$cellferry <- list(
    cell_type = extract_stored(plotted_object(5))$cell_type
  )
  mine <- LabelColors(object, colors = c("B cell" = "#123456"))
  expect_identical(LabelColors(mine)[["B cell"]], "#123456")
  expect_s3_class(SupportingMarkersPlot(mine), "ggplot")
})
