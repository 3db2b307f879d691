test_that("metadata of every type goes to pandas and comes back identical, bit by bit", {
  skip_without_backend()
  object <- small_object()
  for (seed in 1:3) {
    frame <- every_type(seed, ncol(object))
    rownames(frame) <- colnames(object)
    object@meta.data <- cbind(small_object()@meta.data, frame)
    back <- arrived(object, parts = "obs")
    expect_same_bits(as.list(back$obs), as.list(object@meta.data), info = seed)
    expect_identical(rownames(back$obs), colnames(object))
    actions <- vapply(back$obs_items, function(item) item$action, "")
    expect_identical(unique(actions), "taken")
  }
})

test_that("the whole object arrives: expression, frames, embeddings and graph", {
  skip_without_backend()
  object <- small_object()
  value <- arrived(object)
  data <- as.matrix(object[["RNA"]]@data)
  expect_identical(unlist(value$normalized$n), c(80L, 230L))
  expect_equal(value$normalized$sums$cells, unname(colSums(data)))
  expect_equal(value$normalized$sums$genes, unname(rowSums(data)))
  expect_identical(value$normalized$sums$nnz, as.numeric(sum(data != 0)))
  counts <- as.matrix(object[["RNA"]]@counts)
  expect_identical(value$counts$sums$cells, unname(colSums(counts)))
  expect_identical(value$counts$sums$genes, unname(rowSums(counts)))
  expect_same_bits(as.list(value$var), as.list(object[["RNA"]]@meta.features))
  pca <- SeuratObject::Embeddings(object, "pca")
  expect_identical(value$embeddings$pca, as.vector(pca))
  expect_identical(value$graph$name, "RNA_snn")
  expect_equal(value$graph$sums$rows, unname(Matrix::rowSums(object@graphs$RNA_snn)))
  expect_equal(value$graph$sums$columns, unname(Matrix::colSums(object@graphs$RNA_snn)))
})

test_that("a directed graph keeps its direction", {
  skip_without_backend()
  object <- small_object()
  graph <- object@graphs$RNA_snn
  graph@x[seq_len(graph@p[2])] <- 9
  object@graphs <- list(RNA_nn = graph)
  sums <- arrived(object, parts = "graph")$graph$sums
  expect_equal(sums$rows, unname(Matrix::rowSums(graph)))
  expect_gt(max(abs(sums$rows - sums$columns)), 1)
})

test_that("ragged split layers arrive as the dense truth", {
  skip_without_backend()
  skip_without_seurat5()
  ragged <- ragged_parts()
  object <- split_object(ragged)
  object$group <- rep(c("a", "b"), 20)
  value <- arrived(object, group.by = "group")
  for (part in c("normalized", "counts")) {
    expect_identical(value[[part]]$sums$cells, rowSums(ragged$truth))
    expect_identical(value[[part]]$sums$genes, colSums(ragged$truth))
  }
})

test_that("matrices in a file of memory arrive as blocks do", {
  skip_without_backend()
  object <- small_object()
  parts <- c("normalized", "counts")
  parcel <- new_parcel()
  study <- json_study(parcel, object, extract_groups(object), "RNA", NULL, list(), parts)
  message <- list(study = study, parts = json_texts(parts))
  opened <- bridge_call("study_open", message, parcel, verbose = FALSE)$value
  withr::defer(discard(opened$handle))
  testthat::skip_if_not(length(opened$files) == 2L, "Python has no files in memory here")
  # As from another container.
  opened$files <- list(normalized = "/proc/0/fd/1", counts = "/nowhere")
  send_expression(opened, object, "RNA")
  answer <- bridge_call("study_parts", list(handle = json_text(opened$handle)))
  whole <- arrived(object, parts = parts)
  for (part in parts) {
    sums <- answer$value[[part]]$sums
    expect_identical(unpack_buffer(sums$cells, answer$buffers), whole[[part]]$sums$cells)
    expect_identical(unpack_buffer(sums$genes, answer$buffers), whole[[part]]$sums$genes)
  }
})

test_that("a matrix goes through a file of memory where it is what is wanted as it is", {
  parts <- layer_parts(small_object(), "RNA", "data")
  cells <- parts[[1]]$cells
  genes <- parts[[1]]$genes
  expect_true(are_as_wanted(parts, cells, genes))
  expect_false(are_as_wanted(parts, rev(cells), genes))
  expect_false(are_as_wanted(parts, cells, genes[-1]))
  halves <- lapply(list(1:30, 31:80), function(at) {
    list(mat = parts[[1]]$mat[, at], cells = cells[at], genes = genes)
  })
  expect_true(are_as_wanted(halves, cells, genes))
  expect_false(are_as_wanted(rev(halves), cells, genes))
  halves[[2]]$mat <- as.matrix(halves[[2]]$mat)
  expect_false(are_as_wanted(halves, cells, genes))
})

test_that("layers that lie beside one another go as they are, empty ones too", {
  skip_without_backend()
  skip_without_seurat5()
  mat <- small_object()[["RNA"]]@data
  ends <- c(0, 30, 31, 80)
  layers <- lapply(1:3, function(k) mat[, (ends[k] + 1):ends[k + 1], drop = FALSE])
  layers[[2]]@x[] <- 0
  layers[[2]] <- Matrix::drop0(layers[[2]])
  names(layers) <- paste0("data.", c("b", "a", "c"))
  assay <- getExportedValue("SeuratObject", "CreateAssay5Object")(data = layers)
  object <- SeuratObject::CreateSeuratObject(assay)
  object$group <- rep(c("a", "b"), 40)
  value <- arrived(object, group.by = "group", parts = "normalized")
  truth <- as.matrix(mat)
  truth[, 31] <- 0
  expect_identical(value$normalized$sums$nnz, as.numeric(sum(truth != 0)))
  expect_equal(value$normalized$sums$cells, unname(colSums(truth)))
  expect_equal(value$normalized$sums$genes, unname(rowSums(truth)))
})

test_that("counts at other places than the normalised values bring their own", {
  skip_without_backend()
  object <- small_object()
  expect_true(have_same_places(list(object[["RNA"]]@counts), list(object[["RNA"]]@data)))
  expect_false(have_same_places(list(object[["RNA"]]@counts), NULL))
  counts <- object[["RNA"]]@counts
  counts[1, which(counts[1, ] == 0)[1]] <- 3
  expect_false(have_same_places(list(counts), list(object[["RNA"]]@data)))
  object[["RNA"]]@counts <- counts
  value <- arrived(object, parts = c("normalized", "counts"))
  expect_identical(value$counts$sums$cells, unname(Matrix::colSums(counts)))
  expect_identical(value$counts$sums$genes, unname(Matrix::rowSums(counts)))
  expect_identical(value$normalized$sums$nnz, as.numeric(length(object[["RNA"]]@data@x)))
})

test_that("vectors that are too long for one write go in pieces", {
  file <- withr::local_tempfile()
  for (n in c(0, 1, 9, 10, 11)) {
    connection <- file(file, "wb")
    write_vector(as.double(seq_len(n)), connection, most = 5)
    close(connection)
    expect_identical(readBin(file, "double", 20), as.double(seq_len(n)))
  }
})

test_that("only the wanted parts are sent", {
  skip_without_backend()
  value <- arrived(small_object(), parts = "counts")
  expect_null(value$obs)
  expect_null(value$graph)
  expect_null(value$normalized$n)
  expect_identical(unlist(value$counts$n), c(80L, 230L))
})

test_that("expression that an engine can't do without is asked for with the recipe", {
  object <- small_object()
  expect_silent(require_parts(object, "RNA", c("normalized", "counts")))
  expect_refusal <- function(object, needed, code, name, assay = "RNA") {
    expect_error(
      require_parts(object, assay, needed), class = paste0("cellferry_", code, "_error")
    )
    expect_messages(require_parts(object, assay, needed), name)
  }
  raw <- object
  raw@assays$RNA@data <- raw@assays$RNA@counts
  expect_refusal(raw, "normalized", "not_normalized", "layer-raw")
  scaled <- object
  scaled@assays$RNA@data <- scaled@assays$RNA@scale.data
  expect_refusal(scaled, "normalized", "not_normalized", "layer-scaled")
  bare <- object
  bare@assays$RNA@data <- methods::new("dgCMatrix")
  expect_refusal(bare, "normalized", "layer_missing", "layer-no-data")
  bare@assays$RNA@counts <- methods::new("dgCMatrix")
  expect_refusal(bare, "counts", "layer_missing", "layer-no-counts")
  testthat::skip_if_not_installed("SingleCellExperiment")
  experiment <- small_sce()
  SummarizedExperiment::assayNames(experiment) <- c("spliced", "unspliced")
  expect_refusal(experiment, "normalized", "layer_missing", "layer-other", assay = NULL)
})

test_that("who sends a large object is told how far it is", {
  skip_without_backend()
  object <- small_object()
  parcel <- new_parcel()
  study <- json_study(parcel, object, extract_groups(object), "RNA", NULL, list(), "normalized")
  message <- list(study = study, parts = json_texts("normalized"))
  opened <- bridge_call("study_open", message, parcel, verbose = FALSE)$value
  withr::defer(discard(opened$handle))
  parts <- layer_parts(object, "RNA", "data")
  blocks <- layer_blocks(parts, extract_cells(object), unlist(opened$normalized), most = 100)
  told <- list()
  send_blocks(opened$handle, "normalized", blocks, function(done, total, part) {
    told <<- c(told, list(c(done, total)))
  })
  expect_identical(
    do.call(rbind, told)[, 1], seq(16L, blocks$n, by = 16L)
  )
  expect_identical(unique(do.call(rbind, told)[, 2]), blocks$n)
})
