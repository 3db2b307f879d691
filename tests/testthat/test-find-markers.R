# Equal to FindAllMarkers() of the Seurat that is installed. Its p-values are those of limma, or of
# presto where that is there: the formula is the same.

expect_same_table <- function(ours, theirs) {
  expect_identical(names(ours), names(theirs))
  types <- function(table) vapply(table, function(x) class(x)[1], "")
  expect_identical(types(ours), types(theirs))
  expect_identical(levels(ours$cluster), levels(theirs$cluster))
  expect_identical(nrow(ours), nrow(theirs))
  expect_identical(rownames(ours), rownames(theirs))
  expect_identical(ours$gene, theirs$gene)
  expect_identical(ours$cluster, theirs$cluster)
  expect_identical(ours[c("pct.1", "pct.2")], theirs[c("pct.1", "pct.2")])
  for (name in c("p_val", "p_val_adj")) {
    expect_identical(ours[[name]] == 0, theirs[[name]] == 0)
    apart <- abs(ours[[name]] - theirs[[name]]) / pmax(theirs[[name]], .Machine$double.xmin)
    expect_lt(max(0, apart), 1e-9)
  }
  expect_lt(max(0, abs(ours[[2]] - theirs[[2]])), 1e-10)
}

theirs <- function(object, ...) {
  skip_if_not_installed("limma")
  suppressWarnings(suppressMessages(Seurat::FindAllMarkers(object, verbose = FALSE, ...)))
}

ours <- function(object, ...) suppressWarnings(FindClusterMarkers(object, verbose = FALSE, ...))

test_that("a table is the one of FindAllMarkers()", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  for (name in names(marker_objects)) {
    object <- suppressMessages(marker_objects[[name]]())
    for (positive in c(TRUE, FALSE)) {
      expect_same_table(ours(object, only.pos = positive), theirs(object, only.pos = positive))
    }
  }
})

test_that("every argument does what it does in Seurat", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  object <- suppressMessages(marker_objects$pbmc_small())
  cases <- list(
    list(logfc.threshold = 0, min.pct = 0, return.thresh = 1), list(min.diff.pct = 0.3),
    list(features = rev(rownames(object)[1:40])), list(base = 10), list(base = exp(1)),
    list(pseudocount.use = 0.1), list(min.cells.group = 20), list(max.cells.per.ident = 15),
    list(max.cells.per.ident = 15, random.seed = 7, only.pos = TRUE)
  )
  for (case in cases) {
    expect_same_table(
      do.call(ours, c(list(object), case)), do.call(theirs, c(list(object), case))
    )
  }
})

test_that("fold changes follow the log of the object, as in Seurat", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  object <- suppressMessages(marker_objects$pbmc_small())
  object@commands <- list()
  expect_same_table(ours(object), theirs(object))
  old <- installed_rules() == "4.3"
  if (old) {
    expect_warning(
      FindClusterMarkers(object, verbose = FALSE),
      "no log of NormalizeData(assay = \"RNA\"), so that Seurat 4.3 takes the mean of logarithms",
      fixed = TRUE
    )
  }
  expect_message(
    FindClusterMarkers(object, rules = "5.0.1"), "fold changes are of expm1() of the values",
    fixed = TRUE
  )
  object <- suppressMessages(marker_objects$pbmc_small())
  object <- Seurat::NormalizeData(
    object, normalization.method = "CLR", margin = 2, verbose = FALSE
  )
  expect_same_table(ours(object), theirs(object))
})

test_that("split layers need no JoinLayers()", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  skip_without_seurat5()
  object <- suppressMessages(marker_objects$awkward())
  object[["RNA"]] <- methods::as(object[["RNA"]], "Assay5")
  joined <- theirs(object)
  sample <- rep(c("x", "y"), length.out = ncol(object))
  object[["RNA"]] <- split(object[["RNA"]], f = sample)
  expect_error(Seurat::FindMarkers(object, ident.1 = "10"), "not joined")
  expect_same_table(ours(object), joined)
})

test_that("two groups are those of FindMarkers()", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  skip_if_not_installed("limma")
  object <- suppressMessages(marker_objects$awkward())
  for (second in list(NULL, "3", c("3", "10"))) {
    expected <- suppressWarnings(suppressMessages(
      Seurat::FindMarkers(object, ident.1 = "T cell", ident.2 = second, verbose = FALSE)
    ))
    found <- ours(object, ident.1 = "T cell", ident.2 = second)
    expect_identical(found$gene, rownames(expected))
    expect_equal(found[[2]], expected[[2]], tolerance = 1e-10)
    expect_equal(found$p_val, expected$p_val, tolerance = 1e-9)
  }
})

test_that("clusters that can't be tested are a warning", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$awkward())
  warned <- testthat::capture_warnings(
    FindClusterMarkers(object, only.pos = TRUE, verbose = FALSE)
  )
  expect_match(warned[1], "less than zero, so that they are scaled or corrected", fixed = TRUE)
  expect_match(
    warned[2], "Cluster \"two\" has no markers, because it can't be tested: There are 2 cells",
    fixed = TRUE
  )
  expect_match(warned[3], "Cluster \"one\" has no markers", fixed = TRUE)
})

test_that("clusters are compared within their parents, and samples are counted", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$awkward())
  object$parent <- ifelse(SeuratObject::Idents(object) %in% c("10", "3"), "p", "q")
  object$sample <- rep(c("x", "y", "z"), length.out = ncol(object))
  found <- ours(object, within = "parent", return.thresh = 2, sample.by = "sample")
  pair <- ours(object, ident.1 = "10", ident.2 = "3")
  mine <- found[found$cluster == "10", ]
  expect_setequal(mine$gene, pair$gene)
  expect_equal(mine$p_val[match(pair$gene, mine$gene)], pair$p_val, tolerance = 1e-12)
  expect_true(all(mine$n_samples == 3L))
  expect_true(all(mine$n_samples_same >= 0L & mine$n_samples_same <= 3L))
})

test_that("a SingleCellExperiment is read by the base of its logarithms", {
  skip_without_backend()
  skip_if_not_installed("SingleCellExperiment")
  object <- suppressMessages(marker_objects$pbmc_small())
  expected <- ours(object, rules = "5.0.1")
  counts <- as.matrix(layer_parts(object, "RNA", "counts")[[1]]$mat)
  natural <- log1p(t(t(counts) / colSums(counts)) * 1e4)
  for (values in list(natural, natural / log(2))) {
    experiment <- SingleCellExperiment::SingleCellExperiment(
      assays = list(counts = counts, logcounts = values),
      colData = list(cluster = SeuratObject::Idents(object))
    )
    found <- ours(experiment, "cluster", rules = "5.0.1")
    expect_identical(found$gene, expected$gene)
    expect_equal(found$avg_log2FC, expected$avg_log2FC, tolerance = 1e-8)
  }
})

test_that("what has no markers is a clear error", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$pbmc_small())
  object$one <- "all"
  expect_error(ours(object, "one"), "only one cluster", class = "cellferry_markers_required_error")
  expect_error(ours(object, rules = "3"), "no such rules", class = "cellferry_invalid_option_error")
  expect_error(ours(object, groupby = "one"), "group.by", class = "cellferry_unknown_option_error")
  expect_error(ours(object, features = "no gene"), "no gene")
})

test_that("values that have no markers are the same errors whoever asks", {
  object <- small_object()
  object$cluster <- SeuratObject::Idents(object)
  raw <- object
  raw[["RNA"]]@data <- raw[["RNA"]]@counts
  expect_messages(FindClusterMarkers(raw, verbose = FALSE), "find-markers-raw")
  raw[["other"]] <- SeuratObject::CreateAssayObject(data = object[["RNA"]]@data)
  raw[["RNA"]]@data <- expm1(object[["RNA"]]@data)
  expect_error(
    FindClusterMarkers(raw, verbose = FALSE), "values that are not logged",
    class = "cellferry_markers_required_error"
  )
})

test_that("cells without a cluster are compared with, as in Seurat", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  skip_if_not_installed("limma")
  object <- suppressMessages(marker_objects$pbmc_small())
  object$some <- as.character(SeuratObject::Idents(object))
  object$some[c(1:5, 60:70)] <- NA
  found <- ours(object, "some", return.thresh = 2)
  expect_identical(levels(found$cluster), c("0", "1", "2"))
  for (cluster in c("0", "1", "2")) {
    expected <- suppressWarnings(suppressMessages(Seurat::FindMarkers(
      object,
      ident.1 = colnames(object)[object$some %in% cluster], verbose = FALSE
    )))
    mine <- found[found$cluster == cluster, ]
    # FindAllMarkers() sorts the table again.
    at <- match(rownames(expected), mine$gene)
    expect_identical(sort(mine$gene), sort(rownames(expected)))
    expect_equal(mine$p_val[at], expected$p_val, tolerance = 1e-9)
    expect_equal(mine[[2]][at], expected[[2]], tolerance = 1e-10)
  }
})

test_that("an SCT assay has Seurat's markers", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  skip_if_not_installed("sctransform")
  object <- suppressMessages(marker_objects$pbmc_small())
  object <- suppressWarnings(Seurat::SCTransform(object, verbose = FALSE))
  expect_same_table(ours(object), theirs(object))
  expect_same_table(ours(object, only.pos = TRUE), theirs(object, only.pos = TRUE))
})

test_that("an integrated assay has Seurat's markers, with a warning", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  object <- suppressMessages(marker_objects$pbmc_small())
  values <- as.matrix(layer_parts(object, "RNA", "data")[[1]]$mat) - 0.1
  object[["integrated"]] <- SeuratObject::CreateAssayObject(data = values)
  SeuratObject::DefaultAssay(object) <- "integrated"
  expect_same_table(ours(object), theirs(object))
  expect_warning(
    FindClusterMarkers(object, rules = "5.0.1", verbose = FALSE),
    "FindClusterMarkers(x, assay = \"RNA\")",
    fixed = TRUE, class = "cellferry_normalisation_warning"
  )
})

test_that("only the cells of a sketch are compared, drawn and counted", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  skip_without_seurat5()
  object <- suppressMessages(marker_objects$pbmc_small())
  chosen <- colnames(object)[seq_len(ncol(object)) %% 4 > 0]
  layer <- function(name) layer_parts(object, "RNA", name)[[1]]$mat[, chosen]
  object[["sketch"]] <- SeuratObject::CreateAssay5Object(
    counts = layer("counts"), data = layer("data")
  )
  SeuratObject::DefaultAssay(object) <- "sketch"
  object$sample <- rep(c("x", "y"), length.out = ncol(object))
  object$parent <- "p"
  expect_same_table(ours(object), theirs(object))
  expect_same_table(
    ours(object, max.cells.per.ident = 8), theirs(object, max.cells.per.ident = 8)
  )
  alone <- subset(object, cells = chosen)
  for (given in list(list(sample.by = "sample"), list(within = "parent"))) {
    expect_identical(
      do.call(ours, c(list(object), given)), do.call(ours, c(list(alone), given))
    )
  }
})

test_that("small groups without equal values have the normal approximation, as with limma", {
  skip_without_backend()
  inside <- c(2.1, 2.4, 3.3, 3.9, 4.4)
  outside <- c(0.2, 0.5, 0.7, 1.1, 1.6, 2.2)
  values <- rbind(GeneA = c(inside, outside), GeneB = rep(c(0, 1.5), length.out = 11))
  colnames(values) <- paste0("c", 1:11)
  object <- SeuratObject::CreateSeuratObject(methods::as(values, "CsparseMatrix"))
  object <- Seurat::NormalizeData(object, verbose = FALSE)
  object@assays$RNA <- SeuratObject::CreateAssayObject(data = methods::as(values, "CsparseMatrix"))
  object$half <- rep(c("in", "out"), c(5, 6))
  found <- ours(object, "half", rules = "5.0.1", return.thresh = 2)
  found <- found$p_val[found$gene == "GeneA" & found$cluster == "in"]
  expect_equal(found, stats::wilcox.test(inside, outside, exact = FALSE)$p.value, tolerance = 1e-9)
  # What Seurat has without limma and presto.
  expect_equal(stats::wilcox.test(inside, outside)$p.value, 4 / 462, tolerance = 1e-9)
  expect_gt(found, 0.01)
})
