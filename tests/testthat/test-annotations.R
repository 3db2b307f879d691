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

test_that("the report is one file", {
  skip_without_backend()
  local_home()
  file <- withr::local_tempfile(fileext = ".html")
  object <- suppressMessages(AnnotateClusters(small_object(), small_markers()))
  expect_identical(
    normalizePath(suppressMessages(AnnotationReport(object, file))), normalizePath(file)
  )
  text <- paste(readLines(file, encoding = "UTF-8", warn = FALSE), collapse = "\n")
  for (label in Annotations(object)$label) {
    expect_match(text, label, fixed = TRUE)
  }
  expect_false(grepl("src=\"http", text, fixed = TRUE))
  suppressMessages(AnnotationReport(Annotations(object), file))
  expect_true(file.exists(file))
})

read_page <- function(file) paste(readLines(file, encoding = "UTF-8", warn = FALSE), collapse = " ")

# What a report is about a labelled object, made without an engine.
report_of <- function(object, ..., frame = parent.frame()) {
  file <- withr::local_tempfile(fileext = ".html", .local_envir = frame)
  suppressMessages(AnnotationReport(object, file, ...))
  read_page(file)
}

test_that("the report of a subset counts as Annotations() does", {
  skip_without_backend()
  object <- labelled_object()
  part <- subset(object, cells = colnames(object)[SeuratObject::Idents(object) %in% c("0", "2")])
  expect_match(report_of(part), "<dd>55 <small>of 55", fixed = TRUE)
  expect_match(report_of(part), "No longer in the object: &#34;1&#34;.", fixed = TRUE)
  expect_match(report_of(Annotations(part)), "<dd>55 <small>of 55", fixed = TRUE)
  expect_match(report_of(object), "<dd>80 <small>of 80", fixed = TRUE)
})

with_embeddings <- function(object, names) {
  object@reductions <- list()
  for (name in names) {
    key <- gsub("[^a-z]", "", name)
    values <- matrix(
      seq_len(2 * ncol(object)),
      ncol = 2, dimnames = list(colnames(object), paste0(key, "_", 1:2))
    )
    object[[name]] <- SeuratObject::CreateDimReducObject(
      values,
      key = paste0(key, "_"), assay = SeuratObject::DefaultAssay(object)
    )
  }
  object
}

test_that("the newest of several embeddings is drawn, or the one that is named", {
  skip_without_backend()
  object <- with_embeddings(labelled_object(), c("umap.unintegrated", "umap.cca", "pca"))
  expect_match(report_of(object), "umap.cca, 80 cells", fixed = TRUE)
  named <- report_of(object, coordinates.key = "umap.unintegrated")
  expect_match(named, "umap.unintegrated, 80 cells", fixed = TRUE)
  expect_error(
    report_of(object, coordinates.key = "wnn"),
    class = "cellferry_invalid_option_error"
  )
  wnn <- with_embeddings(labelled_object(), c("umap", "wnn.umap"))
  expect_match(report_of(wnn), "wnn.umap, 80 cells", fixed = TRUE)
})

test_that("what was written is said, and what was chosen where nobody did", {
  skip_without_backend()
  withr::local_dir(withr::local_tempdir())
  object <- with_embeddings(labelled_object(), c("umap.unintegrated", "umap.cca"))
  groups <- extract_groups(object)
  older <- as.character(small_json(key = "old", created = "2020-01-01"))
  object <- attach_annotations(object, own_delivery(groups$names), groups, "old", older)
  writeLines("my thesis", "mine.html")
  expect_identical(
    signalled_by(AnnotationReport(object, "r.html"))[2],
    paste0(
      "Wrote r.html, of the key \"cell_type\" (key = chooses \"old\"), with the embedding ",
      "\"umap.cca\" (coordinates.key = chooses \"umap.unintegrated\")"
    )
  )
  expect_identical(
    signalled_by(AnnotationReport(Annotations(object, "old"), "r.html"))[2], "Wrote r.html"
  )
  expect_identical(
    signalled_by(AnnotationReport(object, "mine.html"))[2],
    "The file \"mine.html\" exists and is no report of cellferry."
  )
  expect_identical(readLines("mine.html"), "my thesis")
  expect_match(
    signalled_by(AnnotationReport(object, "r.pdf"))[2], "one HTML file, and \"r.pdf\" is a .pdf",
    fixed = TRUE
  )
  AnnotationReport(object, "mine.html", key = "old", overwrite = TRUE, verbose = FALSE)
  expect_match(read_page("mine.html"), "cellferry")
})

test_that("a browser is opened when it is asked for", {
  skip_without_backend()
  opened <- character()
  withr::local_options(browser = function(url) opened <<- url)
  file <- withr::local_tempfile(fileext = ".html")
  suppressMessages(AnnotationReport(labelled_object(), file, browse = TRUE))
  expect_match(opened, basename(file), fixed = TRUE)
  expect_identical(formals(AnnotationReport)$browse, quote(interactive()))
})

test_that("write.csv() writes the table, with lists as text", {
  json <- gsub("type 1", "CD4-positive, alpha-beta T cell", as.character(small_json()))
  found <- Annotations(labelled_object(json = json))
  file <- withr::local_tempfile()
  utils::write.csv(found, file, row.names = FALSE)
  back <- utils::read.csv(file)
  expect_named(back, names(annotation_columns))
  expect_identical(back$supporting, c("CD3E; G0", "CD3E; G1", "CD3E; G2"))
  expect_identical(back$label[2], "CD4-positive, alpha-beta T cell")
  expect_identical(back$n_cells, found$n_cells)
  utils::write.table(found, file, sep = "\t")
  expect_identical(utils::read.delim(file)$supporting, back$supporting)
  # Elsewhere they stay lists, and cells and columns are replaced as in any data frame.
  found[2, "label"] <- "mine"
  found["n_cells"] <- 1:3
  found[found$label == "mine", ] <- found[1, ]
  expect_identical(found$label[2], found$label[1])
  expect_identical(found$n_cells, c(1L, 1L, 3L))
  expect_s3_class(found, "cellferry_annotations")
  expect_type(lapply(found, identity)$supporting, "list")
  flat <- as.data.frame(found)
  expect_s3_class(flat, "data.frame", exact = TRUE)
  expect_identical(flat$supporting, c("CD3E; G0", "CD3E; G0", "CD3E; G2"))
  expect_false(any(vapply(flat, is.list, NA)))
})

test_that("tables are written as csv and xlsx, with the cells of each sample", {
  skip_without_backend()
  withr::local_dir(withr::local_tempdir())
  object <- labelled_object()
  object$sample <- rep(c("s2", "s10"), length.out = 80)
  expect_identical(
    signalled_by(WriteAnnotations(object, "x.csv", sample.by = "sample"))[-1],
    c("Wrote x.csv", "      x_markers.csv", "      x_samples.csv", "      x_provenance.csv")
  )
  counted <- utils::read.csv("x_samples.csv")
  expected <- table(object$cell_type, object$sample)
  expect_identical(counted$label, rownames(expected))
  expect_identical(counted$s2, as.vector(expected[, "s2"]))
  expect_identical(counted$total, c(36L, 25L, 19L))
  expect_identical(utils::read.csv("x_markers.csv")$gene, c("CD3E", "LYZ"))
  expect_identical(utils::read.csv("x.csv")$n_cells, c(36L, 25L, 19L))
  expect_identical(
    signalled_by(WriteAnnotations(object, "x.csv"))[2],
    "\"x.csv\", \"x_markers.csv\", \"x_provenance.csv\" exist."
  )
  expect_identical(WriteAnnotations(Annotations(object), "x.xlsx", verbose = FALSE), "x.xlsx")
  expect_identical(readBin("x.xlsx", raw(), 2), charToRaw("PK"))
  expect_identical(
    signalled_by(WriteAnnotations(Annotations(object), "y.csv", sample.by = "sample"))[2],
    "The cells of samples are counted in an object, and this is a table."
  )
  expect_error(
    WriteAnnotations(object, "y.csv", sample.by = "smple"),
    class = "cellferry_group_missing_error"
  )
  expect_identical(
    signalled_by(WriteAnnotations(object, "y.docx"))[1],
    "<cellferry_invalid_option_error> WriteAnnotations()"
  )
  expect_length(list.files(pattern = "^y"), 0)
})

test_that("a long table is printed by its head", {
  found <- Annotations(labelled_object(json = small_json(clusters = as.character(0:43))))
  lines <- capture.output(print(found))
  expect_length(lines, 14)
  expect_identical(lines[12], "# ... 34 more (print it with n = Inf)")
  expect_length(capture.output(print(found, n = Inf)), 47)
  expect_length(capture.output(print(found, n = 3)), 7)
  expect_error(print(found, n = 0), class = "cellferry_invalid_option_error")
})

cells_json <- function(...) {
  json <- jsonlite::fromJSON(small_json(...), simplifyVector = FALSE)
  json$provenance$level <- "cells"
  as.character(jsonlite::toJSON(json, auto_unbox = TRUE, null = "null"))
}

test_that("labels of cells are printed once, and labels are counted as labels", {
  found <- new_annotations(cells_json(), "cell_type_cell")
  expect_match(capture.output(print(found))[1], "^n_cells  label ")
  merged <- suppressWarnings(merge(labelled_object(), small_object()))
  found <- suppressMessages(Annotations(merged))
  expect_identical(grep("labels:", capture.output(print(found)), value = TRUE), "# 3 labels: 3 ok")
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
