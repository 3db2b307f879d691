# A Seurat object, its artifacts, a server on this machine, and the labels back in the object.
arguments <- commandArgs(TRUE)
out <- arguments[[1]]
url <- arguments[[2]]
suppressPackageStartupMessages({
  library(Seurat)
  library(cellferry)
})
data("pbmc_small", package = "SeuratObject")
pbmc <- pbmc_small
# The protocol ranks genes by fold change alone, so only significant ones should be among them.
markers <- subset(FindAllMarkers(pbmc, only.pos = TRUE, verbose = FALSE), p_val_adj < 0.05)

file_in <- function(name) file.path(normalizePath(out), paste0("pbmc_small_service", name))
pbmc <- AnnotateClusters(
  pbmc, markers,
  engine = CyteTypeEngine(
    api_url = url, poll_interval_seconds = 0.5,
    vars_h5_path = file_in("_vars.h5"), obs_duckdb_path = file_in("_obs.duckdb"),
    query_filename = file_in("_query.json"), overwrite_files = TRUE
  ),
  tissue = "blood", study.context = "Human blood, 80 cells"
)

saveRDS(pbmc, file_in(".rds"))
record <- jsonlite::parse_json(SeuratObject::Misc(pbmc, "cellferry")$cell_type)
report <- paste0(url, "/report/", record$provenance$job)
utils::download.file(report, file_in("_report.html"), quiet = TRUE)

# What the server looked up in vars.h5 for the first cluster: percent of cells, per gene.
answer <- record$evidence[[1]]$latest$annotation
seen <- answer$fullOutput$cellType$expressionEvidence
cat("evidence for ", answer$annotation, " comes from ", seen$source, "\n", sep = "")
for (suffix in c("_vars.h5", "_obs.duckdb", "_query.json", ".rds", "_report.html")) {
  cat("wrote ", file_in(suffix), "\n", sep = "")
}
