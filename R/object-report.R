#' What of an object is read, and what is not
#'
#' Lists every item of an object once, with what cellferry does with it when the object becomes a
#' study for an engine: `taken` exactly, `coerced` (something is lost, `why` says what) or `left`
#' in the object. Nothing is computed and the object is not changed. An engine may read less.
#'
#' @param object A Seurat object or a SingleCellExperiment, or the path of a file (`.rds`, `.h5ad`,
#'   a zarr folder, or a 10x `.h5` or folder, of which the last four are read whole).
#' @param assay Assay to read; `NULL` is the default assay.
#'
#' @return A data frame with one row per item and the text columns `item` (its name), `kind`
#'   (cells, genes, identity, layer, metadata, gene metadata, embedding, graph, ...), `what` (class,
#'   size), `action` (a factor: taken, coerced, left) and `why`.
#' @family annotation
#' @examples
#' library(SeuratObject)
#' report <- StudyReport(pbmc_small)
#' report[report$action != "taken", ]
#' @export
StudyReport <- function(object, assay = NULL) {
  check_text(assay, "assay", null = TRUE)
  if (is.character(object)) {
    check_text(object, "object")
    return(report_of_file(object, assay))
  }
  object <- check_object(object)
  assay <- extract_assay(object, assay)
  cells <- measured_cells(object, assay)$cells
  rows <- c(
    report_names(object, assay, cells), report_layers(object, assay),
    report_columns(object, assay),
    if (is_seurat(object)) report_seurat(object, assay, cells) else report_experiment(object)
  )
  columns <- c("item", "kind", "what", "action", "why")
  frame <- lapply(columns, function(column) vapply(rows, function(row) row[[column]], ""))
  names(frame) <- columns
  frame$action <- factor(frame$action, levels = c("taken", "coerced", "left"))
  structure(frame, class = "data.frame", row.names = .set_row_names(length(rows)))
}

report_row <- function(item, kind, what, action = "taken", why = "") {
  list(item = item, kind = kind, what = what, action = action, why = why)
}

report_left <- function(items, kind, why, what = "") {
  lapply(items, function(item) report_row(item, kind, what, "left", why))
}

report_names <- function(object, assay, cells = NULL) {
  n <- length(extract_cells(object))
  row <- if (is.null(cells)) {
    report_row("cells", "cells", paste(n, "names"))
  } else {
    report_row(
      "cells", "cells", paste(length(cells), "names"), "coerced",
      paste(n - length(cells), "of", n, "cells have no values in this assay and are not read.")
    )
  }
  rows <- list(
    row,
    report_row("genes", "genes", paste(length(extract_genes(object, assay)), "names"))
  )
  if (is_seurat(object)) {
    identity <- methods::slot(object, "active.ident")
    what <- paste(nlevels(identity), "levels")
    rows <- c(rows, list(report_row("ident", "identity", what)))
  }
  rows
}

report_layers <- function(object, assay) {
  read <- lapply(c("data", "counts"), function(layer) layer_parts(object, assay, layer))
  read <- do.call(c, read)
  names(read) <- vapply(read, function(part) part$layer, "")
  unread <- if (is_seurat(object)) {
    "No engine reads it; counts and normalised values are read."
  } else {
    "Counts and the normalised values are read; choose others with `assay`."
  }
  lapply(stored_layers(object, assay), function(name) {
    part <- read[[name]]
    if (is.null(part)) {
      return(report_row(name, "layer", "", "left", unread))
    }
    mat <- part$mat
    what <- paste0(
      class(mat)[1], ", ", nrow(mat), " genes x ", ncol(mat), " cells, ", value_kind(list(part))
    )
    n_missing <- sum(!extract_cells(object) %in% part$cells)
    alone <- n_missing > 0L && name %in% c("data", "counts")
    why <- if (alone) paste(n_missing, "cells are not in it and have no values.") else ""
    report_row(name, "layer", what, if (alone) "coerced" else "taken", why)
  })
}

report_columns <- function(object, assay) {
  genes <- extract_genes(object, assay)
  features <- extract_feature_metadata(object, assay, if (is.null(genes)) character() else genes)
  of_kind <- function(columns, kind, frame) {
    Map(function(column, values) {
      report_row(column$name, kind, class(values)[1], column$action, column$why)
    }, columns, as.list(frame))
  }
  metadata <- extract_metadata(object)
  unname(c(
    of_kind(extract_metadata_columns(metadata), "metadata", metadata),
    of_kind(extract_metadata_columns(features), "gene metadata", features)
  ))
}

report_embeddings <- function(object, cells = NULL) {
  rows <- lapply(extract_reductions(object, cells), function(reduction) {
    what <- paste(ncol(reduction$values), "dimensions")
    n_missing <- sum(is.na(reduction$values[, 1]))
    why <- if (n_missing) paste(n_missing, "cells are not in it and are NA.") else ""
    rows <- list(
      report_row(reduction$name, "embedding", what, if (n_missing) "coerced" else "taken", why)
    )
    unread <- "No engine reads it."
    if (!is.null(reduction$loadings)) {
      rows <- c(rows, report_left(paste0(reduction$name, " loadings"), "loadings", unread))
    }
    if (!is.null(reduction$stdev)) {
      rows <- c(rows, report_left(paste0(reduction$name, " stdev"), "deviations", unread))
    }
    rows
  })
  unlist(unname(rows), recursive = FALSE)
}

report_seurat <- function(object, assay, cells = NULL) {
  names_of <- function(slot) names(slot_or(object, slot))
  graph <- extract_graph(object, assay, cells)
  unread <- "No engine reads it."
  stored <- methods::slot(object, "assays")[[assay]]
  features <- if (methods::.hasSlot(stored, "var.features")) methods::slot(stored, "var.features")
  graphs <- lapply(names_of("graphs"), function(name) {
    if (identical(name, graph$name)) {
      what <- paste(nrow(graph$mat), "cells,", length(graph$mat@x), "values")
      return(report_row(name, "graph", what))
    }
    report_row(name, "graph", "", "left", "One graph of these cells is read.")
  })
  c(
    report_embeddings(object, cells), graphs,
    if (length(features)) {
      report_left("variable features", "features", unread, paste(length(features), "names"))
    },
    report_left(
      setdiff(names_of("assays"), assay), "assay", "One assay is read; choose with `assay`."
    ),
    report_left(names_of("neighbors"), "neighbors", unread),
    report_left(names_of("images"), "image", unread),
    report_left(names_of("commands"), "command", "It is a record of what was done in R."),
    report_left(names_of("tools"), "tool", unread),
    report_misc(methods::slot(object, "misc"))
  )
}

report_experiment <- function(object) {
  unread <- "No engine reads it."
  if (!is_single_cell(object)) {
    return(report_misc(S4Vectors::metadata(object)))
  }
  c(
    report_embeddings(object),
    report_left(SingleCellExperiment::altExpNames(object), "experiment", unread),
    report_left(SingleCellExperiment::colPairNames(object), "cell pairs", unread),
    report_left(SingleCellExperiment::rowPairNames(object), "gene pairs", unread),
    report_misc(S4Vectors::metadata(object))
  )
}

report_misc <- function(store) {
  ours <- if ("cellferry" %in% names(store)) {
    list(report_row("cellferry", "misc", paste(length(store$cellferry), "annotations")))
  }
  c(ours, report_left(setdiff(names(store), "cellferry"), "misc", "No engine reads it."))
}

# Names of what no function here reads, by kind.
extract_others <- function(object, assay = NULL, cells = NULL) {
  if (!is_seurat(object)) {
    return(list(
      experiment = if (is_single_cell(object)) SingleCellExperiment::altExpNames(object),
      metadata = setdiff(names(S4Vectors::metadata(object)), "cellferry")
    ))
  }
  names_of <- function(slot) names(slot_or(object, slot))
  graphs <- setdiff(names_of("graphs"), names(extract_graphs(object, cells)))
  list(
    assay = setdiff(names_of("assays"), extract_assay(object, assay)), graph = graphs,
    neighbors = names_of("neighbors"),
    command = names_of("commands"), tool = names_of("tools"),
    misc = setdiff(names_of("misc"), c("cellferry", "anndata")),
    `part of a reduction` = reduction_parts(object)
  )
}

# "pca: jackstraw" and "pca: projected loadings", where there are any.
reduction_parts <- function(object) {
  stored <- methods::slot(object, "reductions")
  found <- lapply(names(stored), function(name) {
    reduction <- stored[[name]]
    filled <- c(
      jackstraw = length(slot_or(slot_or(reduction, "jackstraw"), "overall.p.values")),
      `projected loadings` = length(slot_or(reduction, "feature.loadings.projected"))
    )
    if (any(filled > 0L)) paste0(name, ": ", names(filled)[filled > 0L])
  })
  as.character(unlist(found))
}
