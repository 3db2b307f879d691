#' Label cells by SingleR and a reference of your own
#'
#' For [AnnotateCells()], and for [AnnotateClusters()], where each cluster is named after most of
#' its cells. The labels are those of SingleR's own function: `SingleR::SingleR()` with the same
#' values, and `de.method = "wilcox"` where the reference is of single cells. It runs in this
#' session, block by block, and what is done is kept in the run: [ResumeAnnotation()] goes on after
#' an interrupt. From Python and the command line R is a child, with the same labels.
#'
#' A cell that SingleR prunes is `"Unknown"`; what it was called is in `_detail`. The confidence is
#' the correlation that is the label's score. Where the metadata of the reference has `label.ont`,
#' as in the references of the package celldex, its terms of the Cell Ontology are those of the
#' labels.
#'
#' SingleR is a package of Bioconductor: `BiocManager::install("SingleR")`.
#'
#' @param reference A labelled object: a Seurat object, a SingleCellExperiment or a
#'   SummarizedExperiment such as celldex has; or the path of one (`.rds`, `.h5ad` or a zarr
#'   folder). Log-normalised values are read as they are; where there are counts alone, log1p of
#'   10,000 is made of them.
#' @param labels Column of its metadata with the labels.
#' @param de_method How the genes are found that tell labels apart: `"wilcox"`, `"t"` or
#'   `"classic"`. `NULL` is `"wilcox"` for single cells and `"classic"` for bulk samples.
#' @param de_n Genes of each pair of labels; `NULL` is SingleR's own choice.
#' @param quantile Of the correlations with the cells of a label, which one is its score.
#' @param fine_tune Whether the best labels are compared again, by the genes that tell these apart.
#' @param tune_thresh How far below the best score a label may be for that.
#' @param prune Whether a cell that SingleR prunes is `"Unknown"`.
#' @param leave_out_unusable Leave out cells of the reference without a label, and labels of fewer
#'   than 10 cells (of bulk samples one is enough); else both are errors.
#' @param assay Assay of the reference; `NULL` is its default assay.
#'
#' @return An object of class `cellferry_engine`.
#' @family annotation
#' @seealso `vignette("engines")`
#' @examplesIf cellferry:::has_backend() && requireNamespace("SingleR", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' atlas <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' engine <- SingleREngine(atlas, labels = "cell_type")
#' x <- AnnotateClusters(SeuratObject::pbmc_small, engine = engine, verbose = FALSE)
#' @examples
#' \dontrun{
#' blood <- celldex::MonacoImmuneData()
#' x <- AnnotateClusters(x, engine = SingleREngine(blood, labels = "label.main"))
#' }
#' @export
SingleREngine <- function(reference, labels, de_method = NULL, de_n = NULL, quantile = 0.8,
                          fine_tune = TRUE, tune_thresh = 0.05, prune = TRUE,
                          leave_out_unusable = FALSE, assay = NULL) {
  check_text(labels, "labels")
  if (is_path(reference)) {
    reference <- path.expand(reference)
  } else if (!is_cell_object(reference)) {
    invalid_argument(
      reference, "reference",
      "a Seurat object, a SingleCellExperiment, a SummarizedExperiment, or the path of a file"
    )
  }
  new_engine("singler", list(
    reference = reference, labels = labels, de_method = de_method, de_n = de_n,
    quantile = quantile, fine_tune = fine_tune, tune_thresh = tune_thresh, prune = prune,
    leave_out_unusable = leave_out_unusable, assay = assay
  ))
}

# The options of the engine as Python takes them: an object of this session is sent there once, and
# has a name by its content. SingleR comes first, for without it nothing need be read.
with_reference <- function(options) {
  if (!is.function(.globals$bridge)) check_singler(options$de_method)
  reference <- options$reference
  if (!is_cell_object(reference)) {
    return(options)
  }
  check_text(options$labels, "labels")
  known <- .globals$references
  mine <- vapply(known, function(one) {
    identical(one$given, options[c("labels", "de_method", "leave_out_unusable", "assay")]) &&
      identical(one$object, reference)
  }, NA)
  name <- if (any(mine)) known[[which(mine)[1]]]$name
  is_known <- function(name) {
    isTRUE(bridge_call("singler_known", list(name = json_text(name)))$value$known)
  }
  if (is.null(name) || !is_known(name)) {
    sent <- send_reference(reference, options)
    check_singler(options$de_method %||% sent$de_method)
    name <- sent$name
    given <- options[c("labels", "de_method", "leave_out_unusable", "assay")]
    entry <- list(object = reference, given = given, name = name)
    .globals$references <- utils::head(c(list(entry), known[!mine]), 4L)
  }
  options$reference <- name
  options$assay <- NULL
  options
}

send_reference <- function(reference, options) {
  kept <- new_kept()
  on.exit(discard(kept))
  opened <- open_study(
    reference, options$labels, options$assay, labelled_parts, kept,
    verbose = FALSE
  )
  bridge_call("singler_reference", list(
    handle = json_text(opened$handle), title = json_text(class(reference)[1]),
    leave_out_unusable = json_flag(isTRUE(options$leave_out_unusable)),
    de_method = json_text(options$de_method)
  ))$value
}

# SingleR, and what it finds genes by: "wilcox" and "t" are functions of scran.
check_singler <- function(de_method = NULL) {
  needed <- c("SingleR", if (!is.null(de_method) && de_method != "classic") "scran")
  missing <- needed[!vapply(needed, function(name) nzchar(system.file(package = name)), NA)]
  if (length(missing)) stop_without(missing, de_method)
  invisible()
}

stop_without <- function(packages, de_method = NULL) {
  quoted <- paste0("\"", packages, "\"", collapse = ", ")
  several <- if (length(packages) > 1L) paste0("c(", quoted, ")") else quoted
  used <- if (is.null(de_method)) "" else paste0(" with `de_method = \"", de_method, "\"`")
  cellferry_stop(
    "dependency_missing",
    paste0(
      "The engine \"singler\" needs", used, " the R package", if (length(packages) > 1L) "s", " ",
      listing(packages, quote = ""), ", and R does not have it."
    ),
    paste0(
      "Install it from Bioconductor, in R: install.packages(\"BiocManager\"); ",
      "BiocManager::install(", several, ")"
    )
  )
}

# What Python asks of SingleR, with arrays in a file: `step` is "version", "train", "classify" or
# "prune". What was trained is kept for the blocks that follow.
answer_singler <- function(question) {
  check_singler(question$de_method)
  buffers <- read_buffers(question$file)
  array <- function(name) unpack_buffer(question[[name]], buffers)
  outgoing <- new_outgoing()
  answer <- switch(question$step,
    version = list(version = json_text(as.character(utils::packageVersion("SingleR")))),
    train = {
      .globals$singler <- train_singler(question, array)
      list(trained = json_flag(TRUE))
    },
    classify = classify_singler(question, array, outgoing, .globals$singler),
    prune = prune_singler(question, array, outgoing)
  )
  c(list(to_json_bytes(answer)), outgoing$buffers)
}

# Cells x genes by rows are genes x cells by columns.
singler_matrix <- function(array, n_genes) {
  sparse_columns(array("indptr"), array("indices"), array("data"), n_genes)
}

train_singler <- function(question, array) {
  names <- as.character(unlist(question$names))
  trained <- tryCatch(
    SingleR::trainSingleR(
      singler_matrix(array, question$genes), names[array("labels") + 1L],
      genes = "de", de.method = question$de_method, de.n = question$de_n
    ),
    # Another version may find the genes by another package.
    packageNotFoundError = function(cnd) stop_without(cnd$package, question$de_method)
  )
  list(trained = trained, names = names, genes = question$genes)
}

classify_singler <- function(question, array, outgoing, known) {
  options <- lapply(question[c("quantile", "tune_thresh")], plain_number)
  found <- SingleR::classifySingleR(
    singler_matrix(array, known$genes), known$trained,
    quantile = options$quantile, fine.tune = question$fine_tune,
    tune.thresh = options$tune_thresh, prune = FALSE
  )
  scores <- found$scores[, known$names, drop = FALSE]
  following <- found$delta.next
  if (is.null(following)) following <- rep(NaN, nrow(found))
  following[is.na(following)] <- NaN
  list(
    codes = pack_whole(outgoing, match(found$labels, known$names) - 1L),
    scores = pack_real(outgoing, as.vector(scores)), following = pack_real(outgoing, following)
  )
}

# Which labels are pruned is said of all cells of a label together.
prune_singler <- function(question, array, outgoing) {
  names <- as.character(unlist(question$names))
  scores <- matrix(array("scores"), ncol = length(names), dimnames = list(NULL, names))
  found <- data.frame(labels = names[array("codes") + 1L], delta.next = array("following"))
  found$scores <- scores
  if (anyNA(found$delta.next)) found$delta.next <- NULL
  list(pruned = pack_whole(outgoing, as.integer(SingleR::pruneScores(found))))
}

plain_number <- function(x) if (is.list(x)) as.numeric(x[["$double"]]) else x
