# Cells whose type is known, as a Seurat object with counts, values and identities.
known_cells <- function(n = 30L) {
  markers <- list(
    "B cell" = c("CD79A", "MS4A1", "CD79B", "CD19", "BANK1"),
    "T cell" = c("CD3D", "CD3E", "CD3G", "CD2", "IL32")
  )
  genes <- c(unlist(markers, use.names = FALSE), paste0("ZNF", zinc_fingers))
  set.seed(1)
  counts <- matrix(stats::rpois(length(genes) * n, 3), length(genes))
  dimnames(counts) <- list(genes, paste0("cell", seq_len(n)))
  counts[unlist(markers), ] <- 0
  truth <- rep(names(markers), length.out = n)
  for (i in seq_len(n)) counts[markers[[truth[i]]], i] <- 2 + stats::rpois(5, 5)
  x <- SeuratObject::CreateSeuratObject(methods::as(counts, "CsparseMatrix"))
  x <- Seurat::NormalizeData(x, verbose = FALSE)
  x$truth <- truth
  SeuratObject::Idents(x) <- factor(truth, names(markers), c("0", "1"))
  x
}

annotated_cells <- function() AnnotateCells(known_cells(), verbose = FALSE)

# Genes that are known and mark no cell type.
zinc_fingers <- c(
  782:787, 789:793, 799, 800, 805, 808, 813, 814, 816, 821, 823, 827, 829:831,
  835:837, 839, 841, 843
)
