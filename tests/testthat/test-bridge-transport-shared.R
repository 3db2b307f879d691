# The study of an object, as Python gets it; `change` is done to where the matrices are.
open_changed <- function(object, change = identity, parts = c("normalized", "counts")) {
  outgoing <- new_outgoing()
  shared <- shared_expression(object, "RNA", parts)
  study <- json_study(outgoing, object, extract_groups(object), "RNA", list(), parts)
  study$shared <- change(shared$message)
  message <- list(study = study, parts = json_texts(parts))
  kept <- new_kept()
  kept$mats <- shared$mats
  withr::defer(discard(kept))
  opened <- bridge_call("study_open", message, outgoing, verbose = FALSE)$value
  kept$handles <- opened$handle
  opened
}

test_that("matrices that are stored as they are wanted are read where they are", {
  skip_without_backend()
  object <- small_object()
  shared <- shared_expression(object, "RNA", c("normalized", "counts", "obs"))
  expect_identical(shared$message$process, jsonlite::unbox(as.character(Sys.getpid())))
  expect_identical(names(shared$mats), c("normalized", "counts"))
  expect_identical(shared$message$counts$x, rlang::obj_address(object[["RNA"]]@counts@x))
  expect_identical(shared$message$counts$cells, 80L)
  expect_identical(names(shared_expression(object, "RNA", "counts")$mats), "counts")
  expect_null(shared_expression(object, "RNA", "obs"))
  expect_null(open_changed(object)$normalized)
  expect_false(open_changed(object)$counts)
})

test_that("what is read in place and what is sent in blocks is the same", {
  skip_without_backend()
  object <- small_object()
  whole <- arrived(object, parts = c("normalized", "counts"))
  for (kind in c("data", "counts")) {
    other <- object
    methods::slot(other@assays$RNA, kind) <- as.matrix(methods::slot(other@assays$RNA, kind))
    expect_identical(arrived(other, parts = c("normalized", "counts")), whole)
  }
})

test_that("layers that lie beside one another are read in place, empty ones too", {
  skip_without_backend()
  skip_without_seurat5()
  mat <- small_object()[["RNA"]]@data
  ends <- c(0, 30, 32, 80)
  layers <- lapply(1:3, function(k) mat[, (ends[k] + 1):ends[k + 1], drop = FALSE])
  layers[[2]]@x[] <- 0
  layers[[2]] <- Matrix::drop0(layers[[2]])
  names(layers) <- paste0("data.", c("b", "a", "c"))
  assay <- getExportedValue("SeuratObject", "CreateAssay5Object")(data = layers)
  object <- suppressWarnings(SeuratObject::CreateSeuratObject(assay))
  object$group <- rep(c("a", "b"), 40)
  expect_length(shared_expression(object, "RNA", "normalized")$mats$normalized, 3)
  value <- arrived(object, group.by = "group", parts = "normalized")
  truth <- as.matrix(mat)
  truth[, 31:32] <- 0
  expect_identical(value$normalized$sums$nnz, as.numeric(sum(truth != 0)))
  expect_equal(value$normalized$sums$cells, unname(colSums(truth)))
  expect_equal(value$normalized$sums$genes, unname(rowSums(truth)))
})

test_that("a vector that is not as it was said is refused, not read", {
  skip_without_backend()
  object <- small_object()
  shorter <- function(message) {
    message$counts$values <- message$counts$values - 1L
    message
  }
  expect_error(
    open_changed(object, shorter), "is of type 14 and length",
    class = "cellferry_internal_error"
  )
  turned <- function(message) {
    message$counts[c("x", "i")] <- message$counts[c("i", "x")]
    message
  }
  expect_error(
    open_changed(object, turned), "is of type 13 and length",
    class = "cellferry_internal_error"
  )
  elsewhere <- function(message) {
    message$process <- json_text("1")
    message
  }
  expect_length(open_changed(object, elsewhere)$normalized, 230)
})

test_that("another process is sent blocks", {
  skip_without_backend()
  bridge <- backend()
  withr::defer(.globals$bridge <- bridge)
  .globals$bridge <- function(...) stop("not asked")
  expect_null(shared_expression(small_object(), "RNA", "normalized"))
})

test_that("matrices are kept while a thread may read them, and given up later", {
  skip_without_backend()
  release(NULL, ended = TRUE)
  arrived(small_object(), parts = "normalized")
  expect_null(.globals$kept_mats)
  threads <- reticulate::py_run_string(paste(
    "import threading",
    "go_on = threading.Event()",
    "thread = threading.Thread(target=go_on.wait, name='cellferry-test')",
    "thread.start()",
    sep = "\n"
  ))
  withr::defer(threads$go_on$set())
  arrived(small_object(), parts = "normalized")
  arrived(small_object(), parts = "normalized")
  expect_length(.globals$kept_mats, 2)
  expect_identical(.globals$kept_mats[[1]]$normalized[[1]], small_object()[["RNA"]]@data)
  threads$go_on$set()
  threads$thread$join()
  arrived(small_object(), parts = "normalized")
  expect_null(.globals$kept_mats)
})

test_that("an object that is changed or collected meanwhile is read as it was", {
  skip_without_backend()
  object <- small_object()
  truth <- unname(Matrix::colSums(object[["RNA"]]@data))
  kept <- new_kept()
  withr::defer(discard(kept))
  opened <- open_study(object, parts = "normalized", kept = kept, verbose = FALSE)
  object[["RNA"]]@data@x[] <- 0
  rm(object)
  invisible(gc())
  scribble <- lapply(1:200, function(k) rep(k, 4456))
  answer <- bridge_call("study_parts", list(handle = json_text(opened$handle)))
  sums <- answer$value$normalized$sums$cells
  expect_equal(unpack_buffer(sums, answer$buffers), truth)
  expect_length(scribble, 200)
})
