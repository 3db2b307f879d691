#' Read a marker table
#'
#' Reads the known formats and returns one: the columns of Seurat's `FindAllMarkers()`.
#' The format is recognised by the columns. [AnnotateClusters()] reads all of these by itself; use
#' `ReadMarkers()` to look at what it makes of a file, or when columns have other names.
#'
#' * Seurat: `FindAllMarkers()` of Seurat 3 (`avg_logFC`) and of 4 and 5 (`avg_log2FC`), also
#'   with `test.use = "roc"`. The column `gene` is used, not the row names.
#' * scanpy: `rank_genes_groups_df()`, with the columns `group` and `names`.
#' * One table for each cluster, in a named list: of `FindMarkers()`, `scran::findMarkers()` or
#'   `scran::scoreMarkers()` (also as `DataFrame`s), DESeq2, edgeR or limma. Here row names are the
#'   genes where there is no column of them.
#' * `FindConservedMarkers()` with a column of clusters: the mean of `<group>_avg_log2FC` is read.
#' * presto, monocle3's `top_markers()`, muscat, Cell Ranger's `differential_expression.csv`.
#' * Wide tables: a column of genes for each cluster, `0_names, 0_scores, ...`, COSG.
#' * Lists: two columns with a cluster and its genes, or a named list of genes.
#'
#' @param x A data frame, the path of a file (CSV, TSV, also compressed with gzip, or an `.rds`
#'   with a table), or a named list with the genes or the table of each cluster.
#' @param ... Not used; anything else here is an error.
#' @param cluster.column,gene.column Names of the columns with the clusters and the genes, when
#'   they are not to be detected.
#'
#' @return A data frame with the columns `cluster` (a factor, in the order of the clusters) and
#'   `gene`, and those that the table has of `avg_log2FC`, `pct.1`, `pct.2`, `p_val`, `p_val_adj`
#'   and `score`.
#' @family markers
#' @examplesIf cellferry:::has_backend()
#' ReadMarkers(list("0" = c("CD79A", "MS4A1"), "1" = c("CD3E", "CD3D")))
#' @export
ReadMarkers <- function(x, ..., cluster.column = NULL, gene.column = NULL) {
  check_dots(list(...), "ReadMarkers")
  check_text(cluster.column, "cluster.column", null = TRUE)
  check_text(gene.column, "gene.column", null = TRUE)
  found <- open_markers(x, cluster.column, gene.column)
  answer <- bridge_call("marker_frame", list(handle = json_text(found$handle)))
  unpack_frame(answer$value$frame, answer$buffers)
}

# A table that Python reads and keeps: its handle, and what it has of clusters and statistics.
open_markers <- function(x, cluster.column = NULL, gene.column = NULL, verbose = TRUE) {
  outgoing <- new_outgoing()
  message <- list(
    cluster_column = json_text(cluster.column), gene_column = json_text(gene.column)
  )
  message <- c(marker_source(x, outgoing), message)
  bridge_call("read_markers", message, outgoing, verbose = verbose)$value
}

marker_source <- function(x, outgoing) {
  if (rlang::is_string(x) && is.null(names(x))) {
    path <- path.expand(x)
    kind <- bridge_call("file_kind", list(path = json_text(path)))$value
    if (!isTRUE(kind$is_of_r)) {
      return(list(path = json_text(path)))
    }
    x <- read_rds(path)
  }
  x <- plain_tables(x)
  if (is.data.frame(x)) {
    # read.csv() makes logical values of the clusters "TRUE" and "FALSE", which stay as R has them.
    logical <- vapply(x, is.logical, NA)
    x[logical] <- lapply(x[logical], as.character)
    return(list(frame = pack_frame(outgoing, x, lists = TRUE)))
  }
  if (is_named_list(x, is_genes)) {
    genes <- unname(lapply(x, function(genes) json_texts(as.character(genes))))
    return(list(lists = list(names = json_texts(names(x)), genes = genes)))
  }
  if (is_named_list(x, is.data.frame)) {
    if (is_cosg(x)) {
      return(list(frame = pack_frame(outgoing, cosg_table(x))))
    }
    frames <- unname(lapply(x, function(frame) {
      pack_frame(outgoing, frame, if (.row_names_info(frame) > 0L) rownames(frame), lists = TRUE)
    }))
    return(list(frames = list(names = json_texts(names(x)), frames = frames)))
  }
  unnamed <- is_unnamed_list(x)
  cellferry_stop(
    "markers_format",
    if (unnamed) {
      paste0("The list has ", length(x), " parts without names, and they are the clusters.")
    } else {
      paste0("Markers can't be read from an object of class ", class(x)[1], ".")
    },
    if (unnamed) {
      "Name them in their order, for example: stats::setNames(markers, levels(object))"
    } else {
      paste0(
        "Valid: a data frame, the path of a file, or a named list with the genes or the table ",
        "(data frame) of each cluster."
      )
    }
  )
}

# Whether markers can be read from something that is no path.
is_marker_source <- function(x) {
  if (is.data.frame(x)) {
    return(TRUE)
  }
  x <- plain_tables(x)
  is.data.frame(x) || is_named_list(x, is_genes) || is_named_list(x, is.data.frame)
}

is_named_list <- function(x, of) {
  is.list(x) && !is.object(x) && length(x) && !is.null(names(x)) && all(vapply(x, of, NA))
}

is_genes <- function(x) is.character(x) || is.factor(x)

# The genes or tables of clusters that are not named.
is_unnamed_list <- function(x) {
  is.list(x) && !is.object(x) && length(x) && is.null(names(x)) &&
    all(vapply(x, function(part) is_genes(part) || is.data.frame(part), NA))
}

# COSG returns names and scores as two tables with a column for each cluster.
is_cosg <- function(x) {
  setequal(names(x), c("names", "scores")) && identical(dim(x$names), dim(x$scores)) &&
    all(vapply(x$names, is_genes, NA))
}

cosg_table <- function(x) {
  clusters <- names(x$names)
  data.frame(
    cluster = factor(rep(clusters, each = nrow(x$names)), levels = clusters),
    gene = unlist(lapply(x$names, as.character), use.names = FALSE),
    scores = unlist(x$scores, use.names = FALSE)
  )
}

#' The markers that annotations were made from
#'
#' Returns the best markers of each cluster, up to 50, as they were stored with the annotations.
#'
#' @inheritParams SupportingMarkers
#'
#' @return A data frame with the columns of `FindAllMarkers()`; `cluster` is a factor in the order
#'   of the clusters.
#' @family markers
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' head(Markers(x))
#' @export
Markers <- function(object, key = NULL) {
  check_text(key, "key", null = TRUE)
  object <- labelled_of(object, key, of.clusters = TRUE)
  stored <- stored_annotations(object, key, of.clusters = TRUE)
  if (is.null(stored$json)) {
    labels_only_error("markers")
  }
  parsed <- parse_annotations(stored$json)
  columns <- lapply(parsed$markers, function(values) {
    is_text <- any(vapply(values, is.character, NA))
    null_to_na(values, if (is_text) NA_character_ else NA_real_)
  })
  if (!length(columns)) {
    columns <- list(cluster = character(), gene = character())
  }
  clusters <- vapply(parsed$rows, function(row) row$cluster, "")
  columns$cluster <- factor(columns$cluster, levels = clusters)
  structure(columns, class = "data.frame", row.names = .set_row_names(length(columns$gene)))
}
