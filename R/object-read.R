# Reading Seurat and SingleCellExperiment objects. The files object-*.R are the only code that knows
# them, and every branch on a version of Seurat is there.
#
# rpy2 and the Rscript child of the command line source all of R/ into an environment below base R.
# rpy2 calls only what is in object-*.R and conditions.R, where rlang and jsonlite may not be
# installed. So these two call nothing else of ours, and of other packages base R, methods, stats,
# utils, SeuratObject and what the object itself needs; test-architecture.R checks it.

object_kind <- function(object) {
  if (inherits(object, "Seurat")) "Seurat" else "SingleCellExperiment"
}

# The classes that have cells; a marker table is read by markers.R.
is_cell_object <- function(object) inherits(object, c("Seurat", "SummarizedExperiment"))

# A SummarizedExperiment is read and written as a SingleCellExperiment, and has no embeddings and
# no other experiments.
is_single_cell <- function(object) inherits(object, "SingleCellExperiment")

is_seurat <- function(object) object_kind(object) == "Seurat"

# Refuses an object that this session can't read rightly, before anything is read from it. Returns
# it, with empty slots where one of an older Seurat has none: Seurat 5 reads nothing of it else.
check_object <- function(object) {
  if (!is_cell_object(object)) stop_unsupported(object)
  if (is_seurat(object)) check_generation(object)
  cells <- extract_cells(object)
  if (anyDuplicated(cells) || anyNA(cells)) {
    cellferry_stop(
      "invalid_object",
      paste0(
        "Cell names must be unique; ", listing(unique(cells[duplicated(cells) | is.na(cells)]), 3),
        " is there more than once."
      ),
      "Make them unique: colnames(x) <- make.unique(colnames(x))"
    )
  }
  invisible(if (is_seurat(object)) with_all_slots(object) else object)
}

# Seurat 3.0 knew no images, and 3.1 no neighbors.
with_all_slots <- function(object) {
  for (name in c("images", "neighbors", "commands", "tools")) {
    if (!methods::.hasSlot(object, name)) attr(object, name) <- list()
  }
  object
}

# Where a path is taken it was read before: what comes here wants the object.
stop_path <- function(path) {
  read <- if (grepl("[.]h5ad$|[.]zarr$", path, TRUE)) {
    "Convert it (cellferry.seurat.to_seurat() in Python), or read its table: x <- Annotations(%s)"
  } else {
    "Read it first: x <- readRDS(%s)"
  }
  text <- encodeString(path, quote = "\"")
  cellferry_stop(
    "unsupported_object", paste0("This needs the object itself, and was given a path, ", text, "."),
    c(sprintf(read, text), "Labels in a file are decided so: cellferry label --help")
  )
}

stop_unsupported <- function(object) {
  if (is.character(object) && length(object) == 1L) stop_path(object)
  if (inherits(object, "seurat")) stop_outdated("It was made by Seurat 2.")
  cellferry_stop(
    "unsupported_object",
    paste0("cellferry can't read an object of class ", class(object)[1], "."),
    c(
      paste0(
        "Valid: a Seurat object, a SingleCellExperiment, a marker table (a data frame, or a named ",
        "list of genes or of data frames, one for each cluster), or the path of a file."
      ),
      if (length(dim(object)) == 2L && !is.data.frame(object)) {
        "Of a matrix of counts, genes x cells: x <- NormalizeData(CreateSeuratObject(counts))"
      }
    )
  )
}

# Slots that are read, by the kind of the thing that has them.
slots_read <- list(
  object = c("assays", "meta.data", "active.assay", "active.ident", "graphs", "reductions", "misc"),
  assay = c("counts", "data", "scale.data", "meta.features"),
  layered = c("layers", "cells", "features", "meta.data"),
  reduction = c("cell.embeddings", "feature.loadings", "stdev", "assay.used")
)

check_generation <- function(object) {
  check_slots(object, "object")
  for (assay in methods::slot(object, "assays")) {
    package <- attr(class(assay), "package")
    known <- is.null(package) || !is.null(methods::getClassDef(class(assay)[1]))
    if (!known && identical(package, "SeuratObject")) {
      cellferry_stop(
        "object_outdated",
        paste0(
          "The object has an assay of Seurat 5 (", class(assay)[1], "), and this session has ",
          "SeuratObject ", utils::packageVersion("SeuratObject"), "."
        ),
        paste(
          "Install Seurat 5, or ask for the object with an assay of Seurat 4:",
          "x[[\"RNA\"]] <- as(x[[\"RNA\"]], \"Assay\")"
        )
      )
    }
    check_slots(assay, if (is_layered(assay)) "layered" else "assay")
  }
  check_classes(object)
  for (reduction in methods::slot(object, "reductions")) check_slots(reduction, "reduction")
}

# Things in an object may be of a class of a package that this session does not have, for example
# an assay of Signac: Seurat's own functions then fail in the middle of their work.
check_classes <- function(object) {
  kinds <- c(assays = "assay", reductions = "reduction", images = "image")
  for (slot in names(kinds)) {
    stored <- slot_or(object, slot)
    for (name in names(stored)) {
      check_class(
        stored[[name]], paste0("The ", kinds[[slot]], " \"", name, "\""),
        paste0("leave it out: x@", slot, "[[\"", name, "\"]] <- NULL")
      )
    }
  }
  for (name in names(object@assays)) {
    assay <- object@assays[[name]]
    usual <- c(counts = "counts", data = "data", scale.data = "scale.data")
    layers <- slot_or(assay, "layers", lapply(usual, function(slot) slot_or(assay, slot)))
    for (layer in names(layers)) {
      check_class(
        layers[[layer]], paste0("The layer \"", layer, "\" of the assay \"", name, "\""),
        "make it a matrix where the package is: as(layer, \"dgCMatrix\")"
      )
    }
  }
}

# `otherwise` is what can be done without the package.
check_class <- function(x, what, otherwise) {
  class <- class(x)
  package <- attr(class, "package")
  if (is.null(package) || package == ".GlobalEnv" || !is.null(methods::getClassDef(class[1]))) {
    return(invisible())
  }
  if (!requireNamespace(package, quietly = TRUE)) {
    cellferry_stop(
      "dependency_missing",
      paste0(
        what, " is of the class ", class[1], " of the R package ", package,
        ", which is not installed."
      ),
      paste0("Install it: install.packages(\"", package, "\"). Or ", otherwise),
      list(package = package)
    )
  }
}

check_slots <- function(x, kind) {
  missing <- Filter(function(name) !methods::.hasSlot(x, name), slots_read[[kind]])
  if (length(missing)) {
    stop_outdated(paste0("A ", class(x)[1], " in it has no slot ", listing(missing), "."))
  }
}

stop_outdated <- function(detail) {
  cellferry_stop(
    "object_outdated",
    paste("The object was made by an older Seurat and must be brought up to date.", detail),
    "x <- UpdateSeuratObject(x)"
  )
}

extract_cells <- function(object) {
  if (is_seurat(object)) {
    return(rownames(methods::slot(object, "meta.data")))
  }
  names <- colnames(object)
  if (is.null(names)) as.character(seq_len(ncol(object))) else names
}

# Names that a metadata column must not take, by kind.
extract_reserved <- function(object) {
  if (!is_seurat(object)) {
    return(list())
  }
  list(
    assay = names(methods::slot(object, "assays")),
    reduction = names(methods::slot(object, "reductions")),
    graph = names(methods::slot(object, "graphs"))
  )
}

# key -> JSON text of the annotations that the object has.
extract_stored <- function(object) {
  stored <- if (is_seurat(object)) {
    methods::slot(object, "misc")[["cellferry"]]
  } else {
    S4Vectors::metadata(object)[["cellferry"]]
  }
  Filter(function(json) is.character(json) && length(json) == 1L, as.list(stored))
}

extract_assay <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    return(assay)
  }
  assays <- names(methods::slot(object, "assays"))
  assay <- if (is.null(assay)) methods::slot(object, "active.assay") else assay
  if (!assay %in% assays) {
    cellferry_stop(
      "invalid_option",
      paste0("The object has no assay \"", assay, "\"."),
      paste0("Its assays: ", listing(assays), ".")
    )
  }
  assay
}

# The features of the assays that are not read, by name; none where there is only one.
extract_other_features <- function(object, assay = NULL) {
  if (is_seurat(object)) {
    assays <- methods::slot(object, "assays")
    found <- lapply(assays[setdiff(names(assays), assay)], rownames)
  } else {
    names <- if (is_single_cell(object) &&
      requireNamespace("SingleCellExperiment", quietly = TRUE)) {
      SingleCellExperiment::altExpNames(object)
    }
    found <- lapply(stats::setNames(nm = names), function(name) {
      rownames(SingleCellExperiment::altExp(object, name))
    })
  }
  Filter(length, lapply(found, as.character))
}

# Values of the small assays beside one that is read, such as proteins: `list(key, values)`, cells x
# features with their names; of assays of more than `most` features none.
extract_small_assays <- function(object, assay = NULL, most = 500L) {
  features <- extract_other_features(object, assay)
  features <- features[lengths(features) <= most]
  found <- lapply(stats_names(features), function(name) {
    values <- small_values(object, name, features[[name]])
    if (!is.null(values)) list(key = extract_key(object, name), values = values)
  })
  Filter(Negate(is.null), found)
}

small_values <- function(object, name, features) {
  if (is_seurat(object)) {
    return(extract_values(object, features, name))
  }
  other <- SingleCellExperiment::altExp(object, name)
  if ("logcounts" %in% SummarizedExperiment::assayNames(other)) {
    t(as.matrix(SummarizedExperiment::assay(other, "logcounts")))
  }
}

# What Seurat puts before the names of the features of an assay, for example "adt_".
extract_key <- function(object, name) {
  stored <- if (is_seurat(object)) methods::slot(object, "assays")[[name]]
  key <- if (!is.null(stored) && methods::.hasSlot(stored, "key")) methods::slot(stored, "key")
  if (length(key) && nzchar(key[1])) key[1] else paste0(tolower(name), "_")
}

# Embeddings of `cells` (see measured_cells()), one row for each in their order; NA for cells that
# one does not have. `list(name, key, assay, values, loadings, stdev)`, loadings NULL where there
# are none.
extract_reductions <- function(object, cells = NULL) {
  at <- cells
  cells <- of_measured(extract_cells(object), at)
  if (!is_seurat(object)) {
    stored <- if (is_single_cell(object)) SingleCellExperiment::reducedDims(object) else list()
    return(lapply(stats_names(stored), function(name) {
      values <- unname(as.matrix(stored[[name]]))
      if (!is.null(at)) values <- values[at, , drop = FALSE]
      list(name = name, key = name, assay = NULL, values = values, loadings = NULL, stdev = NULL)
    }))
  }
  stored <- methods::slot(object, "reductions")
  lapply(stats_names(stored), function(name) {
    reduction <- stored[[name]]
    values <- methods::slot(reduction, "cell.embeddings")
    loadings <- methods::slot(reduction, "feature.loadings")
    stdev <- methods::slot(reduction, "stdev")
    list(
      name = name, key = methods::slot(reduction, "key"),
      assay = methods::slot(reduction, "assay.used"), values = in_cell_order(values, cells),
      loadings = if (length(loadings)) loadings, stdev = if (length(stdev)) stdev
    )
  })
}

# Names of a list as the names of an answer of lapply().
stats_names <- function(x) {
  names <- names(x)
  if (is.null(names)) names <- character()
  names(names) <- names
  names
}

in_cell_order <- function(values, cells) {
  if (!is.null(rownames(values)) && !identical(rownames(values), cells)) {
    values <- values[match(cells, rownames(values)), , drop = FALSE]
  }
  unname(values)
}

# Graphs of cells x cells as `list(name, assay, mat)`, mat a sparse matrix in the order of the
# cells whose columns are the neighbours of a cell's row. Graphs that lack some of `cells` (see
# measured_cells()) are left out.
extract_graphs <- function(object, cells = NULL) {
  if (!is_seurat(object)) {
    return(list())
  }
  cells <- of_measured(extract_cells(object), cells)
  stored <- methods::slot(object, "graphs")
  graphs <- lapply(stats_names(stored), function(name) {
    graph <- stored[[name]]
    assay <- if (methods::.hasSlot(graph, "assay.used")) methods::slot(graph, "assay.used")
    mat <- methods::as(graph, "dgCMatrix")
    if (!all(cells %in% rownames(mat))) {
      return(NULL)
    }
    if (!identical(rownames(mat), cells) || !identical(colnames(mat), cells)) {
      mat <- mat[match(cells, rownames(mat)), match(cells, colnames(mat))]
    }
    list(name = name, assay = assay, mat = mat)
  })
  Filter(Negate(is.null), graphs)
}

# The one graph to send: the shared neighbours of this assay, else of any, else the first.
extract_graph <- function(object, assay = NULL, cells = NULL) {
  graphs <- extract_graphs(object, cells)
  names <- names(graphs)
  best <- c(which(names == paste0(assay, "_snn")), grep("snn$", names), seq_along(names))[1]
  if (!is.na(best)) graphs[[best]]
}

# The embedding to draw: the one of the name `wanted` (which Python calls "X_<name>"), else the one
# that best_embedding() chooses, with `newest` the one of the best kind that was added last; NULL if
# none. Of `cells` as measured_cells() has them.
extract_coordinates <- function(object, wanted = NULL, cells = NULL, newest = FALSE) {
  reductions <- extract_reductions(object, cells)
  if (!is.null(wanted)) {
    reductions <- Filter(is_drawable, reductions)
    found <- tolower(names(reductions)) %in% tolower(c(wanted, sub("^X_", "", wanted)))
    if (!any(found)) {
      cellferry_stop(
        "invalid_option",
        paste0("The object has no embedding \"", wanted, "\" of all cells in two dimensions."),
        paste0("It has ", if (length(reductions)) listing(names(reductions)) else "none", ".")
      )
    }
    reductions <- reductions[found]
  }
  best <- best_embedding(reductions, newest)
  if (!is.null(best)) list(name = best$name, values = best$values[, 1:2])
}

# Two columns of numbers, for all cells or, with `of = any`, for some.
is_drawable <- function(reduction, of = all) {
  values <- reduction$values
  is.numeric(values) && ncol(values) >= 2L && of(stats::complete.cases(values[, 1:2, drop = FALSE]))
}

# UMAP, else t-SNE, else PCA: of each the embedding of that very name, then one whose name contains
# it; else the first. One that lacks some cells is only taken where there is none of all. Python
# chooses alike (study/embeddings.py); the table that both are tested with is embedding_choice.json.
best_embedding <- function(reductions, newest = FALSE) {
  whole <- Filter(is_drawable, reductions)
  partial <- Filter(function(reduction) is_drawable(reduction, any), reductions)
  reductions <- if (length(whole)) whole else partial
  plain <- gsub("-", "", sub("^x_", "", tolower(names(reductions))))
  kinds <- c("umap", "tsne", "pca")
  order <- unlist(lapply(kinds, function(kind) {
    alike <- grep(kind, plain)
    if (newest) rev(alike) else c(which(plain == kind), alike)
  }))
  if (length(reductions)) reductions[[c(order, 1L)[1]]]
}
