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
