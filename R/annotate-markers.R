# Whether the values of an object are those that markers are found in, and cells annotated by.

# What Python's test of an annotation is to know of the values of an object whose markers nobody
# gave; refuses one that has none, with the cause and what mends it, before anything is sent.
marker_test <- function(object, groups, assay) {
  prefix <- "No `markers` were given, and "
  if (length(groups$names) < 2L) {
    require_markers(
      paste0(
        prefix, "there is a single cluster (\"", groups$names,
        "\") with nothing to compare it to."
      ),
      paste0(
        "Cluster the cells first: x <- FindClusters(FindNeighbors(x)), or name the column of ",
        "clusters with `group.by`, or pass `markers`. AnnotateCells(x) needs no clusters."
      )
    )
  }
  check_marker_values(object, assay, "AnnotateClusters", prefix)
  json_scale(fold_change_scale(object, assay, "5.0.1"))
}

json_scale <- function(scale) {
  list(expm1 = json_flag(scale$expm1), log_base = json_number(scale$log_base))
}

# Refuses values that have no markers. `verb` is what was called, `prefix` what is said before the
# cause. Corrected values of an integrated assay may be less than zero: Seurat tests them, and so
# does FindClusterMarkers(), with a warning.
check_marker_values <- function(object, assay, verb = "FindClusterMarkers",
                                prefix = "Markers can't be found: ") {
  unusable <- unusable_values(object, assay)
  tested <- verb == "FindClusterMarkers" && identical(unusable$kind, "scaled")
  if (!is.null(unusable) && !tested) {
    require_markers(
      paste0(prefix, unusable$problem, "."), value_recipe(object, assay, unusable$kind, verb)
    )
  }
  if (has_unprepared_models(object, assay)) {
    other <- normalized_assay(object, assay)
    require_markers(
      paste0(
        prefix, "the assay \"", assay,
        "\" has several SCT models of different depth, whose values ",
        "can't be compared."
      ),
      paste0(
        "Bring them to one depth first: x <- PrepSCTFindMarkers(x)",
        if (!is.null(other)) paste0("; or ", verb, "(x, assay = \"", other, "\")")
      )
    )
  }
  if (tested) {
    other <- normalized_assay(object, assay)
    cellferry_warn(
      "normalisation",
      paste0(
        "Some values of assay \"", assay, "\" are less than zero, so that they are scaled or ",
        "corrected, and fold changes of them mean little."
      ),
      paste0(
        "For markers use an assay of measured values",
        if (!is.null(other)) paste0(": ", verb, "(x, assay = \"", other, "\")") else "."
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

require_markers <- function(problem, recipe) {
  cellferry_stop("markers_required", problem, recipe)
}
