# The R half of `make demo`: a real Seurat object in, labels in its metadata out.
out <- commandArgs(TRUE)[[1]]
suppressPackageStartupMessages({
  library(Seurat)
  library(cellferry)
})
data("pbmc_small", package = "SeuratObject")
pbmc <- pbmc_small

markers <- FindAllMarkers(pbmc, only.pos = TRUE, verbose = FALSE)
pbmc <- AnnotateClusters(pbmc, markers, tissue = "blood")

file_in <- function(name) file.path(out, paste0("pbmc_small", name))
saveRDS(pbmc, file_in(".rds"))
columns <- grep("^cell_type", colnames(pbmc[[]]), value = TRUE)
cells <- data.frame(
  cell = colnames(pbmc), cluster = as.character(Idents(pbmc)), pbmc[[]][columns]
)
write.csv(cells, file_in("_cells.csv"), row.names = FALSE)
picture <- DimPlot(
  pbmc,
  group.by = "cell_type", pt.size = 2
) +
  ggplot2::ggtitle("pbmc_small, labelled by cellferry")
ggplot2::ggsave(file_in("_tsne.png"), picture, width = 7, height = 5, dpi = 150)
AnnotationReport(pbmc, file_in("_report.html"))

for (suffix in c(".rds", "_cells.csv", "_tsne.png", "_report.html")) {
  cat("wrote ", file_in(suffix), "\n", sep = "")
}
