#' Annotate every cell with a cell type
#'
#' As [AnnotateClusters()], but one answer for each cell. The labels go to the metadata as `<key>`,
#' and beside it `<key>_detail`, `<key>_confidence`, `<key>_ontology_id` and `<key>_status`. Where
#' there are clusters, what most cells of a cluster are goes to `<key>_majority`, their share to
#' `<key>_majority_share`, and whether a cell disagrees to `<key>_disagrees`; it does not where one
#' label is a kind of the other in the Cell Ontology. [Annotations()] returns a summary with one row
#' per label. The evidence of each cell is in the file `cells.npz` of the run.
#'
#' Cells that the assay does not have, as those that a sketch left out, get no label, have the
#' status `skipped` and are in no majority or share.
#'
#' @section Engines:
#' `"local"` scores each cell by itself, from log-normalised values, on this machine. Then it looks
#' at all calls once more, with the clusters and the graph of [Seurat::FindNeighbors()] where the
#' object has them: a type that nothing around supports is not answered, and a rare label becomes
#' the type that it is a kind of, unless the cells are sure. The call of each cell by itself is in
#' `<key>_raw`; `context = FALSE` gives it as the label. What most cells of a small group of
#' neighbours were called is in `<key>_voted`: by the graph, else the UMAP or t-SNE of the object;
#' `majority_voting = FALSE` leaves it out. `smooth = TRUE` averages the scores over
#' the neighbours. [CellAtlasEngine()] sends the counts to a service, in chunks; a run that was
#' stopped goes on with [ResumeAnnotation()] at the first chunk that is missing. An error or an
#' interrupt while the object is read, in R, comes as what it is, and leaves the same run.
#'
#' @inheritParams AnnotateClusters
#' @param object A Seurat object, a SingleCellExperiment or SummarizedExperiment, a named list of
#'   such objects, or the path of a file with one (`.rds`, `.h5ad`, a zarr folder or its address, or
#'   what 10x Genomics writes), for which the answer is a table. Several paths (but `.rds`) are read
#'   as one object: cells one after the other, each name with `_1`, `_2`, ... where a name is in two
#'   files, the genes that all have, by name (a gene that a file lacks was not measured there, and
#'   is left out with a warning), and the columns that all have. An object of this session goes to
#'   the engine block by block, each time that it reads it: nothing is transposed, copied as a
#'   whole, or made dense.
#' @param engine Name of an engine that answers cells, or an engine such as [CellAtlasEngine()].
#' @param group.by Metadata column with clusters to compare with; `"ident"` is the active identity,
#'   if there is one.
#' @param output For the path of a file: where the labelled object goes; see [AnnotateClusters()].
#'
#' @return The object with the new columns. After a dry run a list with the plan, of class
#'   `cellferry_plan`.
#' @family annotation
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateCells(SeuratObject::pbmc_small, verbose = FALSE)
#' table(x$cell_type_cell, x$cell_type_cell_majority)
#' @export
AnnotateCells <- function(object, engine = "local", key = "cell_type_cell", group.by = "ident",
                          tissue = NULL, species = NULL, study.context = NULL, assay = NULL,
                          overwrite = FALSE, allow.upload = FALSE, verbose = TRUE,
                          dry.run = FALSE, levels = FALSE, ...) {
  UseMethod("AnnotateCells")
}

#' @rdname AnnotateCells
#' @export
AnnotateCells.Seurat <- function(object, engine = "local", key = "cell_type_cell",
                                 group.by = "ident", tissue = NULL, species = NULL,
                                 study.context = NULL, assay = NULL, overwrite = FALSE,
                                 allow.upload = FALSE, verbose = TRUE, dry.run = FALSE,
                                 levels = FALSE, ...) {
  request <- new_request(
    engine, list(...), group.by, key, tissue, species, study.context, assay, overwrite,
    allow.upload, verbose,
    level = "cells", dry.run = dry.run, levels = levels
  )
  annotate_object(object, request)
}

#' @rdname AnnotateCells
#' @export
AnnotateCells.SingleCellExperiment <- AnnotateCells.Seurat

#' @rdname AnnotateCells
#' @export
AnnotateCells.SummarizedExperiment <- AnnotateCells.Seurat

#' @rdname AnnotateCells
#' @export
AnnotateCells.character <- function(object, engine = "local", key = "cell_type_cell",
                                    group.by = "ident", tissue = NULL, species = NULL,
                                    study.context = NULL, assay = NULL, overwrite = FALSE,
                                    allow.upload = FALSE, verbose = TRUE, dry.run = FALSE,
                                    levels = FALSE, output = NULL, ...) {
  check_paths(object, "object")
  check_text(output, "output", null = TRUE)
  request <- new_request(
    engine, list(...), group.by, key, tissue, species, study.context, assay, overwrite,
    allow.upload, verbose,
    level = "cells", dry.run = dry.run, levels = levels
  )
  annotate_file(path.expand(object), request, output)
}

#' @export
AnnotateCells.default <- function(object, engine = "local", key = "cell_type_cell",
                                  group.by = "ident", tissue = NULL, species = NULL,
                                  study.context = NULL, assay = NULL, overwrite = FALSE,
                                  allow.upload = FALSE, verbose = TRUE, dry.run = FALSE,
                                  levels = FALSE, ...) {
  if (is_list_of_objects(object)) {
    options <- list(...)
    return(annotate_each(object, NULL, verbose, function(one, markers) {
      rlang::exec(
        AnnotateCells, one, engine, key, group.by, tissue, species, study.context, assay,
        overwrite, allow.upload, verbose, dry.run, levels, !!!options
      )
    }))
  }
  cellferry_stop(
    "unsupported_object",
    paste0("cellferry can't annotate the cells of an object of class ", class(object)[1], "."),
    "Valid: a Seurat object or a SingleCellExperiment. For a marker table: AnnotateClusters()."
  )
}
