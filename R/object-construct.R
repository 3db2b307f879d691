# Making a Seurat object of plain parts, the way back of what the other object files read. rpy2
# calls it; see object-read.R.
#
# Slots are filled directly where Seurat's own functions would count every cell anew, rename
# columns or add some.

# `parts` are
#   assay             name
#   cells, genes      names; they are unique, and genes contain no "_" or "|"
#   layers            counts, data, scale.data or others: matrices of genes x cells without names
#   metadata, features  columns as in extract_metadata_columns()
#   variable_features names of genes, in their order
#   reductions        list(name, key, assay, values, loadings, loading_genes, stdev)
#   graphs            list(name, assay, mat)
#   images            those of construct_images()
#   idents            a column of kind category, or NULL
#   misc              list
construct_seurat <- function(parts) {
  assay <- construct_assay(parts)
  idents <- if (is.null(parts$idents)) {
    factor(rep("AnnData", length(parts$cells)))
  } else {
    vector_of(parts$idents)
  }
  names(idents) <- parts$cells
  reductions <- lapply(parts$reductions, construct_reduction, parts = parts)
  graphs <- lapply(parts$graphs, construct_graph, cells = parts$cells)
  methods::new(
    "Seurat",
    assays = stats::setNames(list(assay), parts$assay),
    meta.data = construct_frame(parts$metadata, parts$cells), active.assay = parts$assay,
    active.ident = idents, graphs = named_by(graphs, parts$graphs), neighbors = list(),
    reductions = named_by(reductions, parts$reductions), images = construct_images(parts$images),
    project.name = "AnnData", misc = as.list(parts$misc),
    version = utils::packageVersion("SeuratObject"), commands = list(), tools = list()
  )
}

named_by <- function(made, from) {
  stats::setNames(made, vapply(from, function(x) x$name, ""))
}

construct_frame <- function(columns, rows) {
  values <- lapply(columns, vector_of)
  names <- vapply(columns, function(column) column$name, "")
  structure(values, names = names, class = "data.frame", row.names = rows)
}

# Seurat 5 makes an Assay5, unless its own option asks for the older kind.
makes_layered <- function() {
  !is.null(methods::getClassDef("Assay5", package = "SeuratObject")) &&
    !identical(getOption("Seurat.object.assay.version"), "v3")
}

construct_assay <- function(parts) {
  features <- construct_frame(parts$features, parts$genes)
  if (makes_layered()) construct_layered(parts, features) else construct_slots(parts, features)
}

# As CreateAssayObject() does, an assay with counts alone has them as its data too.
construct_slots <- function(parts, features) {
  # Names that are set on a matrix do not copy its values.
  layers <- lapply(parts$layers, function(mat) {
    dimnames(mat) <- list(parts$genes, parts$cells)
    mat
  })
  given <- function(x) if (is.null(x)) methods::new("matrix") else x
  methods::new(
    "Assay",
    counts = given(layers$counts),
    data = given(if (is.null(layers$data)) layers$counts else layers$data),
    scale.data = given(layers$scale.data), key = assay_key(parts$assay), assay.orig = NULL,
    var.features = as.character(parts$variable_features), meta.features = features,
    misc = list()
  )
}

# CreateAssay5Object() would subset, and so copy, each layer, and make the dense ones sparse.
construct_layered <- function(parts, features) {
  variable <- parts$variable_features
  if (length(variable) && !"var.features" %in% names(features)) {
    rank <- match(parts$genes, variable)
    features$var.features <- ifelse(is.na(rank), NA, parts$genes)
    features$var.features.rank <- rank
  }
  rownames(features) <- NULL
  usual <- intersect(c("counts", "data"), names(parts$layers))
  layers <- parts$layers[union(usual, names(parts$layers))]
  methods::new(
    "Assay5",
    layers = layers, default = 1L, key = assay_key(parts$assay),
    cells = full_map(parts$cells, names(layers)), features = full_map(parts$genes, names(layers)),
    meta.data = features, misc = list(calcN = TRUE)
  )
}

# A LogMap in which every layer has every name.
full_map <- function(names, layers) {
  map <- getExportedValue("SeuratObject", "LogMap")(names)
  for (layer in layers) {
    map[[layer]] <- names
  }
  map
}

# Letters and digits, and "_" at the end, as Seurat asks for it.
assay_key <- function(assay) {
  paste0(gsub("[^a-z0-9]", "", tolower(assay)), "_")
}

construct_reduction <- function(reduction, parts) {
  values <- reduction$values
  rownames(values) <- parts$cells
  colnames(values) <- paste0(reduction$key, seq_len(ncol(values)))
  loadings <- reduction$loadings
  if (is.null(loadings)) {
    loadings <- methods::new("matrix")
  } else {
    dimnames(loadings) <- list(reduction$loading_genes, colnames(values)[seq_len(ncol(loadings))])
  }
  SeuratObject::CreateDimReducObject(
    embeddings = values, loadings = loadings, stdev = as.double(reduction$stdev),
    key = reduction$key, assay = parts$assay
  )
}

construct_graph <- function(graph, cells) {
  mat <- graph$mat
  dimnames(mat) <- list(cells, cells)
  made <- SeuratObject::as.Graph(mat)
  methods::slot(made, "assay.used") <- graph$assay
  made
}

# A dgCMatrix of its slots, which are those of the CSR of cells x genes. It is checked as a whole.
construct_matrix <- function(i, p, x, dim) {
  methods::new("dgCMatrix", i = i, p = p, x = x, Dim = dim)
}
