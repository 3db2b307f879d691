# What AnnotateClusters() and AnnotateCells() say of genes and clusters that are not what they seem.

lists <- list(
  "0" = c("CD3D", "CD3E", "IL7R", "TRAC", "CD3G", "LEF1"),
  "1" = c("CD79A", "MS4A1", "CD79B", "BANK1", "CD19", "VPREB3")
)

table_of <- function(lists) {
  data.frame(
    cluster = rep(names(lists), lengths(lists)), gene = unlist(lists, use.names = FALSE),
    avg_log2FC = 2, p_val_adj = 1e-9, pct.1 = 0.9, pct.2 = 0.1
  )
}

labels_of <- function(table) {
  AnnotateClusters(table, tissue = "blood", verbose = FALSE)$label
}

test_that("genes in disguise are read as symbols, with a warning and a line in R", {
  skip_without_backend()
  plain <- labels_of(table_of(lists))
  for (write in c("GRCh38-%s", "%s.1", "%s_ENSG00000999999")) {
    disguised <- table_of(lapply(lists, function(genes) sprintf(write, genes)))
    expect_warning(
      found <- labels_of(disguised), "12 of 12 genes of the marker table are not written",
      class = "cellferry_genes_unrecognised_warning"
    )
    expect_identical(found, plain)
  }
  said <- tryCatch(
    labels_of(table_of(lapply(lists, function(genes) paste0("hg19_", genes)))),
    warning = conditionMessage
  )
  expect_match(said, "markers$gene <- sub(\"^(hg19_)\", \"\", markers$gene)", fixed = TRUE)
})

test_that("unknown genes are warned of with an example", {
  skip_without_backend()
  expect_warning(
    labels_of(table_of(list("0" = sprintf("Gene%03d", 1:8)))),
    "Only 0 of 8 genes .* \"Gene001\".*8 look like placeholders",
    class = "cellferry_genes_unrecognised_warning"
  )
})

test_that("an assay of proteins points to the assay that has genes", {
  skip_without_backend()
  object <- small_object()
  counts <- matrix(rpois(4 * ncol(object), 5), nrow = 4)
  rownames(counts) <- c("CD3-TotalC", "CD4-TotalC", "CD19-TotalC", "IgG1-control")
  colnames(counts) <- colnames(object)
  object[["ADT"]] <- SeuratObject::CreateAssayObject(counts = counts)
  said <- character()
  withCallingHandlers(
    AnnotateCells(object, assay = "ADT", verbose = FALSE),
    warning = function(cnd) {
      said <<- c(said, conditionMessage(cnd))
      invokeRestart("muffleWarning")
    }
  )
  expect_match(said, "Only 0 of 4 genes of the object \\(assay \"ADT\"\\)", all = FALSE)
  expect_match(said, "Use it: assay = \"RNA\"", all = FALSE)
  expect_no_match(said, "oublet")
})

test_that("clusters that do not meet are explained with a line in R, which works", {
  skip_without_backend()
  object <- small_object()
  object$group <- factor(rep(c("0", "1"), length.out = ncol(object)))
  markers <- table_of(lists)
  markers$pct.1 <- NULL
  markers$cluster <- paste0(markers$cluster, ".0")
  cnd <- tryCatch(
    AnnotateClusters(object, markers, group.by = "group", verbose = FALSE),
    cellferry_markers_clusters_error = identity
  )
  said <- conditionMessage(cnd)
  expect_match(said, "differ only in a decimal, .0: \"0.0\" in the table is \"0\"", fixed = TRUE)
  line <- sub(".*To mend it: ([^\n]*).*", "\\1", said)
  eval(parse(text = line))
  expect_setequal(markers$cluster, c("0", "1"))
})

test_that("logical clusters are TRUE and FALSE as in R", {
  skip_without_backend()
  object <- small_object()
  object$responder <- rep(c(TRUE, FALSE), length.out = ncol(object))
  markers <- table_of(stats::setNames(lists, c("TRUE", "FALSE")))
  markers$pct.1 <- NULL
  markers$cluster <- markers$cluster == "TRUE"
  labelled <- AnnotateClusters(object, markers, group.by = "responder", verbose = FALSE)
  expect_setequal(Annotations(labelled)$cluster, c("TRUE", "FALSE"))
})
