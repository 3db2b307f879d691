#' Annotate every cell with a cell type
#'
#' As [AnnotateClusters()], but one answer for each cell. The labels go to the metadata as `<key>`,
#' and beside it `<key>_detail`, `<key>_confidence`, `<key>_ontology_id` and `<key>_status`. Where
#' there are clusters, what most cells of a cluster are goes to `<key>_majority`, their share to
#' `<key>_majority_share`, and whether a cell disagrees to `<key>_disagrees`; it does not where one
#' label is a kind of the other in the Cell Ontology. [Annotations()] returns a summary with one row
#' per label. The evidence of each cell is in the file `cells.npz` of the run.
#'
#' @section Engines:
#' `"local"` scores each cell by itself, from log-normalised values, on this machine.
#' `smooth = TRUE` averages over the neighbours of [Seurat::FindNeighbors()]. [CellAtlasEngine()]
#' sends the counts to a service, in chunks; a run that was stopped goes on with
#' [ResumeAnnotation()] at the first chunk that is missing. An error or an interrupt while the
#' object is read, in R, comes as what it is, and leaves the same run.
#'
#' @inheritParams AnnotateClusters
#' @param object A Seurat object or a SingleCellExperiment. The engine gets it block by block, each
#'   time that it reads it: nothing is transposed, copied as a whole, or made dense.
#' @param engine Name of an engine that answers cells, or an engine such as [CellAtlasEngine()].
#' @param group.by Metadata column with clusters to compare with; `"ident"` is the active identity,
#'   if there is one.
#'
#' @return The object with the new columns.
#' @family annotation
#' @examples
#' \dontrun{
#' library(SeuratObject)
#' x <- AnnotateCells(pbmc_small)
#' table(x$cell_type_cell, x$cell_type_cell_majority)
#' }
#' @export
AnnotateCells <- function(object, engine = "local", key = "cell_type_cell", group.by = "ident",
                          tissue = NULL, species = NULL, study.context = NULL, assay = NULL,
                          overwrite = FALSE, allow.upload = FALSE, verbose = TRUE, ...) {
  UseMethod("AnnotateCells")
}

#' @rdname AnnotateCells
#' @export
AnnotateCells.Seurat <- function(object, engine = "local", key = "cell_type_cell",
                                 group.by = "ident", tissue = NULL, species = NULL,
                                 study.context = NULL, assay = NULL, overwrite = FALSE,
                                 allow.upload = FALSE, verbose = TRUE, ...) {
  name <- object_name(substitute(object))
  request <- new_request(
    engine, list(...), group.by, key, tissue, species, study.context, assay, overwrite,
    allow.upload, verbose,
    level = "cells"
  )
  annotate_cells(object, request, name)
}

#' @rdname AnnotateCells
#' @export
AnnotateCells.SingleCellExperiment <- AnnotateCells.Seurat

#' @export
AnnotateCells.default <- function(object, engine = "local", key = "cell_type_cell",
                                  group.by = "ident", tissue = NULL, species = NULL,
                                  study.context = NULL, assay = NULL, overwrite = FALSE,
                                  allow.upload = FALSE, verbose = TRUE, ...) {
  cellferry_stop(
    "unsupported_object",
    paste0("cellferry can't annotate the cells of an object of class ", class(object)[1], "."),
    "Valid: a Seurat object or a SingleCellExperiment. For a marker table: AnnotateClusters()."
  )
}

# `request$run` is the id of a run to go on with.
annotate_cells <- function(object, request, name, finished = FALSE) {
  check_object(object)
  parts <- wanted_parts(check_request(request, object)$value)
  # The answer of a finished run is on disk: no expression is needed.
  request$parts <- if (finished) structure(character(), needed = character()) else parts
  assay <- extract_assay(object, request$assay)
  groups <- cell_groups(object, request$group.by)
  parcel <- new_parcel()
  message <- c(begin_message(request, "none"), json_target(object))
  message$study <- json_study(parcel, object, groups, assay, NULL, request)
  message$study$pulled <- json_pulled(object, assay)
  begun <- bridge_call("study_begin", message, parcel, verbose = request$verbose)$value
  on.exit(discard(begun$handle))
  blocks <- if (finished) list() else wanted_blocks(begun, object, assay)
  message <- list(handle = json_text(begun$handle), run = json_text(request$run))
  answer <- run_annotation("annotate", message, request$verbose, blocks = blocks)
  cells <- extract_cells(object)
  labelled <- deliver(object, answer, list(names = cells, codes = seq_along(cells)), request$key)
  show_annotations(answer, request$verbose, next_line(labelled, name, request$key))
  labelled
}

# The clusters to compare with. Without a clustering there is none, which is no error here, unless
# a column was asked for.
cell_groups <- function(object, group.by) {
  none <- function(cnd) {
    if (group.by != "ident") stop(cnd)
    list(key = NULL, names = character(), codes = rep(NA_integer_, ncol(object)), column = NULL)
  }
  tryCatch(
    extract_groups(object, group.by),
    cellferry_group_missing_error = none, cellferry_group_empty_error = none
  )
}
