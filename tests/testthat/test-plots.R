testthat::skip_if_not_installed("ggplot2")

expect_drawn <- function(plot) {
  testthat::expect_s3_class(plot, "ggplot")
  file <- withr::local_tempfile(fileext = ".png")
  grDevices::png(file, 1000, 800, res = 110)
  tryCatch(print(plot), finally = grDevices::dev.off())
  testthat::expect_gt(file.size(file), 1000)
}

test_that("labels are drawn in their colours, at their places", {
  skip_without_backend()
  object <- plotted_object(5)
  plot <- LabelPlot(object)
  dots <- layer_of(plot)
  expect_equal(nrow(dots), ncol(object))
  umap <- SeuratObject::Embeddings(object, "umap")
  place <- match(round(dots$x, 6), round(umap[, 1], 6))
  labels <- as.character(object$cell_type)[place]
  expect_identical(dots$colour, unname(LabelColors(object)[labels]))
  expect_setequal(layer_of(plot, 2)$label, names(LabelColors(object)))
  expect_identical(plot$theme$legend.position, "none")
  expect_drawn(plot)
})

test_that("labels are readable at 12 and 30, beside when there are more", {
  skip_without_backend()
  for (n in c(12, 30)) {
    object <- plotted_object(n)
    expect_drawn(LabelPlot(object))
    beside <- LabelPlot(object, legend = "beside", dark = TRUE)
    expect_setequal(layer_of(beside, 2)$label, as.character(seq_len(n)))
    expect_drawn(beside)
  }
  object$many <- rep(paste("type", 1:31), length.out = ncol(object))
  expect_setequal(layer_of(LabelPlot(object, "many"), 2)$label, as.character(1:31))
})

test_that("the random numbers of the session are not used", {
  skip_without_backend()
  object <- plotted_object(5)
  set.seed(1)
  before <- .Random.seed
  expect_drawn(LabelPlot(object))
  expect_identical(.Random.seed, before)
})

test_that("cells without a label are grey", {
  skip_without_backend()
  object <- plotted_object(5)
  object$cell_type[1:7] <- NA
  expect_identical(sum(layer_of(LabelPlot(object))$colour == "#c6cccf"), 7L)
  compared <- LabelComparisonPlot(object, "cell_type", "donor")
  expect_identical(levels(compared$data$row)[1], "no label")
  expect_drawn(CompositionPlot(object, sample.by = "donor"))
})

test_that("confidence goes from 0 to 1", {
  skip_without_backend()
  object <- plotted_object(5)
  plot <- ConfidencePlot(object, dark = TRUE)
  expect_identical(plot$scales$get_scales("colour")$limits, c(0, 1))
  expect_false(is.unsorted(-plot$data$confidence))
  expect_drawn(plot)
  object$cell_type_confidence <- NULL
  expect_error(ConfidencePlot(object), class = "cellferry_group_missing_error")
})

test_that("supporting markers are on the diagonal", {
  skip_without_backend()
  object <- plotted_object(12)
  plot <- SupportingMarkersPlot(object)
  data <- plot$data
  expect_identical(nrow(data), 12L * 36L)
  expect_identical(rev(levels(data$label)), names(LabelColors(object)))
  highest <- data[data$mean == 1, ]
  expect_identical(
    (as.integer(highest$gene) - 1L) %/% 3L, 12L - as.integer(highest$label)
  )
  # The values are those of Seurat's own dot plot.
  theirs <- Seurat::DotPlot(object, features = levels(data$gene), group.by = "cell_type")$data
  at <- match(paste(data$gene, data$label), paste(theirs$features.plot, theirs$id))
  expect_equal(100 * data$share, theirs$pct.exp[at])
  expect_drawn(plot)
})

test_that("supporting markers of many labels have names in two rows, on shaded ground", {
  skip_without_backend()
  object <- plotted_object(30)
  plot <- SupportingMarkersPlot(object)
  expect_identical(nrow(plot$data), 30L * 90L)
  ground <- plot$layers[[1]]$data
  expect_identical(nrow(ground), 15L)
  expect_equal(ground$from, seq(0.5, 84.5, by = 6))
  expect_equal(ground$to, ground$from + 3)
  expect_drawn(plot)
  expect_drawn(SupportingMarkersPlot(object, dark = TRUE))
  expect_length(SupportingMarkersPlot(plotted_object(12))$layers, 1)
})

test_that("a comparison has shares of rows", {
  skip_without_backend()
  object <- plotted_object(5)
  plot <- LabelComparisonPlot(object, "clusters", with = "cell_type")
  expect_equal(sum(plot$data$share), 5)
  expect_identical(sum(plot$data$share == 1), 5L)
  expect_identical(levels(plot$data$column), names(LabelColors(object)))
  expect_drawn(plot)
  expect_error(LabelComparisonPlot(object, "clusters", "nothing"), class = "cellferry_error")
})

test_that("a composition has a bar for each sample", {
  skip_without_backend()
  object <- plotted_object(5)
  plot <- CompositionPlot(object, sample.by = "donor")
  bars <- layer_of(plot)
  expect_equal(sum(bars$xmax - bars$xmin), 2)
  first <- bars[bars$xmin == 0, ]
  expect_identical(unique(first$fill), LabelColors(object)[["CD4 T cell"]])
  counts <- layer_of(CompositionPlot(object, sample.by = "donor", counts = TRUE))
  expect_equal(sum(counts$xmax - counts$xmin), ncol(object))
  expect_drawn(plot)
})

test_that("what can't be drawn is said", {
  skip_without_backend()
  object <- plotted_object(5)
  expect_error(LabelPlot(object, reduction = "tsne"), class = "cellferry_invalid_option_error")
  expect_error(LabelPlot(object, legend = "left"), class = "cellferry_invalid_option_error")
  expect_error(CompositionPlot(object, sample.by = "doner"), class = "cellferry_error")
  object[["umap"]] <- NULL
  expect_error(LabelPlot(object), class = "cellferry_group_missing_error")
  expect_error(LabelPlot(small_object()), class = "cellferry_annotations_missing_error")
})
