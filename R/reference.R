#' Label cells by a reference of your own
#'
#' `TrainReference()` makes a model of an object whose cells have labels: a linear model over the
#' genes that tell the labels apart, with the rejection that cross-validation found. It is written
#' to a file, once. `ReferenceEngine()` labels other objects by that file, of cells or of clusters
#' (what most of their cells are), on the genes they share, without the reference and without a
#' network. A cell that is like none of the labels is `"Unknown"`; the confidence is the share of
#' held-out cells of the same probability that were right.
#'
#' Training needs scikit-learn in cellferry's Python; using a model does not.
#'
#' @inheritParams AnnotateClusters
#' @param object A Seurat object or a SingleCellExperiment with labels, and counts or log-normalised
#'   values; or the path of a file (`.rds`, `.h5ad` or a zarr folder).
#' @param labels Metadata column with the labels.
#' @param file Where the model goes, usually `.npz`.
#' @param n.genes Genes of the model at most.
#' @param leave.out Leave out cells without a label, and labels of fewer than 10 cells; else both
#'   are errors.
#' @param overwrite Whether the file is replaced.
#' @param ... Must be empty.
#'
#' @return `TrainReference()`: invisibly a list with the `file`, the `classes`, the number of
#'   `genes` and, as `cross_validation`, which share of the held-out cells is `right`, is
#'   `labelled`, and is `right_of_labelled`. `ReferenceEngine()`: an object of class
#'   `cellferry_engine`.
#' @family annotation
#' @seealso `vignette("engines")`
#' @examples
#' \dontrun{
#' TrainReference(atlas, labels = "cell_type", file = "atlas.npz")
#' x <- AnnotateClusters(x, engine = ReferenceEngine("atlas.npz"))
#' x <- AnnotateCells(x, engine = ReferenceEngine("atlas.npz"))
#' }
#' @export
TrainReference <- function(object, labels, file, assay = NULL, n.genes = 2000L, leave.out = FALSE,
                           overwrite = FALSE, verbose = TRUE, ...) {
  check_dots(list(...), "TrainReference")
  check_text(labels, "labels")
  check_text(file, "file")
  check_text(assay, "assay", null = TRUE)
  check_count(n.genes, "n.genes")
  check_flag(leave.out, "leave.out")
  check_flag(overwrite, "overwrite")
  check_flag(verbose, "verbose")
  options <- list(
    file = json_text(path.expand(file)), n_genes = json_number(n.genes),
    leave_out = json_flag(leave.out), overwrite = json_flag(overwrite)
  )
  bridge_call("train_reference", c(list(check = json_flag(TRUE)), options))
  kept <- new_kept()
  on.exit(discard(kept))
  found <- if (is_path(object)) object_of_path(object) else object
  from <- if (is.null(found)) {
    list(
      path = json_text(path.expand(object)), assay = json_text(assay), labels = json_text(labels)
    )
  } else {
    opened <- open_study(found, labels, assay, reference_parts, kept, verbose = verbose)
    list(handle = json_text(opened$handle))
  }
  answer <- bridge_call("train_reference", c(from, options), verbose = verbose)$value
  answer$classes <- as.character(unlist(answer$classes))
  if (verbose) {
    figures <- answer$cross_validation
    cellferry_inform(paste0(
      "Wrote \"", file, "\": ", length(answer$classes), " labels, ", answer$genes,
      " genes. Of the cells held out ", round(100 * figures$right, 1), " % are right; ",
      round(100 * figures$labelled, 1), " % get a label, of which ",
      round(100 * figures$right_of_labelled, 1), " % are right."
    ))
  }
  invisible(answer)
}

#' @rdname TrainReference
#' @param model Path of a model that `TrainReference()` or `cellferry.train_reference()` wrote.
#' @export
ReferenceEngine <- function(model) {
  check_text(model, "model")
  new_engine("reference", list(model = path.expand(model)))
}

#' Label cells by a model of CellTypist
#'
#' For [AnnotateCells()], and for [AnnotateClusters()], where each cluster is named after most of
#' its cells. The labels are those of CellTypist's own functions; the model's file is read without
#' running anything that is in it, and neither CellTypist nor a network is needed. What is read is
#' log1p of 10,000 counts per cell: the normalised values where they are that, else made of the
#' counts.
#'
#' @param model Path of a model, or the name of one that CellTypist has downloaded, such as
#'   `"Immune_All_Low.pkl"`. Models are downloaded by CellTypist alone, in Python:
#'   `celltypist.models.download_models()`.
#' @param mode `"best match"` names the best type of each cell; with `"prob match"` a cell of which
#'   no type reaches the probability `p_thres` is `"Unknown"`.
#' @param p_thres See `mode`.
#' @param majority_voting For cells: give every cell the type that most cells of its cluster have;
#'   what it was called by itself is in `_detail`.
#' @param over_clustering Metadata column to vote over; `NULL` are the clusters.
#' @param min_prop Share of the cells of a cluster that its type must have, else they are
#'   `"Unknown"`.
#'
#' @return An object of class `cellferry_engine`.
#' @family annotation
#' @seealso `vignette("engines")`
#' @examples
#' \dontrun{
#' x <- AnnotateClusters(x, engine = CellTypistEngine("Immune_All_Low.pkl"))
#' x <- AnnotateCells(x, engine = CellTypistEngine("my_model.pkl", majority_voting = TRUE))
#' }
#' @export
CellTypistEngine <- function(model, mode = "best match", p_thres = 0.5, majority_voting = FALSE,
                             over_clustering = NULL, min_prop = 0) {
  check_text(model, "model")
  new_engine("celltypist", list(
    model = if (grepl("/", model, fixed = TRUE)) path.expand(model) else model, mode = mode,
    p_thres = p_thres, majority_voting = majority_voting, over_clustering = over_clustering,
    min_prop = min_prop
  ))
}

#' Label human cells by Pan-human Azimuth
#'
#' For [AnnotateCells()], and for [AnnotateClusters()], where each cluster is named after most of
#' its cells, where the package panhumanpy is installed in cellferry's Python. It runs on this
#' machine and uploads nothing; the service behind `CloudAzimuth()` is not asked. Cells that are not
#' human are refused, and a cell whose levels contradict each other is `"Unknown"`.
#'
#' panhumanpy could not be installed where cellferry is tested (the version of tensorflow that it
#' needs): what it answers is read by the format that it documents, and tested with tables in that.
#'
#' @param refinement Which of its labels: `"fine"`, `"medium"` or `"broad"`, of one granularity
#'   each, or `"final"`, the deepest level that it reaches for a cell.
#' @param download Whether panhumanpy may download its model, once, where it is not on this machine.
#'
#' @return An object of class `cellferry_engine`.
#' @family annotation
#' @seealso `vignette("engines")`
#' @examples
#' AzimuthEngine(refinement = "medium")
#' @export
AzimuthEngine <- function(refinement = "fine", download = FALSE) {
  new_engine("azimuth", list(refinement = refinement, download = download))
}

# What is read of an object: both kinds of values, of which Python takes the better.
reference_parts <- c("normalized", "counts")
# And the terms of its labels, where it has them.
labelled_parts <- c(reference_parts, "obs")
