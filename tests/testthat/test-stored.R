# An object whose three clusters have labels and confidences of their own.
apart_object <- function(labels = c("T cell", "B cell", "Monocyte"), confidence = c(0.9, 0.8, 0.7),
                         sizes = c(36L, 25L, 19L)) {
  groups <- extract_groups(small_object())
  delivery <- data.frame(
    cluster = groups$names, cell_type = factor(labels, unique(labels)),
    cell_type_confidence = confidence, cell_type_status = factor("ok")
  )
  json <- jsonlite::fromJSON(small_json(), simplifyVector = FALSE)
  for (i in seq_along(json$rows)) {
    json$rows[[i]][c("label", "confidence", "n_cells")] <- list(
      labels[i], confidence[i], sizes[i]
    )
  }
  json <- jsonlite::toJSON(json, auto_unbox = TRUE, null = "null", digits = NA)
  attach_annotations(small_object(), delivery, groups, "cell_type", as.character(json))
}

reclustered <- function(object, seed = 1) {
  set.seed(seed)
  object$RNA_snn_res.1 <- factor(sample(c("0", "1", "2"), ncol(object), replace = TRUE))
  object
}

test_that("after other clusters are in the column, cells are counted by their labels", {
  object <- apart_object()
  for (seed in 1:5) {
    found <- Annotations(reclustered(object, seed))
    expect_identical(found$n_cells, as.vector(table(object$cell_type)[found$label]))
    expect_match(attr(found, "note"), "\"RNA_snn_res.1\" is gone or was changed", fixed = TRUE)
  }
  same <- Annotations(object)
  expect_identical(same$n_cells, c(36L, 25L, 19L))
  expect_null(attr(same, "note"))
})

test_that("a subset of clusters that are others by now is counted by labels too", {
  object <- reclustered(apart_object())
  part <- subset(object, cells = colnames(object)[object$cell_type != "B cell"][-1])
  found <- Annotations(part)
  expect_identical(sum(found$n_cells), ncol(part))
  expect_identical(found$n_cells[2], 0L)
  expect_match(attr(found, "note"), "No longer in the object: \"1\"", fixed = TRUE)
})

test_that("the picture of a report is of the clusters that were annotated", {
  object <- apart_object()
  groups <- stored_groups(reclustered(object), Annotations(object))
  labels <- Annotations(object)$label[match(groups$names, Annotations(object)$cluster)]
  expect_identical(labels[groups$codes], as.character(object$cell_type))
})

test_that("labels that were changed by hand are counted, and the clusters stay", {
  object <- apart_object()
  levels(object$cell_type) <- c(levels(object$cell_type), "NK cell")
  object$cell_type[which(object$cell_type == "T cell")[1:10]] <- "NK cell"
  found <- Annotations(object)
  expect_identical(found$n_cells, c(36L, 25L, 19L))
  expect_match(attr(found, "note"), "10 cells have another label in \"cell_type\"", fixed = TRUE)
  missing <- apart_object()
  missing$cell_type[1:5] <- NA
  expect_match(attr(Annotations(missing), "note"), "5 cells have another label", fixed = TRUE)
})

test_that("clusters of one label are counted apart by what else was written", {
  object <- apart_object(c("T cell", "T cell", "B cell"))
  expect_identical(Annotations(reclustered(object))$n_cells, c(36L, 25L, 19L))
  # Nothing differs between them: the sizes show that cells have moved.
  alike <- apart_object(c("T cell", "T cell", "B cell"), c(0.9, 0.9, 0.8))
  expect_null(attr(Annotations(alike), "note"))
  alike$RNA_snn_res.1[which(alike$RNA_snn_res.1 == "1")[1:5]] <- "0"
  expect_match(attr(Annotations(alike), "note"), "counted by the labels")
  expect_identical(Annotations(alike)$n_cells, c(36L, 25L, 19L))
  part <- alike[, -1]
  expect_identical(is.na(Annotations(part)$n_cells), c(TRUE, TRUE, FALSE))
  expect_match(attr(Annotations(part), "note"), "can't be counted apart")
})

test_that("without a column of clusters cells are counted by labels, without both not at all", {
  object <- apart_object()
  object$RNA_snn_res.1 <- NULL
  expect_identical(Annotations(object)$n_cells, c(36L, 25L, 19L))
  object$cell_type <- NULL
  expect_match(attr(Annotations(object), "note"), "could not be counted")
})

test_that("types without cells are not among the supporting markers", {
  object <- labelled_object()
  part <- subset(object, cells = colnames(object)[SeuratObject::Idents(object) != "1"])
  expect_named(SupportingMarkers(part), c("type 0", "type 2"))
})

test_that("a lost record names no cause that is not known", {
  lost <- apart_object()
  lost@misc <- list()
  expect_messages(found <- Annotations(lost), "merged")
  expect_setequal(found$label, c("T cell", "B cell", "Monocyte"))
  expect_messages(SupportingMarkers(lost), "record-lost")
})

test_that("columns whose record was lost are replaced, and it is said", {
  skip_without_backend()
  local_home()
  object <- AnnotateClusters(small_object(), small_markers(), verbose = FALSE)
  lost <- object
  lost@misc <- list()
  expect_messages(again <- AnnotateClusters(lost, small_markers(), verbose = FALSE), "record-again")
  expect_identical(again@meta.data, object@meta.data)
  # As merge() leaves it: text in place of factors, cells that nobody annotated.
  merged <- suppressWarnings(merge(object, small_object(), add.cell.ids = c("a", "b")))
  expect_true(looks_written(merged@meta.data, "cell_type"))
  for (change in list(
    list("cell_type_status", "done"), list("cell_type_confidence", 7), list("cell_type", NA),
    list("cell_type_confidence", "high"), list("cell_type_detail", NULL)
  )) {
    foreign <- lost
    foreign@meta.data[[change[[1]]]] <- change[[2]]
    expect_false(looks_written(foreign@meta.data, "cell_type"))
    expect_error(
      AnnotateClusters(foreign, small_markers(), verbose = FALSE),
      "no record that cellferry wrote", class = "cellferry_column_exists_error"
    )
  }
})
