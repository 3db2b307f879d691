# Writing labels into Seurat and SingleCellExperiment objects. See object-read.R for the rules.

# `delivery` has the column `cluster` and one more column for each metadata column; `groups` is
# from extract_groups(). The join is by the exact text of the cluster: a cell without a cluster,
# or of a cluster that is not in `delivery`, gets NA.
attach_annotations <- function(object, delivery, groups, key, json, replaced = character()) {
  row <- match(groups$names[groups$codes], delivery$cluster)
  columns <- lapply(delivery[setdiff(names(delivery), "cluster")], function(x) x[row])
  columns <- as.data.frame(columns, optional = TRUE, stringsAsFactors = FALSE)
  if (is_seurat(object)) {
    attach_to_seurat(object, columns, key, json, replaced)
  } else {
    attach_to_sce(object, columns, key, json, replaced)
  }
}

attach_to_seurat <- function(object, columns, key, json, replaced) {
  metadata <- methods::slot(object, "meta.data")
  # AddMetaData() of Seurat 5 looks for slots that objects of older versions do not have.
  metadata <- metadata[setdiff(names(metadata), replaced)]
  metadata[names(columns)] <- columns
  methods::slot(object, "meta.data") <- metadata
  # `Misc<-` warns when the name is in use, and cellferry only ever replaces its own record.
  misc <- methods::slot(object, "misc")
  methods::slot(object, "misc") <- store_json(if (is.null(misc)) list() else misc, key, json)
  object
}

attach_to_sce <- function(object, columns, key, json, replaced) {
  metadata <- SummarizedExperiment::colData(object)
  metadata <- metadata[, setdiff(names(metadata), replaced), drop = FALSE]
  for (name in names(columns)) {
    metadata[[name]] <- columns[[name]]
  }
  object <- set_col_data(object, metadata)
  set_experiment_metadata(object, store_json(S4Vectors::metadata(object), key, json))
}

set_col_data <- function(object, value) {
  SummarizedExperiment::colData(object) <- value
  object
}

set_experiment_metadata <- function(object, value) {
  S4Vectors::metadata(object) <- value
  object
}

# One more record, without columns.
attach_record <- function(object, key, json) {
  if (is_seurat(object)) {
    methods::slot(object, "misc") <- store_json(methods::slot(object, "misc"), key, json)
    return(object)
  }
  set_experiment_metadata(object, store_json(S4Vectors::metadata(object), key, json))
}

store_json <- function(store, key, json) {
  kept <- as.list(store[["cellferry"]])
  kept[[key]] <- json
  store[["cellferry"]] <- kept
  store
}

# What an object has that a reduction cannot be called, NULL if nothing.
reserved_reduction <- function(object, name) {
  reserved <- extract_reserved(object)
  taken <- vapply(reserved[setdiff(names(reserved), "reduction")], function(x) name %in% x, NA)
  if (any(taken)) paste("a", names(which(taken))[1])
}

has_foreign_reduction <- function(object, name) {
  found <- if (is_seurat(object)) {
    methods::slot(object, "reductions")[[name]]
  } else if (is_single_cell(object) &&
    name %in% SingleCellExperiment::reducedDimNames(object)) {
    SingleCellExperiment::reducedDim(object, name)
  }
  ours <- if (is_seurat(object) && !is.null(found)) {
    methods::slot(found, "misc")[["cellferry"]]
  } else {
    attr(found, "cellferry")
  }
  !is.null(found) && is.null(ours)
}

# `values` are cells x dimensions, with the names of the cells; `note` says how they were made.
attach_reduction <- function(object, values, name, assay, note) {
  key <- paste0(gsub("[^[:alnum:]]", "", name), "_")
  colnames(values) <- paste0(key, seq_len(ncol(values)))
  if (is_seurat(object)) {
    made <- SeuratObject::CreateDimReducObject(
      embeddings = values, key = key, assay = assay, misc = list(cellferry = note)
    )
    reductions <- methods::slot(object, "reductions")
    reductions[[name]] <- made
    methods::slot(object, "reductions") <- reductions
    return(object)
  }
  whole <- values[match(extract_cells(object), rownames(values)), , drop = FALSE]
  rownames(whole) <- extract_cells(object)
  attr(whole, "cellferry") <- note
  set_reduced_dim(object, name, whole)
}

set_reduced_dim <- function(object, name, value) {
  # Where there is no place for it, the object becomes what has one.
  if (!is_single_cell(object)) object <- methods::as(object, "SingleCellExperiment")
  SingleCellExperiment::reducedDim(object, name) <- value
  object
}

# The object without some columns of its metadata.
without_columns <- function(object, names) {
  if (is_seurat(object)) {
    metadata <- methods::slot(object, "meta.data")
    methods::slot(object, "meta.data") <- metadata[setdiff(names(metadata), names)]
    return(object)
  }
  metadata <- SummarizedExperiment::colData(object)
  set_col_data(object, metadata[, setdiff(names(metadata), names), drop = FALSE])
}
