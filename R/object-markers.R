# Seurat's own FindAllMarkers() on a copy of an object.

run_find_all_markers <- function(object, groups, assay) {
  clusters <- factor(groups$names[groups$codes], levels = groups$names)
  if (anyNA(clusters)) {
    # Idents() would make a cluster "NA" of the cells that have none.
    object <- subset(object, cells = extract_cells(object)[!is.na(clusters)])
    clusters <- clusters[!is.na(clusters)]
  }
  SeuratObject::Idents(object) <- clusters
  # Ties are the rule in expression data, and Seurat passes on one warning per gene.
  withCallingHandlers(
    Seurat::FindAllMarkers(
      object,
      assay = assay, only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1,
      test.use = "wilcox", verbose = FALSE
    ),
    warning = function(cnd) {
      if (grepl("cannot compute exact p-value", conditionMessage(cnd), fixed = TRUE)) {
        invokeRestart("muffleWarning")
      }
    },
    packageStartupMessage = function(cnd) invokeRestart("muffleMessage"),
    message = function(cnd) {
      if (grepl("limma|presto", conditionMessage(cnd))) invokeRestart("muffleMessage")
    }
  )
}

# FindAllMarkers() sets the seed of the session.
with_kept_seed <- function(code) {
  global <- globalenv()
  old <- get0(".Random.seed", envir = global, inherits = FALSE)
  on.exit({
    if (is.null(old)) {
      suppressWarnings(rm(".Random.seed", envir = global))
    } else {
      assign(".Random.seed", old, envir = global)
    }
  })
  force(code)
}
