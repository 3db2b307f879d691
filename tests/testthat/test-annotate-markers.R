test_that("markers that can't be computed are errors with the recipe", {
  object <- small_object()
  compute <- function(object, group.by = "ident") {
    compute_markers(object, extract_groups(object, group.by), "RNA")
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
    compute_markers(corrected, extract_groups(corrected), "integrated"), "markers-required-scaled"
  )
  scaled <- object
  scaled[["RNA"]]@scale.data <- as.matrix(object[["RNA"]]@data)[1:5, ]
  scaled@assays$RNA@data <- methods::new("dgCMatrix")
  expect_messages(compute(scaled), "markers-required-missing")
  scaled@assays$RNA@counts <- methods::new("dgCMatrix")
  expect_messages(compute(scaled), "markers-required-only-scaled")
  expect_messages(
    require_joined(list(1, 2), "RNA"), "markers-required-split"
  )
})

test_that("computed markers are Seurat's own, and the session's seed is kept", {
  testthat::skip_if_not_installed("Seurat")
  object <- small_object()
  set.seed(7)
  before <- .Random.seed
  found <- NULL
  expect_messages(
    found <- compute_markers(object, extract_groups(object), "RNA"), "markers-computed"
  )
  expect_identical(.Random.seed, before)
  truth <- suppressWarnings(suppressMessages(Seurat::FindAllMarkers(
    object,
    only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1, verbose = FALSE
  )))
  expect_identical(found, truth)
})

test_that("FindAllMarkers() that finds none says so, and quietly otherwise", {
  testthat::skip_if_not_installed("Seurat")
  values <- matrix(
    rep(c(2, 3), 20 * 50), 20, 100,
    dimnames = list(paste0("GENE", 1:20), paste0("c", 1:100))
  )
  object <- SeuratObject::CreateSeuratObject(methods::as(values, "CsparseMatrix"))
  object <- Seurat::NormalizeData(object, verbose = FALSE)
  object$half <- rep(c("a", "b"), each = 50)
  expect_messages(
    compute_markers(object, extract_groups(object, "half"), "RNA", verbose = FALSE),
    "markers-none"
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
    compute_markers(merged, extract_groups(merged, "half"), "SCT"), "markers-required-models"
  )
  prepared <- suppressWarnings(Seurat::PrepSCTFindMarkers(merged, verbose = FALSE))
  expect_false(has_unprepared_models(prepared, "SCT"))
})

test_that("the time is said in words", {
  expect_identical(about_time(3), "a few seconds")
  expect_identical(about_time(32), "about 30 seconds")
  expect_identical(about_time(170), "about 3 minutes")
})
