# Reading some columns of any matrix that an assay can have.
#
# A new kind of storage needs two answers: about how many values a column has (column_sizes), and
# the columns `at` in compressed form, `list(lengths, i, x)` with `i` from 0 and increasing
# within a column (read_columns). BPCells keeps a matrix on disk as an IterableMatrix, which is
# sliced and converted like any other; it can't be installed on our test machines, so the tests
# use a class of the same name that answers to `[` and as().

column_sizes <- function(mat) {
  if (inherits(mat, "dgCMatrix")) {
    return(diff(methods::slot(mat, "p")))
  }
  if (inherits(mat, "dgRMatrix")) {
    return(tabulate(methods::slot(mat, "j") + 1L, ncol(mat)))
  }
  # Not known without reading. One gene in 16 is usual; if all are there, a block is 16 times as
  # large as it should be, which is still below 64 MB.
  rep(ceiling(nrow(mat) / 16), ncol(mat))
}

read_columns <- function(mat, at) {
  if (inherits(mat, "dgCMatrix")) {
    return(compressed_columns(mat, at))
  }
  if (inherits(mat, "dgRMatrix")) {
    return(columns_of_rows(mat, at))
  }
  if (is.matrix(mat)) {
    return(dense_columns(mat[, at, drop = FALSE]))
  }
  values <- mat[, at, drop = FALSE]
  if (inherits(values, "sparseMatrix")) {
    return(compressed_columns(as_compressed(values), seq_along(at)))
  }
  if (inherits(values, "IterableMatrix") || is_sparse_on_disk(values)) {
    return(compressed_columns(methods::as(values, "dgCMatrix"), seq_along(at)))
  }
  if (inherits(values, c("DelayedArray", "Matrix"))) {
    return(dense_columns(as.matrix(values)))
  }
  cellferry_stop(
    "unsupported_object",
    paste0("cellferry can't read expression from a matrix of class ", class(mat)[1], "."),
    paste(
      "Valid: dgCMatrix, dgRMatrix and other matrices of the package Matrix, an R matrix,",
      "DelayedArray and HDF5Array, and IterableMatrix of BPCells."
    )
  )
}

is_sparse_on_disk <- function(values) {
  inherits(values, "DelayedArray") && getExportedValue("DelayedArray", "is_sparse")(values)
}

# Symmetric, triangular, pattern and logical matrices too.
as_compressed <- function(values) {
  if (inherits(values, "dgCMatrix")) {
    return(values)
  }
  for (class in c("generalMatrix", "CsparseMatrix", "dMatrix")) {
    values <- methods::as(values, class)
  }
  values
}

compressed_columns <- function(mat, at) {
  pointers <- methods::slot(mat, "p")
  last <- length(at)
  in_a_row <- last == 1L || (at[last] - at[1] == last - 1L && !is.unsorted(at))
  from <- pointers[at]
  lengths <- pointers[at + 1L] - from
  inside <- if (in_a_row) {
    seq.int(from[1] + 1L, length.out = sum(lengths))
  } else {
    sequence(lengths, from = from + 1L)
  }
  list(lengths = lengths, i = methods::slot(mat, "i")[inside], x = methods::slot(mat, "x")[inside])
}

# The values of some columns of a matrix that is stored by rows: one look at all its indices, a
# stretch at a time, so that a second matrix never exists.
columns_of_rows <- function(mat, at, stretch = 4e6) {
  wanted <- integer(ncol(mat))
  wanted[at] <- seq_along(at)
  j <- methods::slot(mat, "j")
  found <- lapply(seq(0, max(length(j) - 1, 0), by = stretch), function(first) {
    inside <- seq.int(first + 1, length.out = min(stretch, length(j) - first))
    inside[wanted[j[inside] + 1L] > 0L]
  })
  found <- unlist(found)
  column <- wanted[j[found] + 1L]
  # A stable order: within a column the rows stay in theirs.
  order <- order(column, method = "radix")
  found <- found[order]
  list(
    lengths = tabulate(column, length(at)),
    i = findInterval(found - 1, methods::slot(mat, "p")) - 1L, x = methods::slot(mat, "x")[found]
  )
}

dense_columns <- function(values) {
  present <- which(is.na(values) | values != 0)
  column <- (present - 1L) %/% nrow(values) + 1L
  list(
    lengths = tabulate(column, ncol(values)),
    i = as.integer((present - 1L) %% nrow(values)), x = as.double(values[present])
  )
}

# What the values of all parts together are, by the rules of Python's study/expression/kinds.py;
# tests/fixtures/value_kinds.json is the table that both are tested with. "counts" are whole
# numbers, "normalized" are log-normalised, "linear" are fractions too large for logarithms,
# "scaled" has negative ones, "empty" only zeros, "damaged" NA, NaN or infinite ones.
# CreateSeuratObject() of Seurat 4 puts the counts where the normalised values belong. Of more than
# `most` values runs are looked at that are spread over the whole matrix.
value_kind <- function(parts, most = 1e6) {
  x <- unlist(lapply(parts, function(part) some_values(part$mat, most / length(parts))))
  if (!all(is.finite(x))) {
    return("damaged")
  }
  smallest <- min(0, x)
  largest <- max(0, x)
  if (smallest < 0) {
    "scaled"
  } else if (largest == 0) {
    "empty"
  } else if (all(x == trunc(x))) {
    "counts"
  } else if (largest > largest_logarithm) {
    "linear"
  } else {
    "normalized"
  }
}

# log1p() of a count is below 16 even for ten million per cell; larger values are no logarithms.
largest_logarithm <- 20

some_values <- function(mat, most) {
  if (methods::.hasSlot(mat, "x")) {
    x <- methods::slot(mat, "x")
    return(if (length(x) <= most) x else x[runs(length(x), most)])
  }
  # Columns that are spread over the matrix.
  at <- unique(round(seq(1, ncol(mat), length.out = min(ncol(mat), 50L))))
  if (length(at)) read_columns(mat, at)$x
}

# About `most` positions of 1 to `n` in runs, among them the first and the last.
runs <- function(n, most, n_runs = 128) {
  length <- max(1, most %/% n_runs)
  starts <- unique(round(seq(1, n - length + 1, length.out = n_runs)))
  rep(starts, each = length) + seq_len(length) - 1
}

# How many values the parts store, as text, because JSON has no large integers; NULL where that is
# not known without reading.
stored_values <- function(parts) {
  known <- vapply(parts, function(part) inherits(part$mat, c("dgCMatrix", "dgRMatrix")), NA)
  if (all(known)) {
    sprintf("%.0f", sum(vapply(parts, function(part) as.double(length(part$mat@x)), 0)))
  }
}

# The vectors that a dgCMatrix is made of: its own, and no copies.
sparse_slots <- function(mat) {
  list(i = methods::slot(mat, "i"), p = methods::slot(mat, "p"), x = methods::slot(mat, "x"))
}

# Whether the matrices beside one another are what is wanted as they are.
are_as_wanted <- function(parts, cells, genes) {
  as_they_are <- vapply(parts, function(part) {
    inherits(part$mat, "dgCMatrix") && identical(part$genes, genes)
  }, NA)
  all(as_they_are) && identical(unlist(lapply(parts, function(part) part$cells)), cells)
}

# The sparse matrix of these slots, whose rows are called "g1", "g2", ...
sparse_columns <- function(indptr, indices, values, n_rows) {
  methods::new(
    "dgCMatrix",
    i = indices, p = indptr, x = values, Dim = c(as.integer(n_rows), length(indptr) - 1L),
    Dimnames = list(paste0("g", seq_len(n_rows)), NULL)
  )
}
