# What Seurat and FindClusterMarkers() take in R; prints one JSON object.
#
#     Rscript seurat.R WAY FOLDER CELLS SECONDS
#
# WAY is "seurat" or "ours R". Seurat's test takes hours for all genes: of some clusters some random
# genes are timed that pass its filters, as many as fit into SECONDS, 200 at most, and scaled. What
# it takes to look at all genes for its filters is timed of these clusters, scaled and added.
suppressPackageStartupMessages({
  library(methods)
  library(Seurat)
})
given <- commandArgs(TRUE)
way <- given[1]
folder <- given[2]
cells <- as.integer(given[3])
budget <- as.numeric(given[4])
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE)))

read_array <- function(name, what, n) {
  readBin(file.path(folder, paste0("cells", cells), name), what, n, size = 4)
}

read_object <- function() {
  pointers <- read_array("indptr", "integer", cells + 1)
  n <- pointers[length(pointers)]
  genes <- paste0("GENE", 0:19999)
  names <- paste0("cell", seq_len(cells) - 1L)
  values <- new("dgCMatrix",
    p = pointers, i = read_array("indices", "integer", n), x = read_array("data", "numeric", n),
    Dim = c(length(genes), cells), Dimnames = list(genes, names)
  )
  assay <- if (packageVersion("SeuratObject") < "5") {
    CreateAssayObject(data = values)
  } else {
    getExportedValue("SeuratObject", "CreateAssay5Object")(data = values)
  }
  Key(assay) <- "rna_"
  codes <- read_array("clusters", "integer", cells)
  metadata <- data.frame(leiden = factor(codes, 0:19, paste0("c", 0:19)), row.names = names)
  object <- CreateSeuratObject(assay, meta.data = metadata)
  # The fold change follows the log of commands, and this object has none.
  log <- suppressWarnings(NormalizeData(SeuratObject::pbmc_small, verbose = FALSE))
  object@commands["NormalizeData.RNA"] <- log@commands["NormalizeData.RNA"]
  Idents(object) <- "leiden"
  object
}

seconds_of <- function(expression) {
  used <- system.time(expression, gcFirst = FALSE)
  c(wall = used[["elapsed"]], processor = used[["user.self"]] + used[["sys.self"]])
}

# Clusters that Seurat is timed with.
timed_clusters <- 4L

time_seurat <- function(object) {
  clusters <- levels(object)[round(seq(1, nlevels(object), length.out = timed_clusters))]
  scale <- nlevels(object) / length(clusters)
  filters <- c(wall = 0, processor = 0)
  passing <- list()
  for (cluster in clusters) {
    filters <- filters + seconds_of(found <- FoldChange(object, ident.1 = cluster))
    pct <- pmax(found$pct.1, found$pct.2)
    passing[[cluster]] <- rownames(found)[pct >= 0.1 & abs(found[[1]]) >= 0.25]
  }
  set.seed(1)
  test <- function(cluster, genes) {
    FindMarkers(object, ident.1 = cluster, features = genes, logfc.threshold = 0, min.pct = 0,
      verbose = FALSE)
  }
  some <- function(cluster, n) sample(passing[[cluster]], min(n, length(passing[[cluster]])))
  first <- clusters[1]
  # Calls around the test are taken off: all genes need them once.
  around <- seconds_of(test(first, some(first, 2)))
  more <- seconds_of(test(first, some(first, 6)))
  each <- max(1e-4, (more - around)[["wall"]] / 4)
  n <- as.integer(max(2, min(200, (budget / length(passing) - around[["wall"]]) / each)))
  total <- c(wall = 0, processor = 0)
  tables <- list()
  for (cluster in names(passing)) {
    genes <- some(cluster, n)
    took <- seconds_of(found <- test(cluster, genes))
    one <- seconds_of(test(cluster, genes[1]))
    per <- if (length(genes) > 1) pmax(took - one, 0) / (length(genes) - 1) else took
    total <- total + per * length(passing[[cluster]])
    tables[[cluster]] <- data.frame(cluster = cluster, gene = rownames(found), p_val = found$p_val)
  }
  table <- do.call(rbind, tables)
  table$p_val <- sprintf("%.17g", table$p_val)
  utils::write.csv(table, file.path(folder, paste0(cells, "-seurat.csv")), row.names = FALSE)
  list(
    used = scale * (total + filters), filters = scale * filters, timed = n,
    clusters = length(clusters), tests = round(scale * sum(lengths(passing)))
  )
}

object <- read_object()
path <- if (way == "ours R") {
  "FindClusterMarkers()"
} else if (requireNamespace("limma", quietly = TRUE) && cells <= 46340) {
  "limma"
} else {
  "wilcox.test"
}
load <- as.numeric(strsplit(readLines("/proc/loadavg"), " ")[[1]][1])
if (way == "seurat") {
  invisible(gc())
  found <- time_seurat(object)
  figures <- list(timed = found$timed, clusters = found$clusters, tests = found$tests, filters = found$filters[["wall"]])
  used <- found$used
  extra <- NULL
} else {
  measure <- reticulate::import_from_path("measure", path = file.path(here, "..", "artifacts"))
  # Imports are no part of the work.
  invisible(cellferry::FindClusterMarkers(SeuratObject::pbmc_small, verbose = FALSE))
  invisible(gc())
  measure$prepare()
  measure$forget_peak()
  base <- measure$resident()
  used <- seconds_of(
    found <- cellferry::FindClusterMarkers(object, "leiden", rules = "5.0.1", verbose = FALSE)
  )
  extra <- measure$resident("VmHWM") - base
  table <- data.frame(found[c("cluster", "gene")], p_val = sprintf("%.17g", found$p_val))
  utils::write.csv(table, file.path(folder, paste0(cells, "-ours-R.csv")), row.names = FALSE)
  figures <- list()
}
matrix <- GetAssayData(object, "data")
cat(jsonlite::toJSON(auto_unbox = TRUE, digits = 8, null = "null", c(list(
  way = way, path = path, cells = cells, wall = used[["wall"]], processor = used[["processor"]],
  extra = extra, load = load, matrix = 12 * length(matrix@x)
), figures)), "\n", sep = "")
