#' Read a marker table
#'
#' Reads the three known formats and returns one: the columns of Seurat's `FindAllMarkers()`.
#' The format is recognised by the columns. [AnnotateClusters()] reads all of these by itself; use
#' `ReadMarkers()` to look at what it makes of a file, or when columns have other names.
#'
#' * Seurat: `FindAllMarkers()` of Seurat 3 (`avg_logFC`) and of 4 and 5 (`avg_log2FC`), also
#'   with `test.use = "roc"`. The column `gene` is used, not the row names.
#' * scanpy: `rank_genes_groups_df()`, with the columns `group` and `names`.
#' * Lists: two columns with a cluster and its genes, or a named list of genes.
#'
#' @param x A data frame, the path of a file (CSV, TSV, also compressed with gzip), or a named
#'   list with the genes of each cluster.
#' @param ... Not used; anything else here is an error.
#' @param cluster.column,gene.column Names of the columns with the clusters and the genes, when
#'   they are not to be detected.
#'
#' @return A data frame with the columns `cluster` (a factor, in the order of the clusters) and
#'   `gene`, and those that the table has of `avg_log2FC`, `pct.1`, `pct.2`, `p_val`, `p_val_adj`
#'   and `score`.
#' @family markers
#' @examples
#' \dontrun{
#' ReadMarkers(list("0" = c("CD79A", "MS4A1"), "1" = c("CD3E", "CD3D")))
#' }
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
  if (is.data.frame(x)) {
    # read.csv() makes logical values of the clusters "TRUE" and "FALSE", which stay as R has them.
    logical <- vapply(x, is.logical, NA)
    x[logical] <- lapply(x[logical], as.character)
    return(list(frame = pack_frame(outgoing, x, lists = TRUE)))
  }
  if (rlang::is_string(x) && is.null(names(x))) {
    return(list(path = json_text(path.expand(x))))
  }
  if (is.list(x) && length(x) && !is.null(names(x)) && all(vapply(x, is_genes, NA))) {
    genes <- unname(lapply(x, function(genes) json_texts(as.character(genes))))
    return(list(lists = list(names = json_texts(names(x)), genes = genes)))
  }
  cellferry_stop(
    "markers_format",
    paste0("Markers can't be read from an object of class ", class(x)[1], "."),
    "Valid: a data frame, the path of a file, or a named list with the genes of each cluster."
  )
}

is_genes <- function(x) is.character(x) || is.factor(x)

#' The markers that annotations were made from
#'
#' Returns the best markers of each cluster, up to 50, as they were stored with the annotations.
#'
#' @inheritParams SupportingMarkers
#'
#' @return A data frame with the columns of `FindAllMarkers()`; `cluster` is a factor in the order
#'   of the clusters.
#' @family markers
#' @examples
#' \dontrun{
#' head(Markers(x))
#' }
#' @export
Markers <- function(object, key = NULL) {
  check_text(key, "key", null = TRUE)
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
