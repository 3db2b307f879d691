# The live page of a real object, asked over real HTTP, and its decisions on exactly those cells.

annotated <- function(object = small_object(), ...) {
  AnnotateClusters(object, small_markers(), tissue = "blood", verbose = FALSE, ...)
}

# The page of an object, which ends with the test.
opened <- function(object, ..., frame = parent.frame()) {
  review <- suppressMessages(ReviewAnnotation(object, ..., browse = FALSE, verbose = FALSE))
  withr::defer(end_page(review), envir = frame)
  review
}

end_page <- function(review) {
  tools::pskill(review$pid, tools::SIGKILL)
  Sys.sleep(0.1)
}

# The answer of the page to a body, by a Python of its own.
sent <- function(review, path, body) {
  code <- paste(
    "import sys, urllib.request as u; o = u.build_opener(u.ProxyHandler({}));",
    "q = u.Request(sys.argv[1], sys.argv[2].encode(), {'Content-Type': 'application/json'});",
    "print(o.open(q).read().decode())"
  )
  out <- with_clean_library_path(system2(
    python_path(), c("-c", shQuote(code), paste0(review$address, path), shQuote(body)),
    stdout = TRUE
  ))
  from_json(out)
}

decide <- function(review, ...) {
  wish <- jsonlite::toJSON(list(decisions = list(list(...))), auto_unbox = TRUE)
  sent(review, "data/decisions", wish)$decisions
}

page_index <- function(review) {
  page <- paste(readLines(review$address, warn = FALSE), collapse = "\n")
  from_json(regmatches(page, regexec("id=\"page-index\"[^>]*>(.*?)</script>", page))[[1]][2])
}

of_cell <- function(object, name = "cell_type") {
  as.character(extract_metadata(object)[[name]])
}

test_that("a decision on the page is on exactly those cells, again and again", {
  skip_without_backend()
  local_home()
  object <- annotated()
  review <- opened(object)
  expect_s3_class(review, "cellferry_review")
  expect_identical(review$key, "cell_type")
  expect_match(review$address, "^http://127[.]0[.]0[.]1:[0-9]+/[A-Za-z0-9_-]{20,}/$")
  index <- page_index(review)
  expect_identical(index$n_cells, 80L)
  expect_identical(vapply(index$rows, function(row) row$cluster, ""), c("0", "1", "2"))
  expect_identical(index$genes$n, 230L)
  decide(review, cluster = "1", decision = "relabelled", label = "Kupffer cell")
  made <- suppressMessages(ApplyDecisions(object, review))
  inside <- SeuratObject::Idents(object) == "1"
  expect_true(all(of_cell(made)[inside] == "Kupffer cell"))
  expect_identical(of_cell(made)[!inside], of_cell(object)[!inside])
  # Cells that were chosen on the map: the first and the last one.
  bits <- packBits(c(TRUE, rep(FALSE, 78), TRUE), "raw")
  decide(review,
    cells = jsonlite::base64_enc(bits), decision = "relabelled", label = "Plasma cell"
  )
  made <- suppressMessages(ApplyDecisions(made, review))
  expect_identical(which(of_cell(made) == "Plasma cell"), c(1L, 80L))
  # It is the same page, also of the object with the decisions; nothing new changes nothing.
  expect_identical(opened(made)$address, review$address)
  expect_identical(of_cell(suppressMessages(ApplyDecisions(made, review))), of_cell(made))
  of_folder <- suppressMessages(ApplyDecisions(object, review$folder))
  expect_identical(of_folder$cell_type, made$cell_type)
})

test_that("decisions outlive the page", {
  skip_without_backend()
  local_home()
  object <- annotated()
  review <- opened(object)
  expect_match(format(review)[1], review$address, fixed = TRUE)
  expect_identical(format(review)[2], "object <- ApplyDecisions(object, review)")
  decide(review, cluster = "0", decision = "unknown")
  end_page(review)
  expect_match(format(review)[1], "the page has ended")
  made <- suppressMessages(ApplyDecisions(object, review))
  expect_identical(sum(of_cell(made) == "Unknown"), 36L)
})

test_that("features of other assays, all embeddings and all metadata are on the page", {
  skip_without_backend()
  local_home()
  object <- annotated()
  proteins <- matrix(
    abs(sin(seq_len(160))), 2,
    dimnames = list(c("CD4", "<b>"), colnames(object))
  )
  object[["ADT"]] <- SeuratObject::CreateAssayObject(data = proteins)
  second <- SeuratObject::Embeddings(object, "tsne") * 2
  colnames(second) <- paste0("UMAP_", 1:2)
  object[["umap"]] <- SeuratObject::CreateDimReducObject(second, key = "UMAP_", assay = "RNA")
  index <- page_index(opened(object, coordinates.key = "tsne"))
  expect_identical(index$features, list(list(key = "adt_", names = list("CD4", "<b>"))))
  expect_identical(vapply(index$cells$embeddings, function(x) x$name, ""), c("tsne", "umap"))
  columns <- vapply(index$cells$columns, function(x) x$name, "")
  expect_true(all(c("groups", "nCount_RNA", "cell_type") %in% columns))
})

test_that("a page without log-normalised values has no genes", {
  skip_without_backend()
  local_home()
  object <- annotated()
  assay <- object[["RNA"]]
  counts <- SeuratObject::GetAssayData(assay, "counts")
  object[["RNA"]] <- SeuratObject::SetAssayData(assay, "data", counts)
  index <- page_index(opened(object))
  expect_null(index$genes)
  expect_identical(index$n_cells, 80L)
})

test_that("a SingleCellExperiment and an .rds have a page", {
  skip_without_backend()
  testthat::skip_if_not_installed("SingleCellExperiment")
  local_home()
  object <- AnnotateClusters(
    small_sce(), small_markers(),
    group.by = "label", tissue = "blood", verbose = FALSE
  )
  review <- opened(object)
  expect_identical(page_index(review)$genes$n, 230L)
  decide(review, cluster = "2", decision = "relabelled", label = "Plasma cell")
  made <- suppressMessages(ApplyDecisions(object, review))
  expect_identical(sum(made$cell_type == "Plasma cell"), 19L)
  file <- withr::local_tempfile(fileext = ".rds")
  saveRDS(object, file)
  expect_identical(opened(file)$address, review$address)
  expect_error(
    ReviewAnnotation(file, wait = TRUE, browse = FALSE),
    class = "cellferry_invalid_option_error"
  )
})

test_that("waiting ends with Done, and returns the object with the decisions", {
  skip_without_backend()
  home <- local_home()
  object <- annotated()
  review <- opened(object)
  # Somebody decides, and says Done, once R waits.
  script <- withr::local_tempfile(fileext = ".py", lines = c(
    "import glob, json, sys, time, urllib.request as u",
    "o = u.build_opener(u.ProxyHandler({}))",
    "while not glob.glob(sys.argv[2] + '/reviews/*/waiting.json'): time.sleep(0.05)",
    "def send(path, body):",
    "    kind = {'Content-Type': 'application/json'}",
    "    o.open(u.Request(sys.argv[1] + path, json.dumps(body).encode(), kind)).read()",
    "wish = {'cluster': '1', 'decision': 'relabelled', 'label': 'Kupffer cell'}",
    "send('data/decisions', {'decisions': [wish]})",
    "send('data/done', {})"
  ))
  with_clean_library_path(
    system2(python_path(), c(shQuote(script), review$address, shQuote(home)), wait = FALSE)
  )
  made <- suppressMessages(ReviewAnnotation(object, wait = TRUE, browse = FALSE, verbose = FALSE))
  expect_identical(sum(of_cell(made) == "Kupffer cell"), 25L)
  expect_false(file.exists(file.path(review$folder, "waiting.json")))
})

test_that("the viewer of the session shows the page", {
  skip_without_backend()
  local_home()
  shown <- NULL
  withr::local_options(viewer = function(address, ...) shown <<- address)
  review <- suppressMessages(ReviewAnnotation(annotated(), browse = TRUE, verbose = FALSE))
  withr::defer(end_page(review))
  expect_identical(shown, review$address)
})

test_that("the page ends with R", {
  skip_without_backend()
  home <- local_home()
  object <- annotated()
  file <- withr::local_tempfile(fileext = ".rds")
  saveRDS(object, file)
  out <- run_r(c(
    "library(cellferry)", paste0("object <- readRDS(", deparse(file), ")"),
    "review <- ReviewAnnotation(object, browse = FALSE, verbose = FALSE)",
    "cat('PID', review$pid, '\\n')"
  ), paste0("CELLFERRY_HOME=", home))
  pid <- as.integer(sub("PID ", "", grep("^PID", out, value = TRUE)))
  expect_length(pid, 1L)
  end <- Sys.time() + 15
  while (tools::pskill(pid, 0L) && Sys.time() < end) Sys.sleep(0.2)
  expect_false(tools::pskill(pid, 0L))
})

test_that("the report of an object has its genes, and what is asked for", {
  skip_without_backend()
  local_home()
  object <- annotated()
  file <- withr::local_tempfile(fileext = ".html")
  index_of <- function(...) {
    AnnotationReport(object, file, ..., browse = FALSE, verbose = FALSE)
    page_index(list(address = file))
  }
  whole <- index_of(obs.columns = "groups")
  expect_identical(whole$genes$n, 230L)
  expect_gt(length(whole$genes$values), 5L)
  columns <- vapply(whole$cells$columns, function(x) x$name, "")
  expect_true("groups" %in% columns)
  expect_false("nCount_RNA" %in% columns)
  expect_identical(index_of(cell.values = FALSE)$genes$values, list())
  expect_null(index_of(expression = FALSE)$genes)
  expect_gt(length(index_of(report.mb = 0.001)$dropped), 0L)
  expect_error(index_of(obs.columns = "nope"), class = "cellferry_group_missing_error")
  expect_error(index_of(report.mb = 0), class = "cellferry_invalid_option_error")
})

test_that("cells that the assay does not have are on the page, without values", {
  skip_without_backend()
  local_home()
  object <- annotated()
  whole <- page_index(opened(object))
  at <- seq(1L, 80L, 3L)
  # Seurat 4 has no way to make one, but reads it like any other.
  object@assays$sketch <- suppressWarnings(subset(object[["RNA"]], cells = colnames(object)[at]))
  object@active.assay <- "sketch"
  expect_warning(review <- opened(object), class = "cellferry_cells_without_expression_warning")
  index <- page_index(review)
  expect_identical(index$n_cells, 80L)
  hashes <- function(index) vapply(index$rows, function(row) row$hash, "")
  expect_identical(hashes(index), hashes(whole))
  expect_identical(
    unlist(index$genes$sizes), as.integer(table(SeuratObject::Idents(object)[at]))
  )
  connection <- url(paste0(review$address, "data/gene/0"), "rb")
  block <- readBin(connection, "raw", 84L)
  close(connection)
  values <- SeuratObject::GetAssayData(object[["sketch"]], "data")[1, ]
  shown <- which(as.integer(block[-(1:4)]) > 0L)
  expect_identical(shown, at[values > 0])
  decide(review, cluster = "1", decision = "relabelled", label = "Kupffer cell")
  made <- suppressMessages(ApplyDecisions(object, review))
  expect_identical(sum(of_cell(made) == "Kupffer cell"), 25L)
  file <- withr::local_tempfile(fileext = ".html")
  suppressWarnings(AnnotationReport(object, file, browse = FALSE, verbose = FALSE))
  expect_identical(page_index(list(address = file))$genes$n, 230L)
})
