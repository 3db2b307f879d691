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
  if (verbose) {
    cellferry_inform(
      paste0(
        "No `markers` were given, so they are computed for ", length(groups$names), " clusters of ",
        n_cells, " cells with FindAllMarkers(), which may take ", about_time(seconds), "."
      ),
      class = "cellferry_markers_computed_message"
    )
  }
  found <- with_kept_seed(run_find_all_markers(object, groups, assay))
  if (!nrow(found$markers)) stop_no_markers(groups, assay, found$reasons)
  found$markers
}

stop_no_markers <- function(groups, assay, reasons) {
  require_markers(
    paste0(
      "FindAllMarkers() found no marker for the ", length(groups$names), " clusters in the assay ",
      "\"", assay, "\"",
      if (length(reasons)) paste0("; it says: ", paste(unique(reasons), collapse = "; ")), "."
    ),
    paste0(
      "The clusters may be alike, or the genes too few. With other thresholds: ",
      "AnnotateClusters(x, FindAllMarkers(x, only.pos = TRUE, logfc.threshold = 0.1))"
    )
  )
}

# Refuses what FindAllMarkers() can't compute, with the cause and what mends it, before it runs.
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
        "clusters with `group.by`, or pass `markers`. AnnotateCells(x) needs no clusters."
      )
    )
  }
  require_joined(normalized_parts(object, assay), assay)
  unusable <- unusable_values(object, assay)
  if (!is.null(unusable)) {
    require_markers(
      paste0("No `markers` were given, and ", unusable$problem, "."),
      value_recipe(object, assay, unusable$kind, "AnnotateClusters")
    )
  }
  if (has_unprepared_models(object, assay)) {
    other <- normalized_assay(object, assay)
    require_markers(
      paste0(
        "No `markers` were given, and the assay \"", assay, "\" has several SCT models of ",
        "different depth, whose values FindAllMarkers() does not compare."
      ),
      paste0(
        "Bring them to one depth first: x <- PrepSCTFindMarkers(x)",
        if (!is.null(other)) paste0("; or AnnotateClusters(x, assay = \"", other, "\")")
      )
    )
  }
}

# Refuses an assay of which nothing can be read for cells, which would else be found out later, and
# without what mends it.
check_cell_values <- function(object, assay, request) {
  wanted <- c("normalized", "counts") %in% request$parts
  if (!is_seurat(object) || !any(wanted)) {
    return(invisible())
  }
  has_counts <- wanted[2] && length(layer_parts(object, assay, "counts")) > 0L
  unusable <- if (wanted[1]) unusable_values(object, assay, counts = TRUE)
  local <- request$engine$name == "local"
  if (!is.null(unusable) && !(has_counts && (unusable$kind == "missing" || !local))) {
    cellferry_stop(
      if (unusable$kind == "missing") "layer_missing" else "not_normalized",
      paste0("The cells can't be annotated: ", unusable$problem, "."),
      value_recipe(object, assay, unusable$kind, "AnnotateCells")
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
