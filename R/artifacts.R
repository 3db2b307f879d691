#' Build the artifacts of an object
#'
#' Writes the two files that CyteType reads beside a job, in one read of the object, and returns
#' the statistics of the same read. `vars.h5` has the normalised values by gene and, where the
#' assay has them, the raw counts by cell; `obs.duckdb` has the metadata, the embedding and the
#' names of the cells in one table `obs`. [CyteTypeEngine()] builds them by itself; this is for
#' looking at them, for another service, or for a script.
#'
#' The object is read where it is, or a block of cells at a time, and written while it is read, so
#' that no second copy of it is made; see [AnnotateClusters()] for the objects that are read. The
#' files appear when they are complete, and not at all after an error or an interrupt. Nothing
#' leaves the machine.
#'
#' Both files have the cells that the assay has, in the same order; cells of the object that it does
#' not have, as those that a sketch left out, are in neither, and a warning says so.
#'
#' @inheritParams AnnotateClusters
#' @param object A Seurat object or a SingleCellExperiment, or the path of a file with one (`.rds`,
#'   `.h5ad`, or a zarr folder; in the latter two `group.by` must name a column of `obs`), or
#'   several paths (but `.rds`), which are read as one object, see [AnnotateCells()].
#' @param assay Assay to read; `NULL` is the default assay (`logcounts` in a
#'   SingleCellExperiment). It must contain log-normalised values.
#' @param vars_h5_path,obs_duckdb_path Where the files go. Earlier artifacts are replaced.
#' @param coordinates_key Name of the embedding, with or without `X_`; `NULL` is UMAP, else t-SNE,
#'   PCA or the first.
#' @param gene_symbols_column Column of the gene metadata with symbols; `NULL` looks for one of a
#'   usual name.
#' @param aggregate_metadata,min_percentage,max_metadata_categories Composition of the clusters:
#'   values that more than this percentage of cells have, in columns with at most so many values.
#' @param pcent_batch_size Most cells that are worked on at once.
#' @param max_cells_per_group Cells of each cluster whose coordinates are sampled.
#' @param obs_columns Only these metadata columns (and the clusters) go into `obs.duckdb` and the
#'   statistics; `NULL` is all. Metadata can contain what must not leave the building.
#' @param cell_names Whether `obs.duckdb` has the names of the cells, in the column
#'   `__cell_name`.
#' @param require_artifacts `FALSE`: a file that can't be built is `NA` in the result, the reason
#'   in `errors`, and the statistics are made all the same. The values then go through a temporary
#'   file.
#' @param overwrite Whether files of another kind may be replaced.
#' @param markers Whether to find the positive markers of the clusters in the same read, as
#'   `FindClusterMarkers(only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1, rules = "5.0.1")`.
#' @param verbose Whether to show messages and progress.
#' @param scheduler Of a path, or of several: a cluster of dask whose workers read them, by its
#'   address (`"tcp://host:8786"`), or `"local"`. The files are the same whatever the number of
#'   workers.
#' @param resume Id of a run whose cluster was lost, which the error names: what it had done is not
#'   done again.
#' @param ... Must be empty.
#'
#' @return A list of class `cellferry_artifacts`:
#'   - `vars_h5`, `obs_duckdb`: paths of the files.
#'   - `percentages`: matrix of clusters x genes, percent of cells whose value is not 0.
#'   - `cells_per_cluster`: named counts.
#'   - `metadata`: cluster, column, value: whole percent.
#'   - `coordinates`: data frame of sampled cells with `x`, `y`, `cluster`; `NULL` without an
#'     embedding.
#'   - `normalisation`: `kind` and `explanation`.
#'   - `counts`: data frame of the places where raw counts may be: `place`, `are_counts`,
#'     `explanation`.
#'   - `errors`: named text, empty unless `require_artifacts = FALSE`.
#'   - `seconds`: named times of the steps.
#'   - `markers`: the table, if it was asked for.
#' @family annotation
#' @seealso `vignette("artifacts-and-large-data")`
#' @examples
#' \dontrun{
#' library(SeuratObject)
#' built <- BuildArtifacts(pbmc_small, group.by = "RNA_snn_res.1")
#' built
#' built$percentages[, c("CD3E", "MS4A1")]
#' }
#' @export
BuildArtifacts <- function(object, group.by = "ident", assay = NULL, vars_h5_path = "vars.h5",
                           obs_duckdb_path = "obs.duckdb", coordinates_key = NULL,
                           gene_symbols_column = NULL, aggregate_metadata = TRUE,
                           min_percentage = 10L, max_metadata_categories = 500L,
                           pcent_batch_size = 2000L, max_cells_per_group = 1000L,
                           obs_columns = NULL, cell_names = TRUE, require_artifacts = TRUE,
                           overwrite = FALSE, markers = FALSE, verbose = TRUE, ...) {
  UseMethod("BuildArtifacts")
}

#' @rdname BuildArtifacts
#' @export
BuildArtifacts.Seurat <- function(object, group.by = "ident", assay = NULL,
                                  vars_h5_path = "vars.h5", obs_duckdb_path = "obs.duckdb",
                                  coordinates_key = NULL, gene_symbols_column = NULL,
                                  aggregate_metadata = TRUE, min_percentage = 10L,
                                  max_metadata_categories = 500L, pcent_batch_size = 2000L,
                                  max_cells_per_group = 1000L, obs_columns = NULL,
                                  cell_names = TRUE, require_artifacts = TRUE, overwrite = FALSE,
                                  markers = FALSE, verbose = TRUE, ...) {
  options <- artifact_options(as.list(environment()), list(...))
  object <- check_object(object)
  stream_artifacts(object, group.by, assay, coordinates_key, options, verbose)
}

#' @rdname BuildArtifacts
#' @export
BuildArtifacts.SingleCellExperiment <- BuildArtifacts.Seurat

#' @rdname BuildArtifacts
#' @export
BuildArtifacts.SummarizedExperiment <- BuildArtifacts.Seurat

#' @rdname BuildArtifacts
#' @export
BuildArtifacts.character <- function(object, group.by = "ident", assay = NULL,
                                     vars_h5_path = "vars.h5", obs_duckdb_path = "obs.duckdb",
                                     coordinates_key = NULL, gene_symbols_column = NULL,
                                     aggregate_metadata = TRUE, min_percentage = 10L,
                                     max_metadata_categories = 500L, pcent_batch_size = 2000L,
                                     max_cells_per_group = 1000L, obs_columns = NULL,
                                     cell_names = TRUE, require_artifacts = TRUE,
                                     overwrite = FALSE, markers = FALSE, verbose = TRUE,
                                     scheduler = NULL, resume = NULL, ...) {
  check_paths(object, "object")
  check_text(scheduler, "scheduler", null = TRUE)
  check_text(resume, "resume", null = TRUE)
  call <- as.list(environment())
  call[c("scheduler", "resume")] <- NULL
  path <- path.expand(object)
  found <- object_of_path(path)
  if (!is.null(found)) {
    check_no_cluster(scheduler, resume)
    check_object(found)
    call$object <- found
    return(do.call(BuildArtifacts.Seurat, c(call, list(...))))
  }
  options <- artifact_options(call, list(...))
  message <- list(
    path = json_paths(path), group_key = if (group.by != "ident") json_text(group.by),
    coordinates_key = json_text(coordinates_key),
    options = json_record(lapply(options, json_value)),
    scheduler = json_text(scheduler), resume = json_text(resume)
  )
  shown <- draws_progress(verbose)
  on.exit(if (shown) clear_progress())
  progress <- if (shown) progress_line()
  new_artifacts(bridge_call("artifacts_file", message, callback = progress, verbose = verbose))
}

#' @export
BuildArtifacts.default <- function(object, ...) stop_unsupported(object)

# The checked arguments of BuildArtifacts(), and of them the options of the build.
artifact_options <- function(given, dots) {
  check_dots(dots, "BuildArtifacts")
  check_text(given$group.by, "group.by")
  for (name in c("vars_h5_path", "obs_duckdb_path")) check_text(given[[name]], name)
  for (name in c("assay", "coordinates_key", "gene_symbols_column")) {
    check_text(given[[name]], name, null = TRUE)
  }
  check_texts(given$obs_columns, "obs_columns", null = TRUE)
  flags <- c(
    "aggregate_metadata", "cell_names", "require_artifacts", "overwrite", "markers", "verbose"
  )
  for (name in flags) check_flag(given[[name]], name)
  numbers <- c(
    "min_percentage", "max_metadata_categories", "pcent_batch_size", "max_cells_per_group"
  )
  for (name in numbers) check_count(given[[name]], name, least = if (name == numbers[1]) 0 else 1)
  named <- c(
    setdiff(flags, "verbose"), numbers, "gene_symbols_column", "obs_columns", "vars_h5_path",
    "obs_duckdb_path"
  )
  options <- given[named]
  options$vars_h5_path <- path.expand(given$vars_h5_path)
  options$obs_duckdb_path <- path.expand(given$obs_duckdb_path)
  options["obs_columns"] <- list(if (!is.null(given$obs_columns)) I(given$obs_columns))
  options
}

artifact_parts <- structure(c("normalized", "counts", "obs", "var"), needed = "normalized")

stream_artifacts <- function(object, group.by, assay, coordinates_key, options, verbose) {
  kept <- new_kept()
  shown <- draws_progress(verbose)
  on.exit({
    if (shown) clear_progress()
    discard(kept)
  })
  sent <- function(done, total, part) {
    what <- c(normalized = "normalised values", counts = "raw counts")[[part]]
    draw_progress(paste("Building artifacts:", what), done, total, "blocks")
  }
  begun <- begin_build(
    object, group.by, assay, coordinates_key, options, kept, verbose, if (shown) sent
  )
  progress <- if (shown) progress_line()
  message <- list(handle = json_text(begun$handle))
  new_artifacts(bridge_call("artifacts_finish", message, callback = progress, verbose = verbose))
}

# Begins a build and sends all that it reads.
begin_build <- function(object, group.by, assay, coordinates_key, options, kept = new_kept(),
                        verbose = FALSE, progress = NULL) {
  groups <- extract_groups(object, group.by)
  check_clustering(object, groups)
  message <- list(options = json_record(lapply(options, json_value)))
  if (isTRUE(options$markers)) {
    from <- extract_assay(object, assay)
    check_marker_values(object, from, "BuildArtifacts")
    message$marker_test <- json_scale(fold_change_scale(object, from, "5.0.1"))
  }
  begin_study(
    object, "artifacts_begin",
    list(group.by = group.by, assay = assay, kept = kept, verbose = verbose), artifact_parts,
    message = message, groups = groups,
    coordinates.key = coordinates_key, progress = progress
  )
}

new_artifacts <- function(answer) {
  value <- answer$value
  read <- function(reference) unpack_buffer(reference, answer$buffers)
  clusters <- as.character(unlist(value$clusters))
  genes <- as.character(unlist(value$genes))
  coordinates <- if (!is.null(value$coordinates)) {
    xy <- matrix(read(value$coordinates$values), ncol = 2L)
    named <- as.character(unlist(value$coordinates$clusters))
    data.frame(x = xy[, 1], y = xy[, 2], cluster = factor(named, levels = clusters))
  }
  structure(
    list(
      vars_h5 = value$vars_h5 %||% NA_character_, obs_duckdb = value$obs_duckdb %||% NA_character_,
      percentages = matrix(
        read(value$percentages), length(clusters), length(genes),
        dimnames = list(clusters, genes)
      ),
      cells_per_cluster = stats::setNames(as.integer(unlist(value$cells_per_cluster)), clusters),
      metadata = lapply(value$metadata, function(columns) lapply(columns, unlist)),
      coordinates = coordinates, normalisation = value$normalisation,
      counts = unpack_frame(value$counts, answer$buffers),
      errors = unlist(value$errors) %||% character(), seconds = unlist(value$seconds),
      markers = if (!is.null(value$markers)) {
        marker_table(list(value = value$markers, buffers = answer$buffers), clusters, TRUE)
      }
    ),
    class = "cellferry_artifacts"
  )
}

#' @export
format.cellferry_artifacts <- function(x, ...) {
  described <- function(name, path) {
    if (is.na(path)) {
      return(paste0(name, ": not built. ", x$errors[[name]]))
    }
    bytes <- structure(file.size(path), class = "object_size")
    paste0(name, ": ", path, " (", format(bytes, units = "auto", standard = "SI"), ")")
  }
  counts <- x$counts$place[x$counts$are_counts]
  c(
    paste0(
      "<cellferry artifacts: ", sum(x$cells_per_cluster), " cells, ", ncol(x$percentages),
      " genes, ", length(x$cells_per_cluster), " clusters>"
    ),
    described("vars.h5", x$vars_h5), described("obs.duckdb", x$obs_duckdb),
    if (!is.na(x$vars_h5)) {
      paste0("raw counts: ", if (length(counts)) "included" else "none found")
    },
    x$normalisation$explanation
  )
}

#' @export
print.cellferry_artifacts <- function(x, ...) {
  cat(format(x), sep = "\n")
  invisible(x)
}
