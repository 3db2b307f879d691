#' The annotations that an object has
#'
#' Returns the table that [AnnotateClusters()] stored: one row per cluster, with the evidence. Of
#' an object it needs no Python. After `subset()` the cells are counted anew, and clusters that are
#' gone keep their row with 0 cells. The table belongs to the labels that were written: where the
#' cells have other clusters by now, as after `FindClusters()`, they are counted by those labels,
#' and a note says so. `merge()`, conversions and `DietSeurat(misc = FALSE)` drop the table: then
#' the labels are read back from the metadata, and a message says so.
#'
#' @param object A Seurat object, a SingleCellExperiment, annotations, or the path of a labelled
#'   object (`.rds`, `.h5ad` or a zarr folder, which Python reads, without its matrices).
#' @param key Key of the annotations; `NULL` is the newest.
#'
#' @return A data frame of class `cellferry_annotations`. Five columns are printed, of a long table
#'   its first rows, all with `print(found, n = Inf)`; once somebody decided ([SetLabels()]) what
#'   the engine said and the decision are printed too. It has
#'   `r paste0("\x60", names(annotation_columns), "\x60", collapse = ", ")`. Columns with several
#'   values per cluster, such as `supporting`, are lists; `as.data.frame()` and `write.csv()` join
#'   them by `"; "`. [WriteAnnotations()] writes more, also for a spreadsheet.
#' @family results
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' found <- Annotations(x)
#' found$label
#' found$supporting
#' @export
Annotations <- function(object, key = NULL) {
  check_text(key, "key", null = TRUE)
  object <- labelled_of(object, key)
  if (inherits(object, "cellferry_annotations")) {
    return(object)
  }
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) {
    return(labels_only(object, stored$key))
  }
  table <- new_annotations(stored$json, stored$key)
  # The record of a part: its cells were counted where it was annotated.
  if (!is_of_part(stored$key)) table <- recount(table, object)
  others <- setdiff(whole_keys(extract_stored(object)), stored$key)
  if (is.null(key) && length(others)) {
    attr(table, "note") <- c(attr(table, "note"), paste0(
      "These are of the key \"", stored$key, "\"; there is also ", listing(others), "."
    ))
  }
  table
}

# The stored JSON of a key, or of the newest; `json` is NULL where only label columns are left.
# Genes and markers are asked of clusters, so `of.clusters` has those before newer ones of cells.
stored_annotations <- function(object, key = NULL, of.clusters = FALSE) {
  if (inherits(object, "cellferry_annotations")) {
    return(list(key = attr(object, "key"), json = attr(object, "json")))
  }
  if (!is_cell_object(object)) {
    if (is_path(object)) stop_path(object)
    cellferry_stop(
      "unsupported_object",
      paste0("An object of class ", class(object)[1], " holds no annotations."),
      "Valid: a Seurat object, a SingleCellExperiment, a path, or the result of Annotations()."
    )
  }
  stored <- extract_stored(object)
  left <- setdiff(label_keys(extract_metadata(object)), names(stored))
  known <- c(names(stored), left)
  if (is.null(key) && length(stored)) {
    stored <- stored[whole_keys(stored)]
    made <- lapply(stored, function(json) parse_annotations(json)$provenance)
    created <- vapply(made, function(provenance) provenance$created %||% "", "")
    cells <- vapply(made, function(provenance) identical(provenance$level, "cells"), NA)
    last <- order(of.clusters & cells, order(order(created, method = "radix", decreasing = TRUE)))
    key <- names(stored)[last][1]
  }
  key <- key %||% c(left, NA)[1]
  if (!key %in% known) {
    annotations_missing(key, known)
  }
  list(key = key, json = stored[[key]])
}

# MergeAnnotations() keeps the records of parts as `<key>@<part>`; they are never meant unasked.
is_of_part <- function(key) grepl("@", key, fixed = TRUE)

whole_keys <- function(stored) {
  keys <- names(stored)[!is_of_part(names(stored))]
  if (length(keys)) keys else names(stored)
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
  if (!isTRUE(parsed$schema %in% readable_schemas)) {
    cellferry_stop(
      "annotations_format",
      paste0(
        "The stored annotations have the schema \"", parsed$schema %||% "none",
        "\"; this version reads \"", annotation_schema, "\"."
      ),
      if (is_newer_schema(parsed$schema)) {
        paste0(
          "A newer cellferry than ", utils::packageVersion("cellferry"),
          " wrote them: update the package."
        )
      } else {
        "Update cellferry, or annotate again."
      }
    )
  }
  parsed
}

# A schema that this version does not know yet.
is_newer_schema <- function(schema) {
  own <- strsplit(annotation_schema, "/", fixed = TRUE)[[1]]
  found <- strsplit(schema %||% "", "/", fixed = TRUE)[[1]]
  length(found) == 2L && identical(found[1], own[1]) && grepl("^[0-9]+$", found[2]) &&
    as.numeric(found[2]) > as.numeric(own[2])
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
  table <- as_annotations(columns, length(parsed$rows), key, json, parsed$provenance)
  attr(table, "decisions") <- parsed$decisions
  table
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

#' The genes that support each label
#'
#' @inheritParams Annotations
#' @param key Key of the annotations; `NULL` is the newest of clusters, else of cells.
#' @param n Most genes per label.
#'
#' @return A named list, label -> genes, in the order of the clusters and with no gene twice,
#'   under the names that the object has for them (Ensembl identifiers, if that is what they are):
#'   ready for Seurat's `DotPlot(features = )`. Clusters without a label are left out, and labels
#'   without cells, as after `subset()`. [SupportingMarkersPlot()] draws them.
#' @family results
#' @examplesIf cellferry:::has_backend() && requireNamespace("ggplot2", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' SupportingMarkers(x)
#' SupportingMarkersPlot(x)
#' @examples
#' \dontrun{
#' # With Seurat, as one list, so that names of labels do not overlap:
#' DotPlot(x, features = unlist(SupportingMarkers(x), FALSE, FALSE), group.by = "cell_type") +
#'   RotatedAxis()
#' }
#' @export
SupportingMarkers <- function(object, key = NULL, n = 3) {
  check_text(key, "key", null = TRUE)
  check_count(n, "n")
  object <- labelled_of(object, key, of.clusters = TRUE)
  stored <- stored_annotations(object, key, of.clusters = TRUE)
  if (is.null(stored$json)) {
    labels_only_error("supporting genes")
  }
  table <- Annotations(object, stored$key)
  # The table is read by people and has symbols; the object may know its genes by other names.
  names <- unlist(attr(table, "provenance")$gene_names)
  table <- table[table$status == "ok" & !table$n_cells %in% 0L, ]
  used <- character()
  found <- list()
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
