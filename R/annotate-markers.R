# Markers that nobody gave: whether they can be computed, what that takes, and the message about it.

# Gene x cell x cluster comparisons per second of FindAllMarkers() with the Wilcoxon test. One core
# does 2e6 of those that pass the thresholds, and about a fifth passes. Only to estimate the time.
comparisons_per_second <- 1e7

compute_markers <- function(object, groups, assay, verbose = TRUE) {
  if (!is_seurat(object)) {
    require_markers(
      "No `markers` were given, and for a SingleCellExperiment they must be.",
      "Pass a data frame of markers, the path of a file, or a named list of genes as markers."
    )
  }
  check_computable(object, groups, assay)
  n_cells <- sum(!is.na(groups$codes))
  parts <- normalized_parts(object, assay)
  seconds <- length(groups$names) * n_cells * length(parts[[1]]$genes) / comparisons_per_second
  work <- paste0(
    length(groups$names), " clusters of ", n_cells, " cells with FindAllMarkers(), which may take ",
    about_time(seconds)
  )
  cellferry_warn(
    "markers_computed",
    paste0("No `markers` were given, so they are computed for ", work, "."),
    "Pass `markers = FindAllMarkers(x, only.pos = TRUE)` to use a table of your own."
  )
  # R shows a warning when all is done; this is shown before.
  if (verbose) cellferry_inform(paste0("Computing markers for ", work, "."))
  with_kept_seed(run_find_all_markers(object, groups, assay))
}

check_computable <- function(object, groups, assay) {
  if (!requireNamespace("Seurat", quietly = TRUE)) {
    require_markers(
      "No `markers` were given, and computing them needs the package Seurat.",
      "Run install.packages(\"Seurat\"), or pass a marker table as `markers`."
    )
  }
  if (length(groups$names) < 2L) {
    require_markers(
      paste0(
        "No `markers` were given, and there is a single cluster (\"", groups$names,
        "\") with nothing to compare it to."
      ),
      paste0(
        "Cluster the cells first: x <- FindClusters(FindNeighbors(x)), or name the column of ",
        "clusters with `group.by`, or pass `markers`."
      )
    )
  }
  parts <- normalized_parts(object, assay)
  require_joined(parts, assay)
  if (!length(parts) || value_kind(parts) == "counts") {
    require_markers(
      paste0("No `markers` were given, and the assay \"", assay, "\" holds no normalised data."),
      "Normalise it first: x <- NormalizeData(x)"
    )
  }
}

require_joined <- function(parts, assay) {
  if (length(parts) > 1L) {
    require_markers(
      paste0(
        "No `markers` were given, and the assay \"", assay, "\" is split into ", length(parts),
        " layers, for which Seurat finds no markers."
      ),
      paste0("Join them first: x[[\"", assay, "\"]] <- JoinLayers(x[[\"", assay, "\"]])")
    )
  }
}

require_markers <- function(problem, recipe) {
  cellferry_stop("markers_required", problem, recipe)
}

about_time <- function(seconds) {
  if (seconds < 10) {
    "a few seconds"
  } else if (seconds < 90) {
    paste("about", signif(seconds, 1), "seconds")
  } else {
    paste("about", ceiling(seconds / 60), "minutes")
  }
}
