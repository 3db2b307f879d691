# Seurat's own FindAllMarkers() on a copy of an object.

run_find_all_markers <- function(object, groups, assay) {
  clusters <- factor(groups$names[groups$codes], levels = groups$names)
  if (anyNA(clusters)) {
    # Idents() would make a cluster "NA" of the cells that have none.
    object <- subset(object, cells = extract_cells(object)[!is.na(clusters)])
    clusters <- clusters[!is.na(clusters)]
  }
  SeuratObject::Idents(object) <- clusters
  # Ties are the rule in expression data, and Seurat passes on one warning per gene.
  withCallingHandlers(
    Seurat::FindAllMarkers(
      object,
      assay = assay, only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1,
      test.use = "wilcox", verbose = FALSE
    ),
    warning = function(cnd) {
      if (grepl("cannot compute exact p-value", conditionMessage(cnd), fixed = TRUE)) {
        invokeRestart("muffleWarning")
      }
    },
    packageStartupMessage = function(cnd) invokeRestart("muffleMessage"),
    message = function(cnd) {
      if (grepl("limma|presto", conditionMessage(cnd))) invokeRestart("muffleMessage")
    }
  )
}

# FindAllMarkers() sets the seed of the session.
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
