as_blocks <- function(mat, truth, cells = colnames(truth), most = 50) {
  parts <- list(list(mat = mat, genes = rownames(truth), cells = colnames(truth), layer = "data"))
  dense_blocks(layer_blocks(parts, cells, most = most))
}

expect_read <- function(mat, truth) {
  dense <- as.matrix(truth)
  for (cells in list(colnames(truth), rev(colnames(truth)), colnames(truth)[c(9, 3, 30)])) {
    expect_identical(as_blocks(mat, truth, cells), unname(t(dense[, cells])) + 0)
  }
}

test_that("every matrix of the package Matrix and of R is read exactly", {
  truth <- random_counts()
  expect_read(truth, truth)
  expect_read(as.matrix(truth), truth)
  expect_read(matrix(as.integer(as.matrix(truth)), nrow(truth)), truth)
  for (class in c("RsparseMatrix", "TsparseMatrix", "unpackedMatrix")) {
    expect_read(methods::as(truth, class), truth)
  }
  present <- truth > 0
  expect_read(present, present)
  expect_read(methods::as(present, "nMatrix"), present)
  square <- Matrix::forceSymmetric(random_counts(30, 30))
  dimnames(square) <- list(paste0("g", 1:30), paste0("c", 1:30))
  expect_read(square, square)
})

test_that("a matrix stored by rows is read by stretches", {
  truth <- random_counts()
  rows <- methods::as(truth, "RsparseMatrix")
  at <- c(5L, 2L, 40L)
  for (stretch in c(1, 3, 1e6)) {
    expect_identical(columns_of_rows(rows, at, stretch), compressed_columns(truth, at))
  }
})

test_that("missing values in a dense matrix stay", {
  values <- matrix(c(0, NA, NaN, 1), 2)
  expect_identical(
    dense_columns(values), list(lengths = c(1L, 2L), i = c(1L, 0L, 1L), x = c(NA, NaN, 1))
  )
})

test_that("matrices on disk are read block by block", {
  testthat::skip_if_not_installed("HDF5Array")
  truth <- random_counts()
  file <- withr::local_tempfile(fileext = ".h5")
  on_disk <- HDF5Array::writeHDF5Array(as.matrix(truth), file, "dense")
  expect_read(on_disk, truth)
  expect_read(log1p(on_disk), log1p(truth))
  expect_read(HDF5Array::writeHDF5Array(truth, file, "sparse", as.sparse = TRUE), truth)
  expect_read(DelayedArray::DelayedArray(truth), truth)
})

# BPCells can't be installed on the test machines. Its matrix is an S4 class that answers to `[`
# with one of its own and to as(, "dgCMatrix"); this one does the same and counts what it reads.
reads <- new.env()
local({
  where <- globalenv()
  if (!methods::isClass("IterableMatrix")) {
    methods::setClass("IterableMatrix", methods::representation(mat = "ANY"), where = where)
    methods::setMethod("dim", "IterableMatrix", function(x) dim(x@mat), where = where)
    methods::setMethod("[", "IterableMatrix", function(x, i, j, ..., drop) {
      reads$most <- max(reads$most, length(j))
      methods::new("IterableMatrix", mat = x@mat[, j, drop = FALSE])
    }, where = where)
    methods::setAs("IterableMatrix", "dgCMatrix", function(from) from@mat, where = where)
  }
})

test_that("a matrix with the interface of BPCells is read by slices", {
  reads$most <- 0L
  truth <- random_counts()
  expect_read(methods::new("IterableMatrix", mat = truth), truth)
  expect_lt(reads$most, ncol(truth) / 2)
})

test_that("any other kind of matrix is refused", {
  expect_error(
    read_columns(data.frame(a = 1:3, b = 1:3), 1L), class = "cellferry_unsupported_object_error"
  )
})

test_that("counts are distinguished from normalised and from scaled values in any kind of matrix", {
  counts <- small_object()[["RNA"]]@counts
  for (convert in list(identity, as.matrix)) {
    kind <- function(mat) value_kind(list(list(mat = convert(mat))))
    expect_identical(kind(counts), "counts")
    expect_identical(kind(log1p(counts / 3)), "normalized")
    expect_identical(kind(counts / 3), "linear")
    expect_identical(kind(log1p(counts / 3) - 1), "scaled")
  }
})

test_that("the kind of values is judged as in Python", {
  path <- testthat::test_path("..", "fixtures", "value_kinds.json")
  for (case in jsonlite::fromJSON(path, simplifyVector = FALSE)) {
    mat <- Matrix::sparseMatrix(
      i = as.integer(unlist(case$genes)), j = as.integer(unlist(case$cells)), index1 = FALSE,
      x = as.numeric(unlist(case$values)), dims = c(case$n_genes, case$n_cells)
    )
    expect_identical(value_kind(list(list(mat = mat))), case$kind, label = case$name)
    first <- seq_len(case$n_cells) <= case$n_cells / 2
    halves <- lapply(list(first, !first), function(at) list(mat = mat[, at, drop = FALSE]))
    expect_identical(value_kind(halves), case$kind, label = paste(case$name, "in two layers"))
    if (case$n_cells < 50) {
      expect_identical(value_kind(list(list(mat = as.matrix(mat)))), case$kind, label = case$name)
    }
  }
})

test_that("values are looked at all over a large matrix", {
  whole <- Matrix::sparseMatrix(i = rep(1L, 5000), p = 0:5000, x = rep(3, 5000), dims = c(1, 5000))
  kind <- function(mat, most) value_kind(list(list(mat = mat)), most)
  expect_identical(kind(whole, 500), "counts")
  for (at in list(1:50, 2500:2550, 5000)) {
    mat <- whole
    mat@x[at] <- 0.5
    expect_identical(kind(mat, 500), "normalized")
  }
})

test_that("only what is wanted as it is is read in place", {
  parts <- layer_parts(small_object(), "RNA", "data")
  cells <- parts[[1]]$cells
  genes <- parts[[1]]$genes
  expect_true(are_as_wanted(parts, cells, genes))
  expect_false(are_as_wanted(parts, rev(cells), genes))
  expect_false(are_as_wanted(parts, cells, genes[-1]))
  halves <- lapply(list(1:30, 31:80), function(at) {
    list(mat = parts[[1]]$mat[, at], cells = cells[at], genes = genes)
  })
  expect_true(are_as_wanted(halves, cells, genes))
  expect_false(are_as_wanted(rev(halves), cells, genes))
  halves[[2]]$mat <- as.matrix(halves[[2]]$mat)
  expect_false(are_as_wanted(halves, cells, genes))
})
