#' Sum raw counts by cluster and sample
#'
#' One column for each cluster of each sample, for DESeq2 or edgeR: the sums, not the test. P-values
#' of [FindClusterMarkers()] rank genes of clusters that were made from the same values, and say
#' nothing of conditions; a test between conditions counts samples, not cells.
#'
#' @inheritParams AnnotateClusters
#' @param object A Seurat object or a SingleCellExperiment with raw counts, or the path of a file
#'   (`.rds`, `.h5ad` or a zarr folder), or several paths (but `.rds`), which are read as one.
#' @param group.by Metadata column with clusters, labels, or a level of labels; `"ident"` is the
#'   active identity.
#' @param sample.by Metadata column with the samples; `NULL` is one column for each cluster.
#' @param columns Further metadata columns, such as condition and batch, with one value in each
#'   sample.
#' @param min.cells Columns of fewer cells are left out. Cells without a cluster or sample are, too.
#' @param ... Must be empty.
#'
#' @return A list: `counts`, an integer-valued matrix of genes x columns, and `samples`, a data
#'   frame with one row for each column: `cluster`, `sample`, `n_cells` and `columns`.
#' @family markers
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' sums <- PseudobulkCounts(x, group.by = "cell_type", sample.by = "groups")
#' dim(sums$counts)
#' sums$samples
#' @examples
#' \dontrun{
#' is_t <- sums$samples$cluster == "T cell"
#' DESeq2::DESeqDataSetFromMatrix(sums$counts[, is_t], sums$samples[is_t, ], ~condition)
#' }
#' @export
PseudobulkCounts <- function(object, group.by = "ident", sample.by = NULL, columns = NULL,
                             assay = NULL, min.cells = 1L, ...) {
  check_dots(list(...), "PseudobulkCounts")
  check_text(group.by, "group.by")
  check_text(sample.by, "sample.by", null = TRUE)
  check_texts(columns, "columns", null = TRUE)
  check_text(assay, "assay", null = TRUE)
  check_count(min.cells, "min.cells")
  kept <- new_kept()
  on.exit(discard(kept))
  is_file <- is_path(object) || is_several_paths(object)
  found <- if (is_file) object_of_path(object) else object
  from <- if (is.null(found)) {
    list(
      path = json_paths(path.expand(object)), assay = json_text(assay),
      group_key = if (group.by != "ident") json_text(group.by)
    )
  } else {
    opened <- open_study(found, group.by, assay, pseudobulk_parts, kept)
    list(handle = json_text(opened$handle))
  }
  answer <- bridge_call("pseudobulk", c(from, list(
    sample_key = json_text(sample.by), columns = json_texts(as.character(columns)),
    min_cells = json_number(min.cells)
  )))
  samples <- unpack_frame(answer$value$samples, answer$buffers)
  names <- as.character(unlist(answer$value$names))
  genes <- as.character(unlist(answer$value$genes))
  counts <- matrix(
    unpack_buffer(answer$value$counts, answer$buffers), length(genes), length(names),
    dimnames = list(genes, names)
  )
  rownames(samples) <- names
  list(counts = counts, samples = samples)
}

# What is read of an object: no values but the counts, of all cells that have them.
pseudobulk_parts <- structure(c("counts", "obs"), needed = "counts")
