# Objects on which our markers are compared with FindAllMarkers(): a small one, one with clusters of
# more than a thousand cells, where p-values are exactly 0, and one of all that is awkward.

marker_object <- function(counts, clusters, levels, values = NULL) {
  # Entries that are stored and zero are kept: Seurat's own constructors keep them too.
  object <- suppressWarnings(SeuratObject::CreateSeuratObject(counts))
  object <- Seurat::NormalizeData(object, verbose = FALSE)
  if (!is.null(values)) {
    if (utils::packageVersion("SeuratObject") >= "5.0.0") {
      object <- SeuratObject::SetAssayData(object, layer = "data", new.data = values)
    } else {
      object <- SeuratObject::SetAssayData(object, slot = "data", new.data = values)
    }
  }
  SeuratObject::Idents(object) <- factor(clusters, levels = levels)
  object
}

# Random numbers of our own, so that every version of R makes the same object.
marker_stream <- function(seed) {
  state <- seed
  function(n) {
    vapply(seq_len(n), function(i) {
      state <<- (state * 16807) %% 2147483647
      state / 2147483647
    }, 0)
  }
}

marker_objects <- list(
  pbmc_small = function() SeuratObject::UpdateSeuratObject(SeuratObject::pbmc_small),
  large = function() {
    draw <- marker_stream(42)
    sizes <- c(a = 1300L, b = 1100L, c = 400L, d = 200L)
    clusters <- rep(names(sizes), sizes)
    n <- length(clusters)
    genes <- paste0("Gene", seq_len(90))
    rate <- matrix(0.12, length(genes), length(sizes), dimnames = list(genes, names(sizes)))
    for (k in seq_along(sizes)) rate[(k - 1) * 15 + 1:15, k] <- seq(0.2, 6, length.out = 15)
    rate[61:70, ] <- 2
    # Two columns of draws a gene: whether there is any, and how much.
    counts <- vapply(seq_len(n), function(i) {
      mean <- rate[, clusters[i]]
      floor(-log(1 - draw(length(genes)) * 0.999999) * mean + 0.3 * draw(length(genes)))
    }, numeric(length(genes)))
    dimnames(counts) <- list(genes, paste0("cell", seq_len(n)))
    counts["Gene70", ] <- counts["Gene70", ] + 60
    # No overlap at all: beyond the quantile where R's pnorm() is 0.
    counts["Gene80", ] <- ifelse(clusters == "a", 30, 0) + floor(draw(n) * 20)
    counts["Gene81", ] <- ifelse(clusters == "a", 0, 40) + floor(draw(n) * 20)
    marker_object(Matrix::Matrix(counts, sparse = TRUE), clusters, names(sizes))
  },
  awkward = function() {
    draw <- marker_stream(7)
    clusters <- c(
      rep("T cell", 30), rep("B/plasma", 25), rep("3", 20), rep("two", 2), "one", rep("10", 22)
    )
    n <- length(clusters)
    genes <- c(
      "HLA-DRB1", "HLA-DRB11", "CD3D", "CD3D.1", "constant", "zero", "negative", "ties",
      paste0("G", 1:32)
    )
    counts <- matrix(floor(draw(length(genes) * n)^3 * 9), length(genes), n)
    dimnames(counts) <- list(genes, paste0("c", seq_len(n)))
    for (k in c("T cell", "B/plasma", "3", "10")) {
      inside <- clusters == k
      rows <- 8 + match(k, c("T cell", "B/plasma", "3", "10")) * 6 + 0:5
      counts[rows, inside] <- counts[rows, inside] + floor(draw(6 * sum(inside)) * 12)
    }
    counts[c("HLA-DRB1", "HLA-DRB11", "CD3D"), clusters %in% c("T cell", "3")] <- 9
    counts["zero", ] <- 0
    values <- log1p(t(t(counts) / pmax(colSums(counts), 1)) * 1e4)
    values["constant", ] <- 1
    values["negative", ] <- ifelse(clusters == "10", 1, -1) * (draw(n) + 0.1)
    values["ties", ] <- ifelse(clusters == "B/plasma", 2, ifelse(draw(n) > 0.5, 1, 0))
    values <- methods::as(Matrix::Matrix(values, sparse = TRUE), "CsparseMatrix")
    # A zero that is stored.
    values@x[which(values@x > 0)[1]] <- 0
    marker_object(
      methods::as(Matrix::Matrix(counts, sparse = TRUE), "CsparseMatrix"), clusters,
      c("10", "T cell", "B/plasma", "two", "one", "3"), values
    )
  }
)
