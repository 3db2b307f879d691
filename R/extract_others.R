# What an object holds beside expression, metadata, reductions and graphs. Sourced like extract.R.

# Names of the layers of an assay without the suffix of a split, for layer_parts(). In a
# SingleCellExperiment the names of its assays.
extract_layer_names <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    return(SummarizedExperiment::assayNames(object))
  }
  stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
  usual <- c("counts", "data", "scale.data")
  if (!is_layered(stored)) {
    return(usual[vapply(usual, function(name) length(methods::slot(stored, name)) > 0L, NA)])
  }
  names <- names(methods::slot(stored, "layers"))
  for (name in usual) {
    names[startsWith(names, paste0(name, ".")) & !name %in% names] <- name
  }
  unique(names)
}

# Genes of the assay in its order, whatever layers have them.
extract_all_genes <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    genes <- rownames(object)
    return(if (is.null(genes)) as.character(seq_len(nrow(object))) else genes)
  }
  stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
  if (is_layered(stored)) rownames(methods::slot(stored, "features")) else rownames(stored)
}

extract_variable_features <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    return(character())
  }
  stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
  if (!is_layered(stored)) {
    return(as.character(methods::slot(stored, "var.features")))
  }
  frame <- methods::slot(stored, "meta.data")
  if (!"var.features" %in% names(frame)) {
    return(character())
  }
  found <- which(!is.na(frame$var.features))
  rank <- frame$var.features.rank
  as.character(frame$var.features[if (is.null(rank)) found else found[order(rank[found])]])
}

# The active identity as a column, and the metadata column that holds the same, NULL if none does.
extract_idents <- function(object) {
  if (!is_seurat(object)) {
    return(NULL)
  }
  idents <- unname(methods::slot(object, "active.ident"))
  metadata <- extract_metadata(object)
  same <- vapply(metadata, function(x) {
    is.factor(x) && identical(as.character(x), as.character(idents)) &&
      identical(levels(x), levels(idents))
  }, NA)
  list(
    column = if (any(same)) names(metadata)[which(same)[1]],
    values = c(list(name = "ident"), column_of(idents))
  )
}

# Names of what no function here reads, by kind.
extract_others <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    return(list(
      experiment = SingleCellExperiment::altExpNames(object),
      metadata = setdiff(names(S4Vectors::metadata(object)), "cellferry")
    ))
  }
  names_of <- function(slot) names(methods::slot(object, slot))
  graphs <- setdiff(names_of("graphs"), names(extract_graphs(object)))
  list(
    assay = setdiff(names_of("assays"), extract_assay(object, assay)), graph = graphs,
    neighbors = names_of("neighbors"), image = names_of("images"),
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
      jackstraw = length(methods::slot(methods::slot(reduction, "jackstraw"), "overall.p.values")),
      `projected loadings` = length(methods::slot(reduction, "feature.loadings.projected"))
    )
    if (any(filled > 0L)) paste0(name, ": ", names(filled)[filled > 0L])
  })
  as.character(unlist(found))
}
