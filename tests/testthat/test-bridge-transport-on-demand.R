# What `listen` answered, read as Python reads it.
heard <- function(answer) {
  value <- from_json_bytes(answer[[1]])
  for (name in intersect(names(value), c("indptr", "indices", "data"))) {
    value[[name]] <- unpack_buffer(value[[name]], answer[-1])
  }
  value
}

question <- function(k, part = "counts") {
  charToRaw(sprintf("{\"kind\": \"block\", \"part\": \"%s\", \"block\": %d}", part, k))
}

test_that("how many values there are is said where it is known without reading", {
  mat <- random_counts()
  part <- function(mat) list(list(mat = mat, genes = rownames(mat), cells = colnames(mat)))
  n <- as.character(length(mat@x))
  expect_identical(stored_values(part(mat)), n)
  expect_identical(stored_values(part(methods::as(mat, "RsparseMatrix"))), n)
  expect_identical(stored_values(c(part(mat), part(mat))), as.character(2 * length(mat@x)))
  expect_null(stored_values(part(as.matrix(mat))))
  expect_null(stored_values(c(part(mat), part(as.matrix(mat)))))
  x <- known_cells()
  stored <- json_on_demand(x, "RNA")
  counts <- SeuratObject::GetAssayData(x[["RNA"]], "counts")
  expect_identical(as.character(stored$counts), as.character(length(counts@x)))
})

test_that("blocks are asked for by part and number, again and in any order", {
  ragged <- ragged_parts()
  blocks <- list(counts = layer_blocks(ragged$parts, ragged$cells, ragged$genes, 20))
  n <- blocks$counts$n
  expect_gt(n, 5)
  made <- with_blocks(blocks, NULL, function(listen) {
    order <- c(3L, 1L, 3L, rev(seq_len(n)), seq_len(n))
    utils::tail(lapply(order, function(k) heard(listen(question(k)))), n)
  })
  dense <- lapply(made, function(block) {
    rows <- matrix(0, length(block$indptr) - 1L, length(ragged$genes))
    rows[cbind(rep(seq_len(nrow(rows)), diff(block$indptr)), block$indices + 1L)] <- block$data
    rows
  })
  expect_identical(do.call(rbind, dense), ragged$truth)
  expect_identical(unique(vapply(made, function(block) block$n_blocks, 0L)), n)
  starts <- vapply(made, function(block) block$row_start, 0L)
  expect_identical(starts, as.integer(cumsum(c(0, vapply(dense, nrow, 0L)))[seq_len(n)]))
})

test_that("events go where they went before", {
  seen <- NULL
  event <- charToRaw("{\"kind\": \"progress\", \"done\": 1, \"total\": 2}")
  with_blocks(list(), function(bytes) seen <<- bytes, function(listen) {
    expect_null(listen(event))
  })
  expect_identical(seen, event)
  with_blocks(list(), NULL, function(listen) expect_null(listen(event)))
})

failing <- function(act) {
  list(counts = list(n = 1L, read = function(k) {
    act()
    list(row_start = 0L, n_rows = 1L, indptr = c(0L, 0L), indices = integer(), data = double())
  }))
}

test_that("an error is an answer to Python, and signalled afterwards as it was", {
  own <- structure(
    class = c("disk_error", "error", "condition"), list(message = "It is gone.", call = NULL)
  )
  answered <- NULL
  ends <- function(listen) {
    answered <<- heard(listen(question(1)))$failed
    cellferry_stop("internal", "R stopped.", "", list(run = "the-run"))
  }
  caught <- tryCatch(with_blocks(failing(function() stop(own)), NULL, ends), error = identity)
  expect_identical(caught, own)
  expect_identical(answered, list(class = "disk_error", text = "It is gone."))
  ours <- function() cellferry_stop("unsupported_object", "No such matrix.", "Another.")
  caught <- tryCatch(with_blocks(failing(ours), NULL, ends), error = identity)
  expect_s3_class(caught, "cellferry_unsupported_object_error")
  expect_identical(caught$data$run, "the-run")
  expect_identical(answered$class, "cellferry_unsupported_object_error")
  # An error of Python's own stays itself.
  fine <- failing(function() NULL)
  expect_error(with_blocks(fine, NULL, ends), class = "cellferry_internal_error")
  # A block that Python did not want any more hurts nobody.
  goes_on <- function(listen) {
    listen(question(1))
    "done"
  }
  expect_identical(with_blocks(failing(function() stop(own)), NULL, goes_on), "done")
})

test_that("an interrupt is an answer to Python and does not jump", {
  act <- function() {
    tools::pskill(Sys.getpid(), tools::SIGINT)
    Sys.sleep(5)
  }
  answered <- with_blocks(failing(act), NULL, function(listen) heard(listen(question(1))))
  expect_identical(answered$failed$class, "interrupt")
})

test_that("warnings and messages are signalled when Python has answered", {
  act <- function() {
    warning("odd")
    message("look")
  }
  seen <- character()
  see <- function(what) seen <<- c(seen, what)
  withCallingHandlers(
    with_blocks(failing(act), NULL, function(listen) {
      expect_identical(heard(listen(question(1)))$n_blocks, 1L)
      see("answered")
    }),
    warning = function(cnd) {
      see(conditionMessage(cnd))
      invokeRestart("muffleWarning")
    },
    message = function(cnd) {
      see(conditionMessage(cnd))
      invokeRestart("muffleMessage")
    }
  )
  expect_identical(seen, c("answered", "odd", "look\n"))
})

test_that("labels do not depend on how the matrix is stored, for blocks of any number", {
  skip_without_backend()
  local_home()
  counts <- many_cells()
  expect_gt(layer_blocks(list(list(
    mat = counts, genes = rownames(counts), cells = colnames(counts)
  )), colnames(counts))$n, 3)
  x <- normalised(counts)
  labelled <- AnnotateCells(x, verbose = FALSE)
  truth <- ifelse(seq_len(ncol(x)) %% 2 == 0, "B", "T")
  expect_true(all(mapply(grepl, truth, labelled$cell_type_cell)))
  columns <- paste0("cell_type_cell", c("", "_confidence", "_status", "_detail"))
  answers <- function(x) {
    frame <- as.data.frame(extract_metadata(AnnotateCells(x, verbose = FALSE)))[columns]
    frame[] <- lapply(frame, function(x) if (is.factor(x)) as.character(x) else x)
    frame
  }
  expected <- answers(x)
  values <- SeuratObject::GetAssayData(x[["RNA"]], "data")
  sce <- function(mat) {
    SingleCellExperiment::SingleCellExperiment(
      assays = list(logcounts = mat),
      colData = S4Vectors::DataFrame(label = SeuratObject::Idents(x), row.names = colnames(x))
    )
  }
  expect_identical(answers(sce(values)), expected)
  expect_identical(answers(sce(as.matrix(values))), expected)
  expect_identical(answers(sce(methods::as(values, "RsparseMatrix"))), expected)
  expect_identical(answers(sce(watched_matrix(values, function(n) NULL))), expected)
})

test_that("split, ragged layers give the labels of the whole", {
  skip_without_backend()
  skip_without_seurat5()
  local_home()
  counts <- many_cells()
  ragged <- ragged_parts(counts, 3L)
  x <- split_object(ragged)
  whole <- Matrix::t(methods::as(ragged$truth, "CsparseMatrix"))
  dimnames(whole) <- list(ragged$genes, ragged$cells)
  sce <- SingleCellExperiment::SingleCellExperiment(
    assays = list(logcounts = whole, counts = whole)
  )
  split <- AnnotateCells(x, verbose = FALSE)
  joined <- suppressWarnings(AnnotateCells(sce, verbose = FALSE))
  expect_identical(
    as.character(split$cell_type_cell),
    as.character(joined$cell_type_cell)[match(colnames(x), colnames(joined))]
  )
})

test_that("an error in the middle comes as it is, and the run can be resumed", {
  skip_without_backend()
  local_home()
  broken <- TRUE
  hook <- function(n) if (broken && n >= 3) stop("It is gone.")
  x <- watched_object(many_cells(8000L, density = 0.02), hook)
  # Its class is what S4 makes of it on the way to us.
  expect_error(AnnotateCells(x, verbose = FALSE), "It is gone.", class = "simpleError")
  expect_identical(ListRuns()$status, "failed")
  broken <- FALSE
  again <- ResumeAnnotation(x, verbose = FALSE)
  expect_false(anyNA(again$cell_type_cell))
  expect_identical(ListRuns()$status, "finished")
})

test_that("an interrupt in the middle stops the run, which can be resumed", {
  skip_without_backend()
  local_home()
  stopped <- FALSE
  hook <- function(n) {
    if (!stopped && n >= 3) {
      stopped <<- TRUE
      tools::pskill(Sys.getpid(), tools::SIGINT)
      Sys.sleep(5)
    }
  }
  x <- watched_object(many_cells(8000L, density = 0.02), hook)
  cnd <- tryCatch(AnnotateCells(x, verbose = FALSE), error = identity)
  expect_s3_class(cnd, "cellferry_interrupted_error")
  expect_identical(ListRuns()$status, "interrupted")
  expect_identical(cnd$data$run, ListRuns()$run)
  again <- ResumeAnnotation(x, verbose = FALSE)
  expect_false(anyNA(again$cell_type_cell))
})

test_that("the Cell Atlas service gets the same from any storage, in two readings", {
  skip_without_backend()
  local_home()
  engine <- CellAtlasEngine(
    api_url = paste0(served(), "/v1/singlecell/annotate"), min_counts = 0L, chunk_size = 700L
  )
  counts <- many_cells(6000L, density = 0.02)
  annotated <- function(x) {
    suppressWarnings(AnnotateCells(x, engine = engine, verbose = FALSE))
  }
  # Where it is not known how many values there are, a third reading counts them for the plan.
  readings <- 0L
  watched <- annotated(watched_object(counts, function(n) readings <<- n))
  plain <- annotated(normalised(counts))
  expect_identical(as.character(watched$cell_type_cell), as.character(plain$cell_type_cell))
  sure <- function(x) unname(x$cell_type_cell_confidence)
  expect_identical(sure(watched), sure(plain))
  blocks <- layer_blocks(
    layer_parts(watched_object(counts, function(n) NULL), NULL, "counts"), colnames(counts)
  )
  # Two more look for empty droplets: the sums of the cells, and the profile of those near empty.
  expect_identical(readings, 5L * blocks$n)
  expect_true(all(mapply(grepl, c("T", "B"), as.character(plain$cell_type_cell))))
})

test_that("an error before the run exists leaves none", {
  skip_without_backend()
  local_home()
  engine <- CellAtlasEngine(api_url = "http://127.0.0.1:9/v1/singlecell/annotate")
  hook <- function(n) if (n == 2) stop("It is gone.")
  x <- watched_object(many_cells(8000L, density = 0.02), hook)
  expect_error(
    suppressWarnings(AnnotateCells(x, engine = engine, verbose = FALSE)), "It is gone."
  )
  expect_identical(nrow(ListRuns()), 0L)
})
