# What any annotation must satisfy: each cell has the label of its own cluster.
expect_own_labels <- function(object, column, key = "cell_type") {
  table <- Annotations(object, key)
  clusters <- cluster_texts(extract_groups_column(object, column))
  row <- match(clusters, table$cluster)
  for (pair in list(
    c(key, "label"), c(paste0(key, "_confidence"), "confidence"),
    c(paste0(key, "_status"), "status"), c(paste0(key, "_detail"), "detail"),
    c(paste0(key, "_ontology_id"), "ontology_id")
  )) {
    values <- object@meta.data[[pair[1]]]
    if (is.factor(values)) values <- as.character(values)
    testthat::expect_identical(values, table[[pair[2]]][row])
  }
  testthat::expect_identical(
    table$n_cells, as.vector(table(factor(clusters, levels = table$cluster)))
  )
}

extract_groups_column <- function(object, column) {
  if (column == "ident") SeuratObject::Idents(object) else object@meta.data[[column]]
}

test_that("a real object gets labels, and nothing else is changed", {
  skip_without_backend()
  local_home()
  object <- small_object()
  labelled <- suppressMessages(AnnotateClusters(object, small_markers()))
  expect_own_labels(labelled, "ident")
  table <- Annotations(labelled)
  expect_gt(length(unique(table$label[table$status == "ok"])), 1)
  expect_identical(SeuratObject::Idents(labelled), SeuratObject::Idents(object))
  expect_identical(labelled@commands, object@commands)
  added <- setdiff(names(labelled@meta.data), names(object@meta.data))
  expect_identical(added, paste0(
    "cell_type", c("", "_detail", "_confidence", "_ontology_id", "_status")
  ))
  expect_s3_class(labelled$cell_type, "factor")
  labelled@misc <- object@misc
  labelled@meta.data[added] <- NULL
  expect_identical(labelled, object)
})

test_that("every kind of cluster name comes home", {
  skip_without_backend()
  local_home()
  cases <- list(
    c("0", "10", "7"), c("\u00e9t\u00e9", "\u4e2d\u6587", "\U0001f9ec"),
    c("B cell", "T cell", "T cell 2"), c("7_0", "7_1", "10_0"), c(10, 2, 1), c(3L, 1L, 2L),
    c(0.2, 0.8, 1.5), c("a/b", "\"quoted\"", "NA"), c("1", "1.0", "01"), c("CD4", "CD4 T", "T"),
    c(" leading", "trailing ", "\u00e9\t\u00e9")
  )
  for (names in cases) {
    object <- renamed_object(names)
    labelled <- suppressMessages(
      AnnotateClusters(object, renamed_markers(names), group.by = "renamed")
    )
    expect_own_labels(labelled, "renamed")
    expect_setequal(Annotations(labelled)$cluster, cluster_texts(names))
  }
})

test_that("factors keep the order of their levels, unused levels are no clusters", {
  skip_without_backend()
  local_home()
  object <- renamed_object(c("b", "c", "a"))
  object$renamed <- factor(object$renamed, levels = c("c", "unused", "a", "b"))
  object <- object[, rev(seq_len(ncol(object)))]
  labelled <- suppressMessages(
    AnnotateClusters(object, renamed_markers(c("b", "c", "a")), group.by = "renamed")
  )
  expect_identical(Annotations(labelled)$cluster, c("c", "a", "b"))
  expect_own_labels(labelled, "renamed")
})

test_that("markers that nobody gave are those of our own test", {
  skip_without_backend()
  local_home()
  object <- small_object()
  computed <- NULL
  # The last digit differs between generations of Seurat.
  expect_messages(
    computed <- AnnotateClusters(object), "markers-found", c("(0[.][0-9])[0-9]" = "\\1x")
  )
  expect_silent(AnnotateClusters(object, verbose = FALSE))
  found <- FindClusterMarkers(
    object,
    only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1, rules = "5.0.1", verbose = FALSE
  )
  given <- AnnotateClusters(object, found, verbose = FALSE)
  expect_identical(computed@meta.data, given@meta.data)
  test <- attr(Annotations(computed), "provenance")$marker_test
  expect_identical(test$rules, "Seurat 5.0.1")
  expect_identical(test[c("only_pos", "expm1")], list(only_pos = TRUE, expm1 = TRUE))
  expect_identical(c(test$logfc_threshold, test$min_pct), c(0.25, 0.1))
  expect_null(attr(Annotations(given), "provenance")$marker_test)
  # Values whose log is of another normalisation are taken as they are.
  object@commands$NormalizeData.RNA@params$normalization.method <- "CLR"
  other <- AnnotateClusters(object, verbose = FALSE)
  expect_false(attr(Annotations(other), "provenance")$marker_test$expm1)
})

test_that("markers of an experiment and of split layers are found alike", {
  skip_without_backend()
  local_home()
  object <- small_object()
  whole <- AnnotateClusters(object, verbose = FALSE)
  if (requireNamespace("SingleCellExperiment", quietly = TRUE)) {
    labelled <- AnnotateClusters(small_sce(), verbose = FALSE)
    expect_identical(labelled$cell_type, unname(whole$cell_type))
    bare <- small_sce()
    SummarizedExperiment::assay(bare, "logcounts") <- NULL
    expect_messages(AnnotateClusters(bare), "markers-required-sce")
  }
  skip_without_seurat5()
  object[["RNA"]] <- methods::as(object[["RNA"]], "Assay5")
  object[["RNA"]] <- split(object[["RNA"]], f = rep(c("x", "y"), length.out = ncol(object)))
  split <- AnnotateClusters(object, verbose = FALSE)
  expect_identical(split$cell_type, whole$cell_type)
  expect_identical(split$cell_type_confidence, whole$cell_type_confidence)
})

test_that("a marker table gives a table", {
  skip_without_backend()
  local_home()
  labelled <- suppressMessages(AnnotateClusters(small_object(), small_markers()))
  table <- suppressMessages(AnnotateClusters(small_markers()))
  expect_s3_class(table, "cellferry_annotations")
  expect_identical(table$cluster, c("0", "1", "2"))
  expect_identical(table$n_cells, rep(NA_integer_, 3))
  expect_gt(sum(table$label == Annotations(labelled)$label), 1)
  renamed <- small_markers()
  names(renamed)[names(renamed) == "cluster"] <- "mine"
  expect_identical(
    suppressMessages(AnnotateClusters(renamed, group.by = "mine"))$label, table$label
  )
})

test_that("a SingleCellExperiment gets columns and record", {
  skip_without_backend()
  testthat::skip_if_not_installed("SingleCellExperiment")
  local_home()
  labelled <- suppressMessages(AnnotateClusters(small_sce(), small_markers()))
  seurat <- suppressMessages(AnnotateClusters(small_object(), small_markers()))
  expect_identical(labelled$cell_type, unname(seurat$cell_type))
  expect_identical(Annotations(labelled)$label, Annotations(seurat)$label)
  expect_identical(
    names(SupportingMarkers(labelled)), names(SupportingMarkers(seurat))
  )
})

test_that("what the user sees is pinned", {
  skip_without_backend()
  local_home()
  pbmc <- small_object()
  # FindAllMarkers() of Seurat 4 and 5 differ in the fold changes, and so does the confidence.
  any_confidence <- c("0\\.\\d\\d" = "0.##")
  expect_messages(AnnotateClusters(pbmc, small_markers()), "annotated", any_confidence)
  expect_messages(AnnotateClusters(small_markers()), "annotated-table", any_confidence)
  expect_messages(AnnotateClusters(pbmc, small_markers(), verbose = FALSE), "annotated-quietly")
})

test_that("labels of an earlier annotation are replaced with a message, others are not", {
  skip_without_backend()
  local_home()
  object <- small_object()
  first <- suppressMessages(AnnotateClusters(object, small_markers()))
  expect_messages(
    second <- AnnotateClusters(first, small_markers(), verbose = TRUE), "annotated-again",
    c("0\\.\\d\\d" = "0.##")
  )
  expect_identical(second@meta.data, first@meta.data)
  object$cell_type <- "mine"
  expect_messages(AnnotateClusters(object, small_markers()), "column-exists")
  expect_refused(object, small_markers(), class = "column_exists")
  replaced <- suppressMessages(AnnotateClusters(object, small_markers(), overwrite = TRUE))
  expect_own_labels(replaced, "ident")
})

test_that("bad input is refused with its class and the object stays as it was", {
  skip_without_backend()
  local_home()
  object <- small_object()
  markers <- small_markers()
  expect_messages(AnnotateClusters(1), "not-an-object")
  expect_refused(list(1), class = "unsupported_object")
  expect_refused(object, markers, group.by = "no_such", class = "group_missing")
  expect_messages(AnnotateClusters(object, markers, group.by = "no_such"), "no-such-group")
  expect_refused(object, markers, group_by = "groups", class = "unknown_option")
  expect_messages(AnnotateClusters(object, markers, group_by = "groups"), "group_by")
  # Engines come with the registry; the message need not change with each.
  expect_messages(
    AnnotateClusters(object, markers, engine = "locl"), "unknown-engine",
    c("Available: .*\\." = "Available: ENGINES.")
  )
  expect_refused(object, markers, engine = Engine("local"), n_genes = 3, class = "unknown_option")
  expect_refused(object, markers, group.by = "groups", class = "markers_clusters")
  expect_messages(AnnotateClusters(object, markers, group.by = "groups"), "markers-clusters")
  expect_refused(object, markers[0, ], class = "markers_empty")
  expect_refused(object, markers[c("cluster", "gene", "p_val_adj")], class = "markers_statistic")
  expect_messages(
    AnnotateClusters(object, markers[c("cluster", "gene", "p_val_adj")]), "markers-statistic"
  )
  expect_refused(object, "/no/such/file.csv", class = "markers_unreadable")
  expect_refused(object, cbind(markers, gene = "x"), class = "markers_format")
  object$nothing <- NA
  expect_refused(object, markers, group.by = "nothing", class = "group_empty")
})

test_that("markers of another clustering with the same names are refused", {
  skip_without_backend()
  local_home()
  object <- small_object()
  other <- c("0" = "1", "1" = "2", "2" = "0")[as.character(SeuratObject::Idents(object))]
  object$other <- unname(other)
  expect_refused(object, small_markers(), group.by = "other", class = "markers_mismatch")
  expect_messages(
    AnnotateClusters(object, small_markers(), group.by = "other"), "markers-mismatch"
  )
})

test_that("Ensembl identifiers are refused", {
  skip_without_backend()
  local_home()
  markers <- small_markers()
  markers$gene <- sprintf("ENSG%011d", seq_len(nrow(markers)))
  expect_refused(small_object(), markers, class = "gene_identifiers")
  expect_messages(AnnotateClusters(small_object(), markers), "gene-identifiers")
})

test_that("what gets no label is reported", {
  skip_without_backend()
  local_home()
  object <- small_object()
  object$some <- as.character(SeuratObject::Idents(object))
  object$some[1:5] <- NA
  markers <- small_markers()
  labelled <- NULL
  expect_messages(
    labelled <- AnnotateClusters(
      object, markers[markers$cluster != "2", ],
      group.by = "some", verbose = FALSE
    ),
    "clusters-without"
  )
  expect_own_labels(labelled, "some")
  expect_identical(Annotations(labelled)$status[3], "skipped")
  markers$cluster <- factor(markers$cluster, levels = c("0", "1", "2", "9"))
  markers$cluster[1] <- "9"
  expect_messages(
    AnnotateClusters(object, markers, group.by = "some", verbose = FALSE), "clusters-unknown"
  )
})

test_that("nothing secret and no command is stored", {
  skip_without_backend()
  local_home()
  expect_error(
    AnnotateClusters(small_object(), small_markers(), api_key = "sk-1234"),
    class = "cellferry_unknown_option_error"
  )
  labelled <- suppressMessages(AnnotateClusters(small_object(), small_markers()))
  expect_identical(names(labelled@commands), names(small_object()@commands))
  found <- tryCatch(
    AnnotateClusters(small_object(), small_markers(), api_key = "sk-1234"),
    error = function(cnd) unlist(lapply(unclass(cnd), deparse))
  )
  expect_false(any(grepl("sk-1234", found, fixed = TRUE)))
})

test_that("an object saved and read again is annotated the same", {
  skip_without_backend()
  local_home()
  file <- withr::local_tempfile(fileext = ".rds")
  labelled <- suppressMessages(AnnotateClusters(small_object(), small_markers()))
  saveRDS(labelled, file)
  expect_identical(Annotations(readRDS(file)), Annotations(labelled))
  expect_identical(Markers(readRDS(file))$gene, Markers(labelled)$gene)
  expect_true(all(Markers(labelled)$gene %in% small_markers()$gene))
})

test_that("every form of a Seurat object gets the same labels", {
  skip_without_backend()
  skip_without_seurat5()
  local_home()
  object <- small_object()
  labels <- function(object) {
    unname(suppressMessages(AnnotateClusters(object, small_markers(), assay = "RNA"))$cell_type)
  }
  truth <- labels(object)
  joined <- object
  joined@assays$RNA <- methods::as(object[["RNA"]], "Assay5")
  expect_identical(labels(joined), truth)
  halves <- joined
  halves[["RNA"]] <- split(joined[["RNA"]], f = joined$groups)
  expect_gt(length(layer_parts(halves)), 1)
  expect_identical(labels(halves), truth)
  order <- rev(colnames(object))
  expect_identical(labels(halves[, order]), rev(truth)[match(colnames(halves[, order]), order)])
  other <- object[["RNA"]]
  SeuratObject::Key(other) <- "other_"
  halves[["other"]] <- other
  SeuratObject::DefaultAssay(halves) <- "other"
  expect_identical(labels(halves), truth)
})

test_that("cells that the assay does not have are reported and labelled", {
  skip_without_backend()
  local_home()
  object <- small_object()
  object@assays$RNA <- subset(object@assays$RNA, cells = colnames(object)[-(1:3)])
  expect_messages(
    labelled <- AnnotateClusters(object, small_markers()), "cells-absent",
    c("0\\.\\d\\d" = "0.##")
  )
  expect_false(anyNA(labelled@meta.data$cell_type))
})

test_that("a dry run returns the plan without a key, a call or a run", {
  skip_without_backend()
  local_home()
  withr::local_envvar(OPENAI_API_KEY = NA)
  lists <- list("0" = c("CD79A", "MS4A1"), "1" = c("CD3D", "CD3E"))
  engine <- LLMEngine("openai", "gpt-5")
  plan <- AnnotateClusters(ReadMarkers(lists), engine = engine, verbose = FALSE, dry.run = TRUE)
  expect_s3_class(plan, "cellferry_plan")
  expect_identical(c(plan$clusters, plan$calls), c(2L, 4L))
  expect_output(print(plan), "llm: 2 clusters, 4 calls, .* tokens in and .* out, cost ")
  object <- known_cells()
  planned <- AnnotateClusters(object, lists, engine, verbose = FALSE, dry.run = TRUE)
  expect_identical(planned$clusters, 2L)
  # An engine that would send data off is planned before anybody consents.
  sent <- AnnotateClusters(
    object, lists, CyteTypeEngine(api_url = "https://example.org"),
    verbose = FALSE, dry.run = TRUE
  )
  expect_gt(sent$bytes_sent, 0)
  expect_identical(nrow(ListRuns()), 0L)
  expect_error(
    AnnotateClusters(object, lists, dry.run = NA),
    class = "cellferry_invalid_option_error"
  )
})

test_that("what the metadata says of a cluster is a reason to look, and changes no label", {
  skip_without_backend()
  local_home()
  x <- SeuratObject::pbmc_small
  plain <- suppressMessages(AnnotateClusters(x, tissue = "blood", verbose = FALSE))
  x$percent.mt <- ifelse(SeuratObject::Idents(x) == "1", 60, 3)
  seen <- suppressMessages(AnnotateClusters(x, tissue = "blood", verbose = FALSE))
  table <- Annotations(seen)
  of <- function(cluster) table$attention[[which(table$cluster == cluster)]]
  expect_true("high_mitochondrial" %in% of("1"))
  expect_false("high_mitochondrial" %in% of("0"))
  expect_match(table$justification[table$cluster == "1"], "median of percent.mt is 60.0, and 3.0")
  expect_identical(as.character(seen$cell_type), as.character(plain$cell_type))
})
