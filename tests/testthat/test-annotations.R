test_that("the columns are those of the Python package", {
  skip_without_backend()
  described <- describe_backend()
  expect_identical(annotation_columns, unlist(described$columns))
  expect_identical(printed_columns, unlist(described$printed))
})

test_that("Annotations() survives saving and needs no Python", {
  file <- withr::local_tempfile(fileext = ".rds")
  object <- labelled_object()
  saveRDS(object, file)
  found <- Annotations(readRDS(file))
  expect_s3_class(found, c("cellferry_annotations", "data.frame"), exact = TRUE)
  expect_named(found, names(annotation_columns))
  expect_identical(found$cluster, c("0", "1", "2"))
  expect_identical(found$n_cells, as.vector(table(SeuratObject::Idents(object))))
  expect_identical(found$supporting[[2]], c("CD3E", "G1"))
  expect_identical(found$missing, list(character(), character(), character()))
  expect_identical(found$cost_usd, rep(NA_real_, 3))
  out <- run_r(
    c(
      "library(cellferry)", sprintf("x <- readRDS(%s)", deparse(file)),
      "cat('labels:', Annotations(x)$label)"
    ),
    "RETICULATE_PYTHON=/nonexistent/python"
  )
  expect_identical(out[length(out)], "labels: type 0 type 1 type 2")
})

test_that("five columns and a summary are printed", {
  withr::local_options(cli.num_colors = 1L)
  found <- Annotations(labelled_object())
  expect_identical(capture.output(print(found)), c(
    "cluster  n_cells  label   confidence  status",
    "0             36  type 0        0.50  ok",
    "1             25  type 1        0.50  ok",
    "2             19  type 2        0.50  ok",
    "# 3 clusters: 3 ok"
  ))
  expect_match(capture.output(print(found["label"]))[2], "type 0")
})

test_that("wide labels are aligned by their width on the screen", {
  frame <- data.frame(label = c("\u4e2d\u6587", "T"), status = "ok")
  shown <- format_columns(frame)
  expect_identical(shown[2:3], c("\u4e2d\u6587   ok", "T      ok"))
})

test_that("the newest key is the default, and others can be asked for", {
  object <- labelled_object("old", small_json(created = "2026-01-01", key = "old"))
  groups <- extract_groups(object)
  newer <- as.character(small_json(created = "2026-02-01", key = "new"))
  object <- attach_annotations(object, own_delivery(groups$names), groups, "new", newer)
  object <- attach_annotations(
    object, own_delivery(groups$names), groups, "older",
    as.character(small_json(created = "2025-02-01"))
  )
  expect_identical(attr(Annotations(object), "key"), "new")
  expect_identical(attr(Annotations(object, "old"), "key"), "old")
  expect_messages(Annotations(object, "nwe"), "annotations-missing-key")
})

test_that("after subset the cells are counted anew and gone clusters marked", {
  object <- labelled_object()
  keep <- colnames(object)[SeuratObject::Idents(object) %in% c("0", "2")]
  part <- subset(object, cells = keep[-1])
  found <- Annotations(part)
  expect_identical(found$n_cells, c(35L, 0L, 19L))
  expect_match(attr(found, "note"), "\"1\"", fixed = TRUE)
  expect_match(capture.output(print(found))[6], "No longer in the object: \"1\"", fixed = TRUE)
})

test_that("cells are not counted by a column that holds other clusters", {
  object <- labelled_object()
  object$RNA_snn_res.1 <- NULL
  object$RNA_snn_res.1 <- "other"
  found <- Annotations(object)
  expect_identical(found$n_cells, c(1L, 1L, 1L))
  expect_match(attr(found, "note"), "could not be counted")
})

test_that("after merge only labels are returned, and that is said", {
  object <- labelled_object()
  merged <- suppressWarnings(merge(object, small_object()))
  expect_messages(found <- Annotations(merged), "merged")
  expect_setequal(found$label, c("type 0", "type 1", "type 2"))
  expect_identical(sum(found$n_cells), 80L)
  expect_error(SupportingMarkers(merged), class = "cellferry_annotations_missing_error")
  expect_error(Markers(merged), class = "cellferry_annotations_missing_error")
})

test_that("objects without annotations, damaged and newer ones are told apart", {
  expect_messages(Annotations(small_object()), "annotations-missing")
  expect_messages(Annotations(1), "annotations-unsupported")
  newer <- labelled_object(json = "{\"schema\":\"cellferry.annotations/99\"}")
  expect_messages(Annotations(newer), "annotations-newer")
  damaged <- labelled_object(json = "{\"schema\":")
  expect_error(Annotations(damaged), class = "cellferry_annotations_format_error")
})
