# The real object that ships with SeuratObject, and Seurat's own markers of its clusters.
small_object <- function() SeuratObject::pbmc_small

.made <- new.env()

small_markers <- function() {
  if (is.null(.made$markers)) {
    .made$markers <- with_kept_seed(suppressWarnings(suppressMessages(Seurat::FindAllMarkers(
      small_object(),
      only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1, verbose = FALSE
    ))))
  }
  .made$markers
}

# The same object and markers with other names for the clusters 0, 1 and 2.
renamed_object <- function(names, column = "renamed") {
  object <- small_object()
  old <- as.integer(as.character(SeuratObject::Idents(object))) + 1L
  object[[column]] <- names[old]
  object
}

renamed_markers <- function(names) {
  markers <- small_markers()
  markers$cluster <- names[as.integer(as.character(markers$cluster)) + 1L]
  markers
}

small_sce <- function() {
  object <- small_object()
  SingleCellExperiment::SingleCellExperiment(
    assays = list(
      counts = object[["RNA"]]@counts, logcounts = object[["RNA"]]@data
    ),
    colData = S4Vectors::DataFrame(
      label = SeuratObject::Idents(object), row.names = colnames(object)
    ),
    reducedDims = list(TSNE = SeuratObject::Embeddings(object, "tsne"))
  )
}

# Labels without an engine: every cluster's label is its own name, so that a label on a wrong
# cell shows.
own_delivery <- function(clusters) {
  data.frame(
    cluster = clusters, cell_type = factor(paste("is", clusters), levels = paste("is", clusters)),
    cell_type_confidence = seq_along(clusters) / 100
  )
}

small_json <- function(run = "r1", created = "2026-01-01T00:00:00", key = "cell_type",
                       clusters = c("0", "1", "2"), group = "RNA_snn_res.1") {
  rows <- lapply(clusters, function(cluster) {
    list(
      cluster = cluster, n_cells = 1L, label = paste("type", cluster), confidence = 0.5,
      confidence_kind = "graded", status = "ok", supporting = list("CD3E", paste0("G", cluster))
    )
  })
  jsonlite::toJSON(auto_unbox = TRUE, list(
    schema = annotation_schema, rows = rows, evidence = stats::setNames(list(), character()),
    provenance = list(
      run = run, created = created, key = key, group_key = group, group_column = group
    ),
    markers = list(
      cluster = list("0", "1"), gene = list("CD3E", "LYZ"), avg_log2FC = list(1.5, NULL)
    )
  ), null = "null")
}

# An object as AnnotateClusters() leaves it, made without Python.
labelled_object <- function(key = "cell_type", json = small_json(key = key)) {
  object <- small_object()
  groups <- extract_groups(object)
  delivery <- data.frame(
    cluster = groups$names, label = factor(paste("type", groups$names)), confidence = 0.5,
    status = factor("ok")
  )
  names(delivery)[-1] <- c(key, paste0(key, "_confidence"), paste0(key, "_status"))
  attach_annotations(object, delivery, groups, key, as.character(json))
}
