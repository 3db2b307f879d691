# What is wrong with the values of an assay, and what mends it.

# What is wrong with the normalised values of an assay: `kind` as of value_kind(), or "missing", and
# `problem` in words; NULL where they can be read. `counts` may take their place for cells.
unusable_values <- function(object, assay, counts = FALSE) {
  named <- if (is.null(assay)) "the object" else paste0("the assay \"", assay, "\"")
  parts <- normalized_parts(object, assay)
  if (!length(parts)) {
    there <- stored_layers(object, assay)
    has <- if (identical(there, "scale.data")) {
      "only scale.data, which is scaled"
    } else {
      "no normalised data"
    }
    return(list(kind = "missing", problem = paste(named, "holds", has)))
  }
  kind <- value_kind(parts)
  if (kind == "normalized" || (counts && kind %in% c("counts", "linear", "damaged", "empty"))) {
    return(NULL)
  }
  what <- c(
    counts = "holds no normalised data: its values are whole numbers, as raw counts are",
    scaled = paste0(
      "holds corrected or scaled values (some are below 0), as integration and ScaleData() make ",
      "them"
    ),
    linear = "holds values that are not logged", empty = "holds nothing but zeros",
    damaged = "holds values that are no finite numbers (NA, NaN or Inf)"
  )
  list(kind = kind, problem = paste(named, what[[kind]]))
}

# What mends an assay without log-normalised values, as a line to paste; `verb` is what was called.
value_recipe <- function(object, assay, kind, verb = NULL) {
  with_assay <- function(name) {
    if (is.null(verb)) {
      paste0("assay = \"", name, "\"")
    } else {
      paste0(verb, "(x, assay = \"", name, "\")")
    }
  }
  if (!is_seurat(object)) {
    return("Normalise the counts: x <- scuttle::logNormCounts(x)")
  }
  other <- normalized_assay(object, assay)
  if (!is.null(other) && kind != "counts") {
    return(paste0("Read another assay: ", with_assay(other)))
  }
  counted <- counted_assay(object, assay)
  if (is.null(counted)) {
    return(paste0(
      "There are no counts to normalise either: go back to an object that has them",
      if (identical(verb, "AnnotateClusters")) ", or pass markers", "."
    ))
  }
  is_default <- identical(counted, extract_assay(object))
  paste0(
    "Normalise it first: x <- NormalizeData(x",
    if (!is_default) paste0(", assay = \"", counted, "\""), ")",
    if (counted != assay) paste0("; then ", with_assay(counted))
  )
}

# Another assay with log-normalised values, the one called "RNA" first, or NULL.
normalized_assay <- function(object, assay) {
  Find(function(name) {
    parts <- normalized_parts(object, name)
    length(parts) > 0L && value_kind(parts) == "normalized"
  }, other_assays(object, assay))
}

# An assay with raw counts, this one first, or NULL.
counted_assay <- function(object, assay) {
  Find(function(name) {
    parts <- layer_parts(object, name, "counts")
    length(parts) > 0L && value_kind(parts) == "counts"
  }, c(assay, other_assays(object, assay)))
}

other_assays <- function(object, assay) {
  if (!is_seurat(object)) {
    return(character())
  }
  names <- setdiff(names(methods::slot(object, "assays")), assay)
  c(intersect("RNA", names), setdiff(names, "RNA"))
}

# Whether an SCT assay has several models whose depths FindMarkers() refuses to compare: their
# median counts are not those of the shallowest, as PrepSCTFindMarkers() makes them.
has_unprepared_models <- function(object, assay) {
  stored <- if (is_seurat(object)) methods::slot(object, "assays")[[assay]]
  if (is.null(stored) || !methods::.hasSlot(stored, "SCTModel.list")) {
    return(FALSE)
  }
  models <- methods::slot(stored, "SCTModel.list")
  if (length(models) < 2L) {
    return(FALSE)
  }
  seen <- vapply(models, function(model) {
    stats::median(methods::slot(model, "cell.attributes")[, "umi"])
  }, 0)
  used <- lapply(models, function(model) {
    if (methods::.hasSlot(model, "median_umi")) methods::slot(model, "median_umi")
  })
  used <- suppressWarnings(as.numeric(unlist(used)))
  length(used) < length(models) || anyNA(used) || any(used != min(seen))
}

# Seurat's draws set the seed of the session.
with_kept_seed <- function(code) {
  global <- globalenv()
  old <- get0(".Random.seed", envir = global, inherits = FALSE)
  on.exit({
    if (is.null(old)) {
      suppressWarnings(rm(".Random.seed", envir = global))
    } else {
      assign(".Random.seed", old, envir = global)
    }
  })
  force(code)
}

# Tables of S4Vectors as data frames, and lists of them as lists: scran and DESeq2 return them.
plain_tables <- function(x) {
  if (!isS4(x)) {
    if (is.list(x) && !is.data.frame(x)) x <- lapply(x, function(part) {
      if (isS4(part)) plain_tables(part) else part
    })
    return(x)
  }
  if (inherits(x, "DataFrame")) {
    return(plain_table(x))
  }
  if (inherits(x, "SimpleList")) {
    return(lapply(methods::slot(x, "listData"), plain_tables))
  }
  # A CompressedSplitDFrameList: its own methods take it apart.
  if (inherits(x, "List") && length(x)) {
    parts <- lapply(seq_along(x), function(i) plain_tables(x[[i]]))
    return(stats::setNames(parts, names(x)))
  }
  x
}

plain_table <- function(x) {
  columns <- lapply(methods::slot(x, "listData"), function(column) {
    if (inherits(column, "Rle")) {
      rep(methods::slot(column, "values"), methods::slot(column, "lengths"))
    } else {
      column
    }
  })
  # The full statistics of scran are tables in a column.
  simple <- vapply(columns, function(column) is.atomic(column) && is.null(dim(column)), NA)
  rows <- methods::slot(x, "rownames")
  n <- methods::slot(x, "nrows")
  unique <- !is.null(rows) && !anyDuplicated(rows)
  structure(
    columns[simple],
    class = "data.frame", row.names = if (unique) rows else .set_row_names(n)
  )
}
