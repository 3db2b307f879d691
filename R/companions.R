#' Export the marker genes of labels
#'
#' The marker genes of each label, for enrichment analysis and for a look: a Wilcoxon test of every
#' gene between the cells of a label and all others, as `FindAllMarkers(only.pos = TRUE)` with a
#' log2 fold change of 0.25 and a tenth of the cells. Its p-values rank genes.
#'
#' `"local"` computes them on this machine. [CellAtlasEngine()] asks a service: `cellferry serve`,
#' or one that has a path of its own (`markers_path`). All cells go in one request, at most
#' 100,000. What the hosted service offers has no public path.
#'
#' @inheritParams AnnotateCells
#' @param group.by Metadata column with the labels; `"ident"` is the active identity. Cells without
#'   a label are among the others.
#' @param engine `"local"`, or [CellAtlasEngine()].
#' @param ... Options of the engine, if it is given by name.
#'
#' @return A data frame with the columns of `FindAllMarkers()`, best first.
#' @family markers
#' @seealso [EmbedCells()], [FindClusterMarkers()]
#' @examples
#' \dontrun{
#' x <- AnnotateCells(x)
#' markers <- ExportMarkers(x, group.by = "cell_type_cell")
#' service <- CellAtlasEngine(api_url = "http://127.0.0.1:8000/v1/singlecell/annotate")
#' markers <- ExportMarkers(x, group.by = "cell_type_cell", engine = service)
#' }
#' @export
ExportMarkers <- function(object, group.by = "ident", engine = "local", assay = NULL,
                          allow.upload = FALSE, verbose = TRUE, ...) {
  check_text(group.by, "group.by")
  answer <- ask_companion(
    object, "markers", "ExportMarkers", engine, list(...), group.by, assay, allow.upload, verbose
  )
  found <- unpack_frame(answer$value$frame, answer$buffers)
  rownames(found) <- marker_row_names(found, TRUE)
  found
}

#' Embed every cell
#'
#' Numbers of each cell for [Seurat::FindNeighbors()], [Seurat::RunUMAP()] and clustering, as a
#' reduction of the object.
#'
#' `"local"` projects each cell onto 50 fixed directions of what marker genes say of cell types, on
#' this machine. A cell is projected by itself, so that objects of a species lie in one space; it
#' is not trained. [CellAtlasEngine()] asks a service, in chunks: `cellferry serve`, or one that has
#' a path of its own (`embedding_path`). What the hosted service offers has no public path.
#'
#' @inheritParams ExportMarkers
#' @param reduction Name of the reduction that is added.
#' @param overwrite Replace a reduction of this name that cellferry did not write.
#'
#' @return The object with the reduction (`reducedDim()` of a SingleCellExperiment). Cells that the
#'   assay lacks are not in it; they are NA in a SingleCellExperiment.
#' @family annotation
#' @seealso [ExportMarkers()]
#' @examples
#' \dontrun{
#' x <- EmbedCells(x)
#' x <- Seurat::RunUMAP(x, reduction = "cellferry", dims = 1:50)
#' }
#' @export
EmbedCells <- function(object, engine = "local", reduction = "cellferry", assay = NULL,
                       overwrite = FALSE, allow.upload = FALSE, verbose = TRUE, ...) {
  check_text(reduction, "reduction")
  check_flag(overwrite, "overwrite")
  object <- check_object(object)
  check_reduction(object, reduction, overwrite)
  answer <- ask_companion(
    object, "embedding", "EmbedCells", engine, list(...), "ident", assay, allow.upload, verbose
  )
  values <- matrix(
    unpack_buffer(answer$value$values, answer$buffers),
    ncol = as.integer(answer$value$dimensions)
  )
  rownames(values) <- answer$cells
  note <- lapply(answer$value$note, as.character)
  attach_reduction(object, values, reduction, answer$assay, note)
}

check_reduction <- function(object, reduction, overwrite) {
  problem <- reserved_reduction(object, reduction)
  if (!is.null(problem)) {
    cellferry_stop(
      "invalid_key", paste0("The object has ", problem, " of the name \"", reduction, "\"."),
      "Choose another `reduction`."
    )
  }
  if (!overwrite && has_foreign_reduction(object, reduction)) {
    cellferry_stop(
      "column_exists",
      paste0("There is a reduction \"", reduction, "\" that cellferry did not write."),
      "Choose another `reduction`, or overwrite = TRUE."
    )
  }
}

# Sends what the engine reads, and returns its answer with the cells and the assay it is of.
ask_companion <- function(object, what, caller, engine, options, group.by, assay, allow.upload,
                          verbose) {
  check_text(assay, "assay", null = TRUE)
  check_flag(allow.upload, "allow.upload")
  check_flag(verbose, "verbose")
  object <- check_object(object)
  chosen <- with_options(engine, options, "cells", caller)
  parts <- if (identical(chosen$name, "local")) "normalized" else c("normalized", "counts")
  kept <- new_kept()
  shown <- verbose && interactive()
  on.exit({
    if (shown) clear_progress()
    discard(kept)
  })
  opened <- open_study(object, group.by, assay, parts, kept, verbose)
  progress <- if (shown) progress_line("Asking the engine")
  answer <- with_key_prompt(chosen, {
    bridge_call(
      "companion",
      list(
        handle = json_text(opened$handle), what = json_text(what), engine = json_engine(chosen),
        allow_upload = json_flag(allow.upload)
      ),
      callback = progress, verbose = verbose
    )
  })
  assay <- extract_assay(object, assay)
  measured <- measured_cells(object, assay, layers_of_parts(parts))
  c(answer, list(cells = of_measured(extract_cells(object), measured$cells), assay = assay))
}
