test_that("tissues and cell types can be listed", {
  skip_without_backend()
  tissues <- KnownTissues()
  expect_true(all(c("blood", "lung") %in% tissues$tissue))
  expect_type(tissues$cell_types, "integer")
  all_types <- KnownCellTypes()
  lung <- KnownCellTypes("Lung tumor", species = "rat")
  expect_true("Alveolar macrophage" %in% lung$cell_type)
  expect_true(nrow(lung) < nrow(all_types))
  expect_error(KnownCellTypes("lng"), "Did you mean", class = "cellferry_invalid_option_error")
  expect_error(KnownCellTypes(c("a", "b")), class = "cellferry_invalid_option_error")
})

test_that("what is understood of tissue and species is said, and what is not is a warning", {
  skip_without_backend()
  local_home()
  markers <- data.frame(cluster = "0", gene = c("CD79A", "MS4A1", "CD79B", "CD19", "BANK1"))
  suppressMessages(
    expect_message(AnnotateClusters(markers, tissue = "Lung tumor"), "tissue: lung, from")
  )
  expect_silent(AnnotateClusters(markers, tissue = "Lung tumor", verbose = FALSE))
  expect_warning(
    AnnotateClusters(markers, tissue = "blod", verbose = FALSE),
    "Did you mean \"blood\"",
    class = "cellferry_tissue_warning"
  )
  expect_error(
    AnnotateClusters(markers, tissue = c("blood", "lung")),
    class = "cellferry_invalid_option_error"
  )
  expect_warning(
    AnnotateClusters(markers, knowledge = list("Mine" = "cd3e, CD3D"), verbose = FALSE),
    "nearest: \"CD3E\"",
    class = "cellferry_knowledge_warning"
  )
})

test_that("a column that is no clustering is refused before anything is computed", {
  skip_without_backend()
  local_home()
  object <- small_object()
  object$score <- seq_len(ncol(object)) / 7
  for (call in list(AnnotateClusters, AnnotateCells)) {
    expect_error(
      call(object, group.by = "score"), "is it a clustering",
      class = "cellferry_group_not_clusters_error"
    )
  }
  object$cell_type <- SeuratObject::Idents(object)
  expect_error(
    AnnotateClusters(object, small_markers(), group.by = "cell_type", overwrite = TRUE),
    "written over",
    class = "cellferry_invalid_key_error"
  )
})

test_that("where nothing was named no picture is suggested", {
  skip_without_backend()
  local_home()
  said <- character()
  counts <- layer_parts(small_object(), "RNA", "counts")[[1]]$mat
  rownames(counts) <- paste0("locus", seq_len(nrow(counts)))
  object <- suppressWarnings(SeuratObject::CreateSeuratObject(counts))
  object <- Seurat::NormalizeData(object, verbose = FALSE)
  SeuratObject::Idents(object) <- SeuratObject::Idents(small_object())
  unknown <- small_markers()
  unknown$gene <- paste0("locus", match(unknown$gene, rownames(small_object())))
  withCallingHandlers(
    expect_warning(
      AnnotateClusters(object, unknown),
      "0 of ",
      class = "cellferry_genes_unrecognised_warning"
    ),
    message = function(cnd) {
      said <<- c(said, conditionMessage(cnd))
      invokeRestart("muffleMessage")
    }
  )
  expect_false(any(grepl("Next:", said, fixed = TRUE)))
  expect_true(any(grepl("Nothing was named", said, fixed = TRUE)))
})
