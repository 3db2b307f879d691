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
#' @param object A Seurat object or a SingleCellExperiment, or the path of a file with one (`.rds`,
#'   `.h5ad` or a zarr folder).
#' @param group.by Metadata column with the labels; `"ident"` is the active identity, of an AnnData
#'   in a file `cell_type_cell`, `cell_type` or its clusters. Cells without a label are among the
#'   others.
#' @param engine `"local"`, or [CellAtlasEngine()].
#' @param ... Options of the engine, if it is given by name.
#'
#' @return A data frame with the columns of `FindAllMarkers()`, best first.
#' @family markers
#' @seealso [EmbedCells()], [FindClusterMarkers()]
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateCells(SeuratObject::pbmc_small, verbose = FALSE)
#' head(ExportMarkers(x, group.by = "cell_type_cell", verbose = FALSE))
#' @examples
#' \dontrun{
#' service <- CellAtlasEngine(api_url = "http://127.0.0.1:8000/v1/singlecell/annotate")
#' markers <- ExportMarkers(x, group.by = "cell_type_cell", engine = service)
#' }
#' @export
ExportMarkers <- function(object, group.by = "ident", engine = "local", assay = NULL,
                          allow.upload = FALSE, verbose = TRUE, ...) {
  check_text(group.by, "group.by")
  request <- companion_request(
    "markers", "ExportMarkers", engine, list(...), group.by, assay, allow.upload, verbose
  )
  found <- if (is_path(object)) object_of_path(object) else object
  answer <- if (is.null(found)) {
    ask_companion_of_file(object, request)
  } else {
    ask_companion(check_object(found), request)
  }
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
#' @param overwrite Replace a reduction of this name that cellferry did not write, and the file
#'   `output`.
#' @param output Of a path: where the object goes with its reduction, an `.rds` where that was read,
#'   else an `.h5ad`, with `X_` before the name. `NULL` writes none.
#'
#' @return The object with the reduction (`reducedDim()` of a SingleCellExperiment). Cells that the
#'   assay lacks are not in it; they are NA in a SingleCellExperiment. Of a path the matrix of cells
#'   x dimensions.
#' @family annotation
#' @seealso [ExportMarkers()]
#' @examplesIf cellferry:::has_backend() && requireNamespace("Seurat", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- EmbedCells(SeuratObject::pbmc_small, verbose = FALSE)
#' x[["cellferry"]]
#' @examples
#' \dontrun{
#' x <- Seurat::RunUMAP(x, reduction = "cellferry", dims = 1:50)
#' }
#' @export
EmbedCells <- function(object, engine = "local", reduction = "cellferry", assay = NULL,
                       overwrite = FALSE, allow.upload = FALSE, verbose = TRUE, ...,
                       output = NULL) {
  check_text(reduction, "reduction")
  check_flag(overwrite, "overwrite")
  check_output_of_path(output, object)
  request <- companion_request(
    "embedding", "EmbedCells", engine, list(...), "ident", assay, allow.upload, verbose
  )
  if (is_path(object)) {
    return(embed_file(object, request, reduction, overwrite, output))
  }
  object <- check_object(object)
  check_reduction(object, reduction, overwrite)
  answer <- ask_companion(object, request)
  with_embedding(object, answer, embedded_matrix(answer), reduction)
}

# The matrix of a file; its object is written where `output` says.
embed_file <- function(path, request, reduction, overwrite, output) {
  found <- object_of_path(path)
  output <- if (!is.null(output)) path.expand(output)
  if (is.null(found)) {
    answer <- ask_companion_of_file(path, request, list(
      reduction = json_text(reduction), output = json_text(output),
      overwrite = json_flag(overwrite)
    ))
    answer$cells <- as.character(unlist(answer$value$cells))
    values <- embedded_matrix(answer)
  } else {
    found <- check_object(found)
    check_output(output, overwrite)
    if (!is.null(output)) check_reduction(found, reduction, overwrite)
    answer <- ask_companion(found, request)
    values <- embedded_matrix(answer)
    if (!is.null(output)) write_rds(with_embedding(found, answer, values, reduction), output)
  }
  colnames(values) <- paste0(reduction, "_", seq_len(ncol(values)))
  if (is.null(output)) values else invisible(values)
}

embedded_matrix <- function(answer) {
  values <- matrix(
    unpack_buffer(answer$value$values, answer$buffers),
    ncol = as.integer(answer$value$dimensions)
  )
  rownames(values) <- answer$cells
  values
}

with_embedding <- function(object, answer, values, reduction) {
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

# The checked arguments of both verbs.
companion_request <- function(what, caller, engine, options, group.by, assay, allow.upload,
                              verbose) {
  check_text(assay, "assay", null = TRUE)
  check_flag(allow.upload, "allow.upload")
  check_flag(verbose, "verbose")
  list(
    what = what, engine = with_options(engine, options, "cells", caller), group.by = group.by,
    assay = assay, allow.upload = allow.upload, verbose = verbose
  )
}

companion_parts <- function(engine) {
  if (identical(engine, "local")) "normalized" else c("normalized", "counts")
}

# Sends what the engine reads, and returns its answer with the cells and the assay it is of.
ask_companion <- function(object, request) {
  parts <- companion_parts(request$engine$name)
  kept <- new_kept()
  on.exit(discard(kept))
  opened <- open_study(object, request$group.by, request$assay, parts, kept, request$verbose)
  answer <- call_companion("companion", request, list(handle = json_text(opened$handle)))
  c(answer, companion_cells(object, request$assay, parts))
}

companion_cells <- function(object, assay, parts) {
  assay <- extract_assay(object, assay)
  measured <- measured_cells(object, assay, layers_of_parts(parts))
  list(cells = of_measured(extract_cells(object), measured$cells), assay = assay)
}

# Of a file that Python reads.
ask_companion_of_file <- function(path, request, more = list()) {
  call_companion("companion_file", request, c(more, list(
    path = json_text(path.expand(path)), assay = json_text(request$assay),
    group_key = if (request$group.by != "ident") json_text(request$group.by)
  )))
}

call_companion <- function(name, request, message) {
  shown <- draws_progress(request$verbose)
  on.exit(if (shown) clear_progress())
  progress <- if (shown) progress_line("Asking the engine")
  with_key_prompt(request$engine, {
    asked <- list(
      what = json_text(request$what), engine = json_engine(request$engine),
      allow_upload = json_flag(request$allow.upload)
    )
    bridge_call(name, c(message, asked), callback = progress, verbose = request$verbose)
  })
}

# Of an .rds that an Rscript child reads: Python asks its engine, and gives back an embedding that
# is to be written.
companion_of_object <- function(object, task) {
  reduction <- task$reduction
  if (!is.null(reduction)) check_reduction(object, reduction, isTRUE(task$overwrite))
  parts <- companion_parts(task$engine)
  opened <- open_study(object, task$group_by, task$assay, parts, verbose = FALSE)
  answer <- bridge_call("companion", list(handle = json_text(opened$handle)))
  if (!is.null(reduction)) {
    answer <- c(answer, companion_cells(object, task$assay, parts))
    save_where_asked(with_embedding(object, answer, embedded_matrix(answer), reduction))
  }
  invisible()
}
