test_that("markers that can't be computed are errors with the recipe", {
  object <- small_object()
  compute <- function(object, group.by = "ident") {
    marker_test(object, extract_groups(object, group.by), "RNA")
  }
  raw <- object
  raw[["RNA"]]@data <- raw[["RNA"]]@counts
  expect_messages(compute(raw), "markers-required-raw")
  expect_messages(compute(object, "orig.ident"), "markers-required-single")
  corrected <- object
  corrected[["integrated"]] <- SeuratObject::CreateAssayObject(
    data = as.matrix(object[["RNA"]]@data) - 0.1
  )
  expect_messages(
    marker_test(corrected, extract_groups(corrected), "integrated"), "markers-required-scaled"
  )
  scaled <- object
  scaled[["RNA"]]@scale.data <- as.matrix(object[["RNA"]]@data)[1:5, ]
  scaled@assays$RNA@data <- methods::new("dgCMatrix")
  expect_messages(compute(scaled), "markers-required-missing")
  scaled@assays$RNA@counts <- methods::new("dgCMatrix")
  expect_messages(compute(scaled), "markers-required-only-scaled")
  damaged <- object
  damaged[["RNA"]]@data@x[1] <- NaN
  expect_messages(compute(damaged), "markers-required-damaged")
})

test_that("the session's seed is kept", {
  skip_without_backend()
  local_home()
  set.seed(7)
  before <- .Random.seed
  AnnotateClusters(small_object(), verbose = FALSE)
  expect_identical(.Random.seed, before)
})

test_that("clusters without markers are said", {
  skip_without_backend()
  local_home()
  values <- matrix(
    rep(c(2, 3), 20 * 50), 20, 100,
    dimnames = list(paste0("GENE", 1:20), paste0("c", 1:100))
  )
  object <- SeuratObject::CreateSeuratObject(methods::as(values, "CsparseMatrix"))
  object <- Seurat::NormalizeData(object, verbose = FALSE)
  object$half <- rep(c("a", "b"), each = 50)
  expect_messages(AnnotateClusters(object, group.by = "half", verbose = FALSE), "markers-none")
  object <- small_object()
  object$few <- as.character(SeuratObject::Idents(object))
  object$few[1:2] <- "few"
  expect_warning(
    AnnotateClusters(object, group.by = "few", verbose = FALSE),
    "\"few\" cannot be tested: There are 2 cells, fewer than 3.",
    class = "cellferry_clusters_without_markers_warning"
  )
})

test_that("models of different depth are recognised before markers are computed", {
  testthat::skip_if_not_installed("Seurat")
  testthat::skip_if_not_installed("sctransform")
  object <- small_object()
  object$sample <- rep(c("a", "b"), length.out = ncol(object))
  expect_false(has_unprepared_models(object, "RNA"))
  parts <- lapply(c("a", "b"), function(name) {
    part <- object[, object$sample == name]
    suppressWarnings(Seurat::SCTransform(part, verbose = FALSE))
  })
  merged <- suppressWarnings(merge(parts[[1]], parts[[2]]))
  expect_false(has_unprepared_models(parts[[1]], "SCT"))
  expect_true(has_unprepared_models(merged, "SCT"))
  merged$half <- merged$sample
  expect_messages(
    marker_test(merged, extract_groups(merged, "half"), "SCT"), "markers-required-models"
  )
  expect_error(
    FindClusterMarkers(merged, "half", assay = "SCT"), "several SCT models of different depth",
    class = "cellferry_markers_required_error"
  )
  prepared <- suppressWarnings(Seurat::PrepSCTFindMarkers(merged, verbose = FALSE))
  expect_false(has_unprepared_models(prepared, "SCT"))
})
