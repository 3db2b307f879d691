# A Seurat object with labels of known terms, three genes of each, an embedding and two samples.
plotted_types <- c(
  "CD4 T cell" = "CL:0000624", "B cell" = "CL:0000236", "Monocyte" = "CL:0000576",
  "NK cell" = "CL:0000623", "Dendritic cell" = "CL:0000451", "CD8 T cell" = "CL:0000625",
  "Macrophage" = "CL:0000235", "Fibroblast" = "CL:0000057", "Endothelial cell" = "CL:0000115",
  "Epithelial cell" = "CL:0000066", "Mast cell" = "CL:0000097", "Plasma cell" = "CL:0000786",
  "Naive CD4 T cell" = "CL:0000895", "Regulatory T cell" = "CL:0000815",
  "Naive B cell" = "CL:0000788", "Memory B cell" = "CL:0000787",
  "Classical monocyte" = "CL:0000860", "Non-classical monocyte" = "CL:0000875",
  "Plasmacytoid dendritic cell" = "CL:0000784", "Neutrophil" = "CL:0000775",
  "Platelet" = "CL:0000233", "Erythrocyte" = "CL:0000232", "Smooth muscle cell" = "CL:0000192",
  "Pericyte" = "CL:0000669", "Alveolar type 2 cell" = "CL:0002063",
  "Alveolar type 1 cell" = "CL:0002062", "Club cell" = "CL:0000158",
  "Multiciliated cell" = "CL:0005012", "Lymphatic endothelial cell" = "CL:0002138",
  "Hematopoietic stem cell" = "CL:0000037"
)

plotted_object <- function(n = 5, each = 20) {
  withr::local_seed(n)
  labels <- names(plotted_types)[seq_len(n)]
  cluster <- rep(seq_len(n), each = each)
  genes <- paste0("G", rep(seq_len(n), each = 3), "-", 1:3)
  counts <- matrix(stats::rpois(length(genes) * length(cluster), 0.2), length(genes))
  own <- outer(rep(seq_len(n), each = 3), cluster, `==`)
  counts[own] <- counts[own] + stats::rpois(sum(own), 3)
  dimnames(counts) <- list(genes, paste0("cell", seq_along(cluster)))
  object <- SeuratObject::CreateSeuratObject(methods::as(counts, "dgCMatrix"))
  object <- suppressMessages(Seurat::NormalizeData(object, verbose = FALSE))
  middles <- matrix(stats::rnorm(2 * n, sd = 9), n)
  umap <- middles[cluster, ] + stats::rnorm(2 * length(cluster))
  dimnames(umap) <- list(colnames(object), c("UMAP_1", "UMAP_2"))
  object[["umap"]] <- SeuratObject::CreateDimReducObject(umap, key = "UMAP_", assay = "RNA")
  object$clusters <- factor(cluster - 1L)
  object$donor <- rep(c("d1", "d2"), length.out = ncol(object))
  rows <- lapply(seq_len(n), function(i) {
    list(
      cluster = as.character(i - 1L), n_cells = each, label = labels[i],
      ontology_id = plotted_types[[i]], confidence = i / (n + 1), confidence_kind = "graded",
      status = "ok", supporting = as.list(genes[3 * i - 2:0])
    )
  })
  provenance <- list(created = "2026", key = "cell_type", group_key = "clusters")
  json <- jsonlite::toJSON(list(
    schema = annotation_schema, rows = rows, evidence = stats::setNames(list(), character()),
    provenance = c(provenance, group_column = "clusters"),
    markers = stats::setNames(list(), character())
  ), auto_unbox = TRUE)
  delivery <- data.frame(
    cluster = as.character(seq_len(n) - 1L), cell_type = factor(labels),
    cell_type_confidence = seq_len(n) / (n + 1), cell_type_status = factor("ok")
  )
  groups <- extract_groups(object, "clusters")
  attach_annotations(object, delivery, groups, "cell_type", as.character(json))
}

# What is drawn, and whether it can be drawn at all.
layer_of <- function(plot, i = 1) ggplot2::layer_data(plot, i)
