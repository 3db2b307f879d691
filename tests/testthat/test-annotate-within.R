# An object with labels, of which Seurat's FindSubCluster() has split the cluster 0.
split_object <- function() {
  object <- suppressWarnings(suppressMessages(SeuratObject::UpdateSeuratObject(small_object())))
  object <- AnnotateClusters(object, small_markers(), tissue = "blood", verbose = FALSE)
  with_kept_seed(suppressWarnings(suppressMessages(utils::capture.output({
    object <- Seurat::FindNeighbors(object, dims = 1:10, verbose = FALSE)
    object <- Seurat::FindSubCluster(object, "0", graph.name = "RNA_snn", resolution = 1.2)
  }))))
  object
}

within_labels <- function(object, ...) {
  AnnotateClusters(
    object, ..., group.by = "sub.cluster", within = "cell_type", tissue = "blood", verbose = FALSE
  )
}

quietly <- function(code) {
  withCallingHandlers(code, cellferry_within_warning = function(cnd) {
    invokeRestart("muffleWarning")
  })
}

test_that("subclusters of FindSubCluster() are annotated, the others keep what they have", {
  skip_without_backend()
  local_home()
  object <- split_object()
  parts <- grep("^0_", unique(object$sub.cluster), value = TRUE)
  expect_gt(length(parts), 1)
  said <- NULL
  labelled <- withCallingHandlers(within_labels(object), cellferry_within_warning = function(cnd) {
    said <<- conditionMessage(cnd)
    invokeRestart("muffleWarning")
  })
  table <- Annotations(labelled)
  expect_setequal(table$cluster, unique(object$sub.cluster))
  outside <- !object$sub.cluster %in% parts
  columns <- grep("^cell_type", names(object[[]]), value = TRUE)
  as_text <- function(x) lapply(x[[]][outside, columns], as.character)
  expect_identical(as_text(labelled), as_text(object))
  before <- Annotations(object)
  same <- setdiff(names(before), c("cluster", "n_cells"))
  expect_equal(
    lapply(table[match(c("1", "2"), table$cluster), same], unname),
    lapply(before[match(c("1", "2"), before$cluster), same], unname)
  )
  expect_identical(names(labelled@misc$cellferry), "cell_type")
  against <- table$cluster[vapply(table$attention, function(x) "contradicts_parent" %in% x, NA)]
  for (cluster in against) expect_match(said, paste0("\"", cluster, "\" is "), fixed = TRUE)
  expect_identical(length(against) > 0, !is.null(said))
  record <- from_json(labelled@misc$cellferry$cell_type)
  expect_true("gene" %in% names(record$evidence[[parts[1]]]$markers_within))
  expect_true(parts[1] %in% unlist(record$markers$cluster))
  expect_identical(SeuratObject::Idents(labelled), SeuratObject::Idents(object))
})

test_that("a marker table may be given, and another key keeps the earlier labels", {
  skip_without_backend()
  local_home()
  object <- split_object()
  markers <- FindClusterMarkers(
    object, "sub.cluster", only.pos = TRUE, verbose = FALSE
  ) |> suppressWarnings()
  labelled <- quietly(suppressWarnings(within_labels(object, markers, key = "finer")))
  expect_identical(labelled$cell_type, object$cell_type)
  expect_setequal(names(labelled@misc$cellferry), c("cell_type", "finer"))
  outside <- !grepl("^0_", object$sub.cluster)
  expect_identical(
    as.character(labelled$finer[outside]), as.character(object$cell_type[outside])
  )
})

test_that("labels of somebody else, cells without a cluster and SingleCellExperiments", {
  skip_without_backend()
  local_home()
  object <- split_object()
  object$theirs <- c("T cells", "monocytes", "B cells")[as.integer(SeuratObject::Idents(object))]
  object$sub.cluster[c(1, 40)] <- NA
  labelled <- quietly(suppressWarnings(AnnotateClusters(
    object, group.by = "sub.cluster", within = "theirs", key = "mine", verbose = FALSE
  )))
  expect_true(all(is.na(labelled$mine[c(1, 40)])))
  kept <- which(object$sub.cluster %in% "2")
  expect_identical(unique(as.character(labelled$mine[kept])), unique(object$theirs[kept]))
  sce <- small_sce()
  SummarizedExperiment::colData(sce)$sub <- object$sub.cluster
  SummarizedExperiment::colData(sce)$theirs <- object$theirs
  of_sce <- quietly(suppressWarnings(AnnotateClusters(
    sce, group.by = "sub", within = "theirs", key = "mine", verbose = FALSE
  )))
  expect_identical(
    as.character(SummarizedExperiment::colData(of_sce)$mine)[kept],
    as.character(labelled$mine[kept])
  )
})

test_that("what is no subclustering is refused, and nothing is changed", {
  skip_without_backend()
  local_home()
  object <- split_object()
  expect_error(
    AnnotateClusters(object, group.by = "sub.cluster", within = "cell_typ", verbose = FALSE),
    "Did you mean \"cell_type\"", class = "cellferry_group_missing_error"
  )
  expect_error(
    AnnotateClusters(object, within = "cell_type", verbose = FALSE), "nothing to annotate",
    class = "cellferry_invalid_option_error"
  )
  expect_error(
    AnnotateClusters(small_markers(), within = "cell_type", verbose = FALSE), "no cells",
    class = "cellferry_unsupported_object_error"
  )
  expect_error(within_labels(object, withn = "x"), class = "cellferry_unknown_option_error")
})

test_that("the plan is of the parts, and a file is read alike", {
  skip_without_backend()
  local_home()
  object <- split_object()
  parts <- sum(grepl("^0_", unique(object$sub.cluster)))
  expect_equal(within_labels(object, dry.run = TRUE)$clusters, parts)
  file <- withr::local_tempfile(fileext = ".rds")
  saveRDS(object, file)
  of_file <- quietly(suppressWarnings(within_labels(file)))
  in_memory <- quietly(suppressWarnings(within_labels(object)))
  expect_identical(of_file$label, Annotations(in_memory)$label)
})

test_that("a run of another key takes the decisions about the whole when it is resumed", {
  skip_without_backend()
  local_home()
  object <- suppressMessages(SetLabels(split_object(), "1" = "Plasma cell", by = "AB"))
  straight <- quietly(suppressWarnings(within_labels(object, key = "finer")))
  interrupt_run()
  resumed <- quietly(suppressWarnings(ResumeAnnotation(object, verbose = FALSE)))
  expect_identical(resumed@meta.data, straight@meta.data)
  ones <- object$sub.cluster == "1"
  expect_identical(unique(as.character(resumed$finer[ones])), "Plasma cell")
  expect_identical(unique(as.character(resumed$finer_decision[ones])), "relabelled")
  expect_identical(Decisions(resumed, "finer")$by, "AB")
})
