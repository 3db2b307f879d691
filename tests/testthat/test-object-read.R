test_that("the embedding is UMAP, else t-SNE, else the first", {
  object <- small_object()
  expect_identical(extract_coordinates(object)$name, "tsne")
  object[["umap"]] <- SeuratObject::CreateDimReducObject(
    SeuratObject::Embeddings(object, "tsne") + 1,
    key = "UMAP_", assay = "RNA"
  )
  found <- extract_coordinates(object)
  expect_identical(found$name, "umap")
  expect_equal(found$values, SeuratObject::Embeddings(object, "umap"), ignore_attr = TRUE)
  object@reductions <- object@reductions["pca"]
  expect_identical(dim(extract_coordinates(object)$values), c(80L, 2L))
  object@reductions <- list()
  expect_null(extract_coordinates(object))
})

test_that("the embedding is chosen as in Python", {
  path <- testthat::test_path("..", "fixtures", "embedding_choice.json")
  for (case in jsonlite::fromJSON(path, simplifyVector = FALSE)) {
    reductions <- lapply(case$embeddings, function(embedding) {
      values <- matrix(0, case$n_cells, embedding$columns)
      at <- unlist(embedding$missing)
      if (!is.null(at)) values[at[1] + 1, at[2] + 1] <- NaN
      if (embedding$text) mode(values) <- "character"
      list(name = embedding$name, values = values)
    })
    names(reductions) <- vapply(reductions, function(reduction) reduction$name, "")
    expect_identical(best_embedding(reductions)$name, case$chosen, label = case$name)
  }
})

test_that("an assay that is not there is refused with those that are", {
  expect_error(
    extract_assay(small_object(), "ADT"), "no assay \"ADT\"",
    class = "cellferry_invalid_option_error"
  )
  expect_identical(extract_assay(small_object()), "RNA")
})

test_that("embeddings and graphs come in the order of the cells", {
  object <- small_object()
  cells <- extract_cells(object)
  truth <- extract_reductions(object)
  graph <- extract_graphs(object)$RNA_snn
  expect_identical(graph$assay, "RNA")
  order <- rev(seq_along(cells))
  embedding <- object@reductions$tsne@cell.embeddings
  object@reductions$tsne@cell.embeddings <- embedding[order, ]
  object@graphs$RNA_snn <- SeuratObject::as.Graph(graph$mat[order, order])
  expect_identical(extract_reductions(object)$tsne, truth$tsne)
  expect_identical(extract_graphs(object)$RNA_snn$mat, graph$mat)
  expect_identical(dim(truth$pca$loadings), c(20L, 19L))
  expect_identical(truth$pca$key, "PC_")
})

test_that("an embedding of some cells has no values for the others and is not drawn", {
  object <- small_object()
  embedding <- object@reductions$tsne@cell.embeddings
  object@reductions$tsne@cell.embeddings <- embedding[5:80, ]
  found <- extract_reductions(object)$tsne$values
  expect_true(all(is.na(found[1:4, ])))
  expect_identical(found[5:80, ], unname(embedding[5:80, ]))
  expect_identical(extract_coordinates(object)$name, "pca")
})

test_that("objects that can't be read rightly are refused with the recipe", {
  object <- small_object()
  expect_silent(check_object(object))
  expect_messages(check_object(1), "object-unsupported")
  expect_messages(check_object(matrix(1, 2, 2)), "object-matrix")
  doubled <- object
  rownames(doubled@meta.data) <- NULL
  attr(doubled@meta.data, "row.names") <- c("a", "a", extract_cells(object)[-(1:2)])
  expect_error(check_object(doubled), class = "cellferry_invalid_object_error")
  expect_messages(check_object(doubled), "cells-duplicated")
  # As it was before Seurat 3.1: no slot for what came later.
  old <- object
  attr(old, "reductions") <- NULL
  expect_error(check_object(old), class = "cellferry_object_outdated_error")
  expect_messages(check_object(old), "object-old")
  ancient <- structure(list(), class = structure("seurat", package = "Seurat"))
  expect_messages(check_object(ancient), "object-ancient")
})

test_that("an object of Seurat 5 in a session of Seurat 4 is refused with the recipe", {
  generation <- utils::packageVersion("SeuratObject")
  testthat::skip_if(generation >= "5.0.0", "SeuratObject 5 reads its own objects")
  object <- readRDS(testthat::test_path("objects", "seurat5.rds"))
  expect_error(check_object(object), class = "cellferry_object_outdated_error")
  any_version <- c("SeuratObject [0-9.]+" = "SeuratObject #")
  expect_messages(check_object(object), "object-newer", any_version)
})

# `x` as a session has it that lacks the package of its class.
of_missing_class <- function(x, class, package) {
  attr(class, "package") <- package
  attr(x, "class") <- class
  x
}

test_that("what is of a class of a package that is not there is named before any work", {
  object <- small_object()
  chromatin <- object
  chromatin@assays$ATAC <- of_missing_class(object[["RNA"]], "ChromatinAssay", "Signac0")
  expect_messages(check_object(chromatin), "class-assay")
  slice <- object
  attr(slice, "images") <- list(slice1 = of_missing_class(object[["pca"]], "Slice", "tissue0"))
  expect_error(check_object(slice), "image \"slice1\" is of the class Slice of the R package t")
  reduced <- object
  reduced@reductions$mine <- of_missing_class(object[["pca"]], "Mine", "mine0")
  expect_error(
    check_object(reduced), "reduction \"mine\"",
    class = "cellferry_dependency_missing_error"
  )
  on_disk <- object
  attr(on_disk@assays$RNA, "data") <- of_missing_class(
    object@assays$RNA@data, "RenameDims", "BPCells0"
  )
  expect_messages(check_object(on_disk), "class-layer")
  # What the object has the package of is nobody's concern.
  expect_no_error(check_object(object))
})

test_that("an object from before there were images is read and labelled", {
  skip_without_backend()
  local_home()
  old <- small_object()
  attr(old, "images") <- NULL
  labelled <- AnnotateClusters(old, small_markers(), verbose = FALSE)
  expect_identical(labelled$cell_type, AnnotateClusters(
    small_object(), small_markers(),
    verbose = FALSE
  )$cell_type)
  expect_false("image" %in% StudyReport(old)$kind)
})
