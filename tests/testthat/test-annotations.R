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
  expect_identical(found$n_cells, c(36L, 25L, 19L))
  expect_match(attr(found, "note"), "counted by the labels that were written")
  object$cell_type <- NULL
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

test_that("objects without annotations, damaged and newer ones are distinguished", {
  expect_messages(Annotations(small_object()), "annotations-missing")
  expect_messages(Annotations(1), "annotations-unsupported")
  newer <- labelled_object(json = "{\"schema\":\"cellferry.annotations/99\"}")
  expect_messages(
    Annotations(newer), "annotations-newer", c("than [0-9.]+ wrote" = "than 0.0 wrote")
  )
  damaged <- labelled_object(json = "{\"schema\":")
  expect_error(Annotations(damaged), class = "cellferry_annotations_format_error")
})

test_that("supporting markers are a list for DotPlot(), no gene twice", {
  object <- labelled_object()
  expect_identical(
    SupportingMarkers(object),
    list("type 0" = c("CD3E", "G0"), "type 1" = "G1", "type 2" = "G2")
  )
  expect_identical(SupportingMarkers(object, n = 1)[["type 0"]], "CD3E")
  expect_identical(SupportingMarkers(Annotations(object)), SupportingMarkers(object))
  expect_error(SupportingMarkers(object, n = 0), class = "cellferry_invalid_option_error")
})

test_that("supporting markers have the names of the object's genes", {
  json <- jsonlite::fromJSON(small_json(), simplifyVector = FALSE)
  json$provenance$gene_names <- list(CD3E = "ENSG00000198851")
  json <- jsonlite::toJSON(json, auto_unbox = TRUE, null = "null")
  found <- SupportingMarkers(labelled_object(json = json))
  expect_identical(found[["type 0"]], c("ENSG00000198851", "G0"))
})

test_that("supporting markers of an object with Ensembl identifiers are its genes", {
  skip_without_backend()
  local_home()
  genes <- c(
    MS4A1 = "ENSG00000156738", CD79A = "ENSG00000105369", CD79B = "ENSG00000007312",
    CD19 = "ENSG00000177455", CD3D = "ENSG00000167286", CD3E = "ENSG00000198851",
    CD3G = "ENSG00000160654", CD2 = "ENSG00000116824"
  )
  values <- kronecker(matrix(c(5, 0, 0, 5), 2), matrix(1, 4, 10))
  values <- rbind(values, matrix(1, 300, 20))
  dimnames(values) <- list(c(genes, sprintf("ENSG9%010d", 1:300)), paste0("cell", 1:20))
  object <- suppressWarnings(SeuratObject::CreateSeuratObject(values))
  object <- SeuratObject::SetAssayData(object, new.data = methods::as(values, "CsparseMatrix"))
  object$group <- rep(c("b", "t"), each = 10)
  markers <- data.frame(
    cluster = rep(c("b", "t"), each = 4), gene = genes, avg_log2FC = 4, pct.1 = 1, pct.2 = 0
  )
  # The other 300 genes are no genes of any species, and a warning says so.
  labelled <- suppressMessages(suppressWarnings(
    AnnotateClusters(object, markers, group.by = "group")
  ))
  supporting <- unlist(SupportingMarkers(labelled))
  expect_gt(length(supporting), 0)
  expect_true(all(supporting %in% rownames(labelled)))
  # What people read stays in symbols.
  expect_true("MS4A1" %in% Annotations(labelled)$supporting[[1]])
})

test_that("clusters without a label have no supporting markers", {
  json <- gsub("\"ok\"", "\"unknown\"", as.character(small_json()))
  expect_identical(SupportingMarkers(labelled_object(json = json)), list())
})

test_that("genes and markers are asked of clusters, also where cells were annotated later", {
  object <- labelled_object()
  groups <- extract_groups(object)
  newer <- cells_json(created = "2027-01-01", key = "newer", clusters = c("a", "b"))
  delivery <- own_delivery(groups$names)
  names(delivery) <- sub("cell_type", "newer", names(delivery))
  object <- attach_annotations(object, delivery, groups, "newer", newer)
  expect_named(SupportingMarkers(object), c("type 0", "type 1", "type 2"))
  expect_identical(levels(Markers(object)$cluster), c("0", "1", "2"))
  found <- Annotations(object)
  expect_identical(attr(found, "key"), "newer")
  expect_true(any(grepl(
    "These are of the key \"newer\"; there is also \"cell_type\".", capture.output(print(found)),
    fixed = TRUE
  )))
})

test_that("labels without cells have no supporting markers", {
  object <- labelled_object()
  part <- subset(object, cells = colnames(object)[SeuratObject::Idents(object) == "2"])
  expect_named(SupportingMarkers(part), "type 2")
})

test_that("an error of what makes the record is not taken for a damaged record", {
  expect_error(parse_annotations(stop("no answer")), "no answer")
  expect_error(parse_annotations("{}"), class = "cellferry_annotations_format_error")
})
