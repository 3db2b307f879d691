#' The annotations that an object has
#'
#' Returns the table that [AnnotateClusters()] stored: one row per cluster, with the evidence. It
#' needs no Python. After `subset()` the cells are counted anew, and clusters that are gone keep
#' their row with 0 cells. The table belongs to the labels that were written: where the cells have
#' other clusters by now, as after `FindClusters()`, they are counted by those labels, and a note
#' says so. `merge()`, conversions and `DietSeurat(misc = FALSE)` drop the table: then the labels
#' are read back from the metadata, and a message says so.
#'
#' @param object A Seurat object, a SingleCellExperiment, or annotations.
#' @param key Key of the annotations; `NULL` is the newest.
#'
#' @return A data frame of class `cellferry_annotations`. Five columns are printed; it has
#'   `r paste0("\x60", names(annotation_columns), "\x60", collapse = ", ")`. Columns with several
#'   values per cluster, such as `supporting`, are lists.
#' @family results
#' @examples
#' \dontrun{
#' found <- Annotations(x)
#' found$label
#' found$supporting
#' }
#' @export
Annotations <- function(object, key = NULL) {
  check_text(key, "key", null = TRUE)
  if (inherits(object, "cellferry_annotations")) {
    return(object)
  }
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) {
    return(labels_only(object, stored$key))
  }
  recount(new_annotations(stored$json, stored$key), object)
}

# The stored JSON of a key, or of the newest; `json` is NULL where only label columns are left.
stored_annotations <- function(object, key = NULL) {
  if (inherits(object, "cellferry_annotations")) {
    return(list(key = attr(object, "key"), json = attr(object, "json")))
  }
  if (!is_cell_object(object)) {
    cellferry_stop(
      "unsupported_object",
      paste0("An object of class ", class(object)[1], " holds no annotations."),
      "Valid: a Seurat object, a SingleCellExperiment, or the result of Annotations()."
    )
  }
  stored <- extract_stored(object)
  left <- setdiff(label_keys(extract_metadata(object)), names(stored))
  known <- c(names(stored), left)
  if (is.null(key) && length(stored)) {
    created <- vapply(stored, function(json) parse_annotations(json)$provenance$created %||% "", "")
    key <- names(stored)[order(created, decreasing = TRUE, method = "radix")][1]
  }
  key <- key %||% c(left, NA)[1]
  if (!key %in% known) {
    annotations_missing(key, known)
  }
  list(key = key, json = stored[[key]])
}

annotations_missing <- function(key, known) {
  if (!length(known)) {
    cellferry_stop(
      "annotations_missing", "This object holds no annotations of cellferry.",
      "Annotate it first: x <- AnnotateClusters(x)"
    )
  }
  cellferry_stop(
    "annotations_missing",
    paste0("There are no annotations under the key \"", key, "\"."),
    c(did_you_mean(key, known), paste0("Keys of this object: ", listing(known), "."))
  )
}

parse_annotations <- function(json) {
  # What makes the text may fail, and that is no fault of the text.
  force(json)
  parsed <- tryCatch(from_json(json), error = function(cnd) NULL)
  if (!identical(parsed$schema, annotation_schema)) {
    cellferry_stop(
      "annotations_format",
      paste0(
        "The stored annotations have the schema \"", parsed$schema %||% "none",
        "\"; this version reads \"", annotation_schema, "\"."
      ),
      "Update cellferry, or annotate again."
    )
  }
  parsed
}

new_annotations <- function(json, key) {
  parsed <- parse_annotations(json)
  columns <- lapply(names(annotation_columns), function(name) {
    values <- lapply(parsed$rows, function(row) row[[name]])
    switch(annotation_columns[[name]],
      text = null_to_na(values, NA_character_),
      integer = as.integer(null_to_na(values, NA_integer_)),
      real = as.double(null_to_na(values, NA_real_)),
      texts = lapply(values, function(value) as.character(unlist(value)))
    )
  })
  names(columns) <- names(annotation_columns)
  as_annotations(columns, length(parsed$rows), key, json, parsed$provenance)
}

as_annotations <- function(columns, n, key, json = NULL, provenance = list(), note = NULL) {
  structure(
    columns,
    class = c("cellferry_annotations", "data.frame"), row.names = .set_row_names(n),
    key = key, json = json, provenance = provenance, note = note
  )
}

labels_only_error <- function(what) {
  cellferry_stop(
    "annotations_missing",
    paste0("The object holds labels and no ", what, ": their table is gone (", record_lost, ")."),
    "Use the object that still has it, or annotate again."
  )
}

#' @export
format.cellferry_annotations <- function(x, ...) {
  shown <- as.data.frame(lapply(intersect(printed_columns, names(x)), function(name) x[[name]]))
  names(shown) <- intersect(printed_columns, names(x))
  c(
    format_columns(shown), if ("status" %in% names(x)) paste0("# ", summary_line(x)),
    if (!is.null(attr(x, "note"))) paste0("# ", attr(x, "note"))
  )
}

#' @export
print.cellferry_annotations <- function(x, ...) {
  if (!all(printed_columns[-c(1, 4)] %in% names(x))) {
    return(NextMethod())
  }
  cat(format(x), sep = "\n")
  invisible(x)
}

format_columns <- function(frame) {
  columns <- lapply(names(frame), function(name) {
    values <- frame[[name]]
    text <- if (is.double(values)) sprintf("%.2f", values) else as.character(values)
    text[is.na(values)] <- "NA"
    cells <- c(name, text)
    align <- if (is.numeric(values)) "right" else "left"
    cli::ansi_align(cells, max(cli::ansi_nchar(cells, "width")), align = align)
  })
  sub(" +$", "", do.call(paste, c(columns, sep = "  ")))
}

# For example "9 clusters: 8 ok, 1 unknown". Where every cell was annotated the rows are labels, and
# it is "700 cells: 690 ok, 10 unknown; 12 labels".
summary_line <- function(table) {
  of_cells <- identical(attr(table, "provenance")$level, "cells") && !is.null(table$n_cells)
  weights <- if (of_cells) table$n_cells else rep(1L, nrow(table))
  status <- factor(table$status, levels = annotation_statuses)
  counts <- vapply(split(weights, status), sum, 0L)
  by_status <- toString(paste(counts, names(counts))[counts > 0])
  number <- function(n, what) paste0(n, " ", what, if (n != 1L) "s")
  if (!of_cells) {
    return(paste0(number(nrow(table), "cluster"), ": ", by_status))
  }
  labels <- sum(table$status == "ok" & weights > 0)
  paste0(number(sum(weights), "cell"), ": ", by_status, "; ", number(labels, "label"))
}

#' The genes that support each label
#'
#' @inheritParams Annotations
#' @param n Most genes per label.
#'
#' @return A named list, label -> genes, in the order of the clusters and with no gene twice,
#'   under the names that the object has for them (Ensembl identifiers, if that is what they are):
#'   ready for `DotPlot(x, features = SupportingMarkers(x), group.by = "cell_type")`. Clusters
#'   without a label are left out, and those without cells, as after `subset()`.
#' @family results
#' @examples
#' \dontrun{
#' SupportingMarkers(x)
#' }
#' @export
SupportingMarkers <- function(object, key = NULL, n = 3) {
  check_text(key, "key", null = TRUE)
  check_count(n, "n")
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) {
    labels_only_error("supporting genes")
  }
  table <- new_annotations(stored$json, stored$key)
  if (is_cell_object(object)) table <- recount(table, object)
  table <- table[table$status == "ok" & !table$n_cells %in% 0L, ]
  used <- character()
  found <- list()
  # The table is read by people and has symbols; the object may know its genes by other names.
  names <- unlist(attr(table, "provenance")$gene_names)
  for (label in unique(table$label)) {
    genes <- unlist(table$supporting[table$label == label])
    genes <- utils::head(setdiff(genes, used), n)
    used <- c(used, genes)
    renamed <- genes %in% names(names)
    genes[renamed] <- names[genes[renamed]]
    if (length(genes)) found[[label]] <- genes
  }
  found
}

#' Write a report of the annotations
#'
#' Writes one HTML file with everything it shows: the labels, the evidence, the embedding
#' coloured by label, and how it was made.
#'
#' @inheritParams Annotations
#' @param file Path of the file to write.
#'
#' @return The path, invisibly.
#' @family results
#' @examples
#' \dontrun{
#' AnnotationReport(x, "report.html")
#' }
#' @export
AnnotationReport <- function(object, file, key = NULL) {
  check_text(file, "file")
  check_text(key, "key", null = TRUE)
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) {
    labels_only_error("table to report")
  }
  outgoing <- new_outgoing()
  message <- list(json = json_text(stored$json), file = json_text(path.expand(file)))
  message <- c(message, json_embedding(outgoing, object, new_annotations(stored$json, stored$key)))
  answer <- bridge_call("report", message, outgoing)
  invisible(answer$value$file)
}

# The embedding with its clusters; nothing when there is none or the clusters were changed.
json_embedding <- function(outgoing, object, table) {
  if (inherits(object, "cellferry_annotations")) {
    return(list())
  }
  coordinates <- extract_coordinates(object)
  groups <- stored_groups(object, table)
  if (is.null(coordinates) || is.null(groups)) {
    return(list())
  }
  codes <- groups$codes - 1L
  codes[is.na(codes)] <- -1L
  list(
    coordinates = json_coordinates(outgoing, coordinates), codes = pack_integer(outgoing, codes),
    names = json_texts(groups$names)
  )
}
