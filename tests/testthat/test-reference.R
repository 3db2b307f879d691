# An object with labels to learn from.
labelled_reference <- function() {
  x <- small_object()
  x$kind <- unname(c(
    "0" = "Monocyte", "1" = "Lymphocyte", "2" = "Platelet"
  )[as.character(x$RNA_snn_res.1)])
  x
}

test_that("a model is trained on a Seurat object, and labels cells and clusters by it", {
  skip_without_backend()
  local_home()
  x <- labelled_reference()
  file <- withr::local_tempfile(fileext = ".npz")
  expect_message(
    found <- TrainReference(x, "kind", file),
    "3 labels, .* genes. Of the cells held out .* % are right"
  )
  expect_identical(found$classes, c("Lymphocyte", "Monocyte", "Platelet"))
  expect_gt(found$cross_validation$right, 0.8)
  y <- AnnotateClusters(
    small_object(),
    engine = ReferenceEngine(file), group.by = "RNA_snn_res.1", verbose = FALSE
  )
  table <- Annotations(y)
  # Of 80 cells little is sure; what is not is Unknown.
  expect_identical(table$label[[1]], "Monocyte")
  expect_true(all(table$label %in% c("Monocyte", "Lymphocyte", "Platelet", "Unknown")))
  expect_identical(table$confidence_kind[[1]], "calibrated")
  z <- suppressWarnings(
    AnnotateCells(small_object(), engine = "reference", model = file, verbose = FALSE)
  )
  named <- !z$cell_type_cell %in% c("Unknown", NA)
  expect_gt(sum(named), 15)
  expect_gt(mean(as.character(z$cell_type_cell)[named] == x$kind[named]), 0.9)
})

test_that("what no model can be made of is refused, and a file is not replaced", {
  skip_without_backend()
  x <- labelled_reference()
  file <- withr::local_tempfile(fileext = ".npz")
  writeLines("mine", file)
  expect_error(TrainReference(x, "kind", file), class = "cellferry_output_error")
  unlink(file)
  x$one <- "B cell"
  expect_error(TrainReference(x, "one", file), "two labels", class = "cellferry_model_error")
  x$kind[1:3] <- NA
  expect_error(
    TrainReference(x, "kind", file), "3 of 80 cells have no label",
    class = "cellferry_model_error"
  )
  expect_error(
    TrainReference(x, "kind", file), "`leave[.]out = TRUE`",
    class = "cellferry_model_error"
  )
  expect_silent(TrainReference(x, "kind", file, leave.out = TRUE, verbose = FALSE))
  expect_true(file.exists(file))
  unlink(file)
  expect_error(TrainReference(x, "kid", file), class = "cellferry_group_missing_error")
  expect_error(
    AnnotateCells(x, engine = ReferenceEngine("nowhere.npz")),
    class = "cellferry_model_error"
  )
  expect_error(
    AnnotateCells(x, engine = "reference"), "needs a model",
    class = "cellferry_engine_needs_error"
  )
})

test_that("a reference in a file is trained on as one of the session", {
  skip_without_backend()
  x <- labelled_reference()
  files <- c(rds = ".rds", one = ".npz", two = ".npz") |>
    vapply(function(end) withr::local_tempfile(fileext = end, .local_envir = parent.frame(3)), "")
  saveRDS(x, files["rds"])
  one <- TrainReference(x, "kind", files[["one"]], verbose = FALSE)
  two <- TrainReference(files[["rds"]], "kind", files[["two"]], verbose = FALSE)
  expect_identical(one$cross_validation, two$cross_validation)
})
