#' Find the markers of all clusters
#'
#' The table that Seurat's `FindAllMarkers()` returns, in the time that it takes to read the values.
#' It is the same Wilcoxon rank sum test: the rows, their order, the columns and the numbers are
#' those of the version of Seurat that `rules` names. Split layers are read without
#' `JoinLayers()`.
#'
#' Such p-values rank genes and test nothing: the clusters were made from the same values.
#'
#' What differs from Seurat: a cluster that can't be tested (fewer than `min.cells.group` cells) is
#' a warning, which `FindAllMarkers(only.pos = TRUE)` leaves out. Cells without a cluster are
#' compared with, and make no cluster "NA". Of an assay with fewer cells than the object, such as a
#' sketch, only its cells take part. Raw counts and values that are not logged are errors; values
#' below zero, as in an integrated assay, are tested with a warning; an SCT assay with several
#' models has to be prepared by `PrepSCTFindMarkers()`, as in Seurat. Where neither limma nor presto
#' is installed Seurat's p-values of two groups below 50 cells without equal values are exact; these
#' are the normal approximation, as with limma and presto.
#'
#' @inheritParams AnnotateClusters
#' @param object A Seurat object or a SingleCellExperiment, log-normalised, or the path of a file
#'   with one (`.rds`, `.h5ad` or a zarr folder; in the latter two cells are drawn by NumPy), or
#'   several paths (but `.rds`), which are read as one object, see [AnnotateCells()].
#' @param group.by Metadata column with the clusters; `"ident"` is the active identity.
#' @param ident.1,ident.2 Only the cells of these clusters against those of `ident.2`, or against
#'   all others, as `FindMarkers()`; `return.thresh` is not used then.
#' @param within Metadata column with parents, such as `"cell_type"`: each cluster is compared with
#'   the other cells of its parent only.
#' @param sample.by Metadata column with samples: the columns `n_samples` and `n_samples_same` say
#'   how many samples have cells of the cluster and others, and in how many of these the difference
#'   has the same direction.
#' @param assay Assay to read; `NULL` is the default assay (`logcounts` in a SingleCellExperiment).
#' @param rules Whose defaults, fold change and order: `"4.3"`, `"4.4"`, `"5.0.0"` or `"5.0.1"`
#'   (valid to Seurat 5.5). `NULL` is the Seurat that is installed, `"5.0.1"` without one.
#' @param only.pos,logfc.threshold,min.pct,min.diff.pct,return.thresh,features,min.cells.group
#'   As in `FindAllMarkers()`; `NULL` is the default of the rules.
#' @param min.cells.feature,pseudocount.use,base,max.cells.per.ident,random.seed As there; cells
#'   are drawn as Seurat draws them (with `within`, which Seurat does not have, by NumPy).
#' @param verbose Whether to show messages and progress.
#' @param scheduler Of a path, or of several: a cluster of dask whose workers read them, by its
#'   address (`"tcp://host:8786"`), or `"local"`. The table is the same to the bit.
#' @param resume Id of a run whose cluster was lost, which the error names: what it had done is not
#'   done again.
#' @param ... Must be empty.
#'
#' @return A data frame with the columns `p_val`, `avg_log2FC`, `pct.1`, `pct.2`, `p_val_adj`
#'   (Bonferroni over all genes of the layer), `cluster` (a factor) and `gene`.
#' @references Lehmann, E. L. (1975) Nonparametrics: Statistical Methods Based on Ranks.
#' @family markers
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' markers <- FindClusterMarkers(SeuratObject::pbmc_small, only.pos = TRUE, verbose = FALSE)
#' head(markers)
#' @export
FindClusterMarkers <- function(object, group.by = "ident", ident.1 = NULL, ident.2 = NULL,
                               within = NULL, sample.by = NULL, assay = NULL, rules = NULL,
                               features = NULL, logfc.threshold = NULL, min.pct = NULL,
                               min.diff.pct = -Inf, only.pos = FALSE, max.cells.per.ident = Inf,
                               random.seed = 1L, min.cells.feature = 3L, min.cells.group = 3L,
                               pseudocount.use = 1, base = 2, return.thresh = 0.01,
                               verbose = TRUE, ...) {
  UseMethod("FindClusterMarkers")
}

#' @rdname FindClusterMarkers
#' @export
FindClusterMarkers.Seurat <- function(object, group.by = "ident", ident.1 = NULL, ident.2 = NULL,
                                      within = NULL, sample.by = NULL, assay = NULL,
                                      rules = NULL, features = NULL, logfc.threshold = NULL,
                                      min.pct = NULL, min.diff.pct = -Inf, only.pos = FALSE,
                                      max.cells.per.ident = Inf, random.seed = 1L,
                                      min.cells.feature = 3L, min.cells.group = 3L,
                                      pseudocount.use = 1, base = 2, return.thresh = 0.01,
                                      verbose = TRUE, ...) {
  check_dots(list(...), "FindClusterMarkers")
  options <- marker_options(as.list(environment()))
  object <- check_object(object)
  compared <- list(ident.1 = ident.1, ident.2 = ident.2, within = within, sample.by = sample.by)
  find_markers(object, group.by, assay, options, compared, verbose)
}

#' @rdname FindClusterMarkers
#' @export
FindClusterMarkers.SingleCellExperiment <- FindClusterMarkers.Seurat

#' @rdname FindClusterMarkers
#' @export
FindClusterMarkers.SummarizedExperiment <- FindClusterMarkers.Seurat

#' @rdname FindClusterMarkers
#' @export
FindClusterMarkers.character <- function(object, group.by = "ident", ident.1 = NULL,
                                         ident.2 = NULL, within = NULL, sample.by = NULL,
                                         assay = NULL, rules = NULL, features = NULL,
                                         logfc.threshold = NULL, min.pct = NULL,
                                         min.diff.pct = -Inf, only.pos = FALSE,
                                         max.cells.per.ident = Inf, random.seed = 1L,
                                         min.cells.feature = 3L, min.cells.group = 3L,
                                         pseudocount.use = 1, base = 2, return.thresh = 0.01,
                                         verbose = TRUE, scheduler = NULL, resume = NULL, ...) {
  check_dots(list(...), "FindClusterMarkers")
  check_paths(object, "object")
  check_text(scheduler, "scheduler", null = TRUE)
  check_text(resume, "resume", null = TRUE)
  options <- marker_options(as.list(environment()))
  compared <- list(ident.1 = ident.1, ident.2 = ident.2, within = within, sample.by = sample.by)
  found <- object_of_path(object)
  if (is.null(found)) {
    far <- list(scheduler = scheduler, resume = resume)
    return(find_markers_of_file(object, group.by, assay, options, compared, verbose, far))
  }
  check_no_cluster(scheduler, resume)
  find_markers(check_object(found), group.by, assay, options, compared, verbose)
}

#' @export
FindClusterMarkers.default <- function(object, ...) stop_unsupported(object)

# The checked arguments of FindClusterMarkers(), of them those of the test, by Python's names.
marker_options <- function(given) {
  check_text(given$group.by, "group.by")
  for (name in c("within", "sample.by", "assay", "rules")) {
    check_text(given[[name]], name, null = TRUE)
  }
  check_texts(given$features, "features", null = TRUE)
  check_flag(given$only.pos, "only.pos")
  check_flag(given$verbose, "verbose")
  most <- given$max.cells.per.ident
  list(
    rules = given$rules %||% installed_rules(), only_pos = given$only.pos,
    logfc_threshold = given$logfc.threshold, min_pct = given$min.pct,
    min_diff_pct = given$min.diff.pct,
    return_thresh = if (is.null(given$ident.1)) given$return.thresh,
    min_cells_group = given$min.cells.group, min_cells_feature = given$min.cells.feature,
    features = if (!is.null(given$features)) I(given$features),
    pseudocount_use = given$pseudocount.use, base = given$base,
    max_cells_per_ident = if (!identical(most, Inf)) most, random_seed = given$random.seed
  )
}

# Workers of a cluster read neither an .rds nor the memory of this session.
check_no_cluster <- function(scheduler, resume, what = "an .rds") {
  if (is.null(scheduler) && is.null(resume)) return(invisible())
  cellferry_stop(
    "unsupported_object", paste0("The workers of a cluster can't read ", what, "."),
    "Write the object as .h5ad, and give its path."
  )
}

# Of a file that Python reads.
find_markers_of_file <- function(path, group.by, assay, options, compared, verbose, far) {
  shown <- draws_progress(verbose)
  on.exit(if (shown) clear_progress())
  message <- list(
    path = json_paths(path.expand(path)), assay = json_text(assay),
    group_key = if (group.by != "ident") json_text(group.by),
    options = json_record(lapply(options, json_option)),
    ident_1 = json_idents(compared$ident.1), ident_2 = json_idents(compared$ident.2),
    within = json_text(compared$within), sample_key = json_text(compared$sample.by),
    scheduler = json_text(far$scheduler), resume = json_text(far$resume)
  )
  progress <- if (shown) progress_line("Finding markers")
  answer <- bridge_call("markers_file", message, callback = progress, verbose = verbose)
  levels <- as.character(unlist(answer$value$clusters))
  marker_table(answer, levels, options$only_pos, length(compared$ident.1) > 0L)
}

find_markers <- function(object, group.by, assay, options, compared, verbose) {
  kept <- new_kept()
  shown <- draws_progress(verbose)
  on.exit({
    if (shown) clear_progress()
    discard(kept)
  })
  begun <- begin_markers(object, group.by, assay, options, compared, kept, verbose)
  progress <- if (shown) progress_line("Finding markers")
  answer <- bridge_call(
    "markers_finish", list(handle = json_text(begun$handle)),
    callback = progress, verbose = verbose
  )
  groups <- as.character(unlist(answer$value$clusters))
  levels <- group_levels(object, group.by, groups)
  marker_table(answer, levels, options$only_pos, length(compared$ident.1) > 0L)
}

# Begins the work and sends all that it reads. `options` are Python's, by its names.
begin_markers <- function(object, group.by, assay, options, compared = list(), kept = new_kept(),
                          verbose = FALSE) {
  assay <- extract_assay(object, assay)
  all_groups <- extract_groups(object, group.by)
  check_marker_values(object, assay)
  # Cells that the assay does not have are in no test, and no draw has them.
  at <- measured_cells(object, assay, layers_of_parts("normalized"))$cells
  groups <- groups_of_measured(all_groups, at, NULL)
  scale <- fold_change_scale(object, assay, options$rules)
  report_scale(scale, options$rules, verbose)
  options[c("expm1", "log_base")] <- scale[c("expm1", "log_base")]
  message <- list(
    options = json_record(lapply(options, json_option)),
    ident_1 = json_idents(compared$ident.1), ident_2 = json_idents(compared$ident.2)
  )
  outgoing <- new_outgoing()
  message$parents <- json_clusters_of(outgoing, object, compared$within, at)
  message$samples <- json_clusters_of(outgoing, object, compared$sample.by, at)
  most <- options$max_cells_per_ident
  if (!is.null(most) && is.null(compared$within)) {
    message$draws <- json_draws(outgoing, draw_cells(groups, most, options$random_seed, compared))
  }
  request <- list(group.by = group.by, assay = assay, kept = kept, verbose = verbose)
  begin_study(
    object, "markers_begin", request, "normalized",
    message = message, outgoing = outgoing, assay = assay, groups = all_groups,
    coordinates.key = NULL
  )
}

# Infinity is no JSON.
json_option <- function(x) {
  if (is.numeric(x) && length(x) == 1L && is.infinite(x)) {
    return(json_text(if (x > 0) "Inf" else "-Inf"))
  }
  json_value(x)
}

json_idents <- function(idents) if (!is.null(idents)) json_texts(cluster_texts(idents))

json_clusters_of <- function(outgoing, object, column, cells) {
  if (is.null(column)) {
    return(NULL)
  }
  groups <- extract_groups(object, column)
  groups$codes <- of_measured(groups$codes, cells)
  json_groups(outgoing, groups)
}

# The cells of each test as Seurat draws them: the generator is begun anew for each cluster.
draw_cells <- function(groups, most, seed, compared) {
  draw <- function(first, second) {
    set.seed(seed)
    some <- function(cells) if (length(cells) > most) sample(cells, most) else cells
    c(some(which(first)), some(which(second)))
  }
  codes <- ifelse(is.na(groups$codes), 0L, groups$codes)
  with_kept_seed({
    if (!is.null(compared$ident.1)) {
      first <- codes %in% match(cluster_texts(compared$ident.1), groups$names)
      second <- if (is.null(compared$ident.2)) {
        !first
      } else {
        codes %in% match(cluster_texts(compared$ident.2), groups$names)
      }
      list(draw(first, second))
    } else {
      lapply(seq_along(groups$names), function(code) draw(codes == code, codes != code))
    }
  })
}

json_draws <- function(outgoing, draws) {
  list(
    cells = pack_integer(outgoing, unlist(draws) - 1L),
    lengths = pack_integer(outgoing, lengths(draws))
  )
}

report_scale <- function(scale, rules, verbose) {
  if (!scale$expm1 && isTRUE(scale$is_missing)) {
    cellferry_warn(
      "normalisation",
      paste0(
        scale$why, ", so that Seurat 4.3 takes the mean of logarithms for a fold change, and so ",
        "does this table."
      ),
      "For fold changes of the means, use rules = \"5.0.1\", or run NormalizeData(x) first."
    )
  } else if (verbose) {
    cellferry_inform(paste0(
      scale$why, ": fold changes are of ", if (scale$expm1) "expm1() of " else "",
      "the values (rules of Seurat ", rules, ")."
    ))
  }
}

# The data frame as Seurat makes it.
marker_table <- function(answer, levels, only.pos, is_pair = FALSE) {
  found <- unpack_frame(answer$value$frame, answer$buffers)
  clusters <- as.character(unlist(answer$value$clusters))
  for (left in answer$value$left_out) warn_of_untested(left)
  found$cluster <- if (is_pair) {
    factor(clusters[found$cluster + 1L], levels = clusters)
  } else {
    factor(clusters[found$cluster + 1L], levels = levels)
  }
  rownames(found) <- marker_row_names(found, only.pos)
  found
}

# Positive markers keep the names that rbind() gives, cluster by cluster ("CD3D1"); others get
# those of make.unique() ("CD3D.1").
marker_row_names <- function(found, only.pos) {
  if (!only.pos) {
    return(make.unique(as.character(found$gene)))
  }
  parts <- split(as.character(found$gene), found$cluster, drop = TRUE)
  as.character(Reduce(function(names, part) make.unique(c(names, part), sep = ""), parts, NULL))
}

warn_of_untested <- function(left) {
  cellferry_warn(
    "clusters_without_markers",
    paste0("Cluster \"", left$cluster, "\" has no markers, because it can't be tested: ", left$why),
    "A test needs three cells on either side (min.cells.group)."
  )
}
