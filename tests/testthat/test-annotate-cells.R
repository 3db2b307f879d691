test_that("every cell gets a label, and the summary comes back", {
  skip_without_backend()
  x <- annotated_cells()
  expect_named(
    methods::slot(x, "meta.data")[setdiff(
      names(methods::slot(x, "meta.data")), names(methods::slot(known_cells(), "meta.data"))
    )],
    paste0("cell_type_cell", c(
      "", "_detail", "_confidence", "_ontology_id", "_status", "_raw", "_majority",
      "_majority_share", "_disagrees"
    ))
  )
  expect_type(x$cell_type_cell_disagrees, "logical")
  expect_s3_class(x$cell_type_cell, "factor")
  truth <- x$truth
  expect_gt(mean(mapply(grepl, truth, as.character(x$cell_type_cell))), 0.9)
  table <- Annotations(x)
  expect_equal(sum(table$n_cells), ncol(x))
  expect_match(utils::tail(format(table), 1), "^# 30 cells: .*30 ok; [0-9]+ labels?$")
  part <- Annotations(x[, 1:10])
  expect_equal(sum(part$n_cells), 10L)
  expect_match(utils::tail(format(part), 1), "^# 10 cells: ")
})

test_that("the call of each cell by itself stays beside a label in context", {
  skip_without_backend()
  x <- annotated_cells()
  alone <- AnnotateCells(x, context = FALSE, verbose = FALSE)
  expect_identical(as.character(alone$cell_type_cell), as.character(x$cell_type_cell_raw))
  expect_false("cell_type_cell_raw" %in% names(methods::slot(alone, "meta.data")))
})

test_that("what most cells of a small group are stands beside the label", {
  skip_without_backend()
  x <- known_cells(60L)
  places <- cbind(ifelse(x$truth == "B cell", 0, 100) + seq_len(60), seq_len(60) %% 7)
  dimnames(places) <- list(colnames(x), c("UMAP_1", "UMAP_2"))
  x[["umap"]] <- SeuratObject::CreateDimReducObject(places, key = "UMAP_", assay = "RNA")
  on.map <- AnnotateCells(x, verbose = FALSE)
  expect_s3_class(on.map$cell_type_cell_voted, "factor")
  expect_identical(as.character(on.map$cell_type_cell_voted), unname(x$truth))
  x <- Seurat::FindNeighbors(x, reduction = "umap", dims = 1:2, verbose = FALSE)
  by.graph <- AnnotateCells(x, verbose = FALSE)
  expect_identical(as.character(by.graph$cell_type_cell_voted), unname(x$truth))
  # The order of the cells changes nothing, and what is not asked for is taken away.
  other <- AnnotateCells(x[, rev(colnames(x))], verbose = FALSE)
  expect_identical(other$cell_type_cell_voted[colnames(x)], by.graph$cell_type_cell_voted)
  without <- AnnotateCells(by.graph, majority_voting = FALSE, verbose = FALSE)
  expect_false("cell_type_cell_voted" %in% names(methods::slot(without, "meta.data")))
})

test_that("the join is by the name of the cell", {
  skip_without_backend()
  x <- known_cells()
  turned <- x[, rev(colnames(x))]
  a <- AnnotateCells(x, verbose = FALSE)
  b <- AnnotateCells(turned, verbose = FALSE)
  expect_identical(
    as.character(a$cell_type_cell[colnames(x)]), as.character(b$cell_type_cell[colnames(x)])
  )
})

test_that("an object without clusters gets no majority", {
  skip_without_backend()
  x <- known_cells()
  SeuratObject::Idents(x) <- "all"
  x <- AnnotateCells(x, verbose = FALSE)
  expect_false("cell_type_cell_majority" %in% names(methods::slot(x, "meta.data")))
  expect_error(
    AnnotateCells(x, group.by = "leyden", verbose = FALSE),
    class = "cellferry_group_missing_error"
  )
})

test_that("wrong objects, engines and options are refused before anything is done", {
  expect_error(AnnotateCells(data.frame()), class = "cellferry_unsupported_object_error")
  skip_without_backend()
  x <- known_cells()
  expect_error(AnnotateCells(x, smoth = TRUE), class = "cellferry_unknown_option_error")
  expect_error(AnnotateCells(x, engine = "nonsense"), class = "cellferry_unknown_engine_error")
  expect_error(
    AnnotateCells(x, engine = CellAtlasEngine(api_url = "https://atlas.invalid/x")),
    class = "cellferry_upload_not_allowed_error"
  )
  expect_s4_class(AnnotateCells(x, engine = LocalEngine(), verbose = FALSE), "Seurat")
  expect_error(
    AnnotateCells(x, engine = LocalEngine(n_genes = 3)), class = "cellferry_unknown_option_error"
  )
})

test_that("what would leave the machine is said with its bytes", {
  skip_without_backend()
  engine <- CellAtlasEngine(api_url = "https://atlas.invalid/x")
  expect_messages(AnnotateCells(known_cells(), engine = engine), "cells-upload")
})

test_that("a finished run of cells gives its labels again", {
  skip_without_backend()
  x <- annotated_cells()
  again <- ResumeAnnotation(known_cells(), verbose = FALSE)
  expect_identical(again$cell_type_cell, x$cell_type_cell)
  expect_identical(again$cell_type_cell_disagrees, x$cell_type_cell_disagrees)
})

test_that("an object that was not normalised gets the labels of its counts", {
  skip_without_backend()
  counts <- SeuratObject::GetAssayData(known_cells()[["RNA"]], "counts")
  raw <- suppressWarnings(AnnotateCells(
    SeuratObject::CreateSeuratObject(counts),
    verbose = FALSE
  ))
  expect_identical(
    as.character(raw$cell_type_cell), as.character(annotated_cells()$cell_type_cell)
  )
})

test_that("a dry run says what would be sent, without a key, consent, a call or a run", {
  skip_without_backend()
  local_home()
  withr::local_envvar(CELLATLAS_API_KEY = NA)
  x <- known_cells()
  plan <- AnnotateCells(x, verbose = FALSE, dry.run = TRUE)
  expect_s3_class(plan, "cellferry_plan")
  expect_identical(c(plan$cells, plan$bytes_sent), c(30L, 0L))
  expect_output(print(plan), "local: 30 cells, 0 calls, 0 bytes sent, cost $0.00", fixed = TRUE)
  engine <- CellAtlasEngine(
    api_url = "https://atlas.invalid/v1/singlecell/annotate", min_counts = 0L
  )
  sent <- suppressWarnings(AnnotateCells(x, engine = engine, verbose = FALSE, dry.run = TRUE))
  expect_gt(sent$bytes_sent, 0)
  expect_identical(sent$cells, 30L)
  expect_identical(nrow(ListRuns()), 0L)
  expect_error(AnnotateCells(x, dry.run = "yes"), class = "cellferry_invalid_option_error")
})

test_that("a matrix that only R can read is asked for by a dry run too", {
  skip_without_backend()
  testthat::skip_if_not_installed("DelayedArray")
  local_home()
  engine <- CellAtlasEngine(api_url = "http://127.0.0.1:9/x", qc = "off")
  readings <- 0L
  x <- watched_object(many_cells(3000L, density = 0.02), function(n) readings <<- n)
  plan <- suppressWarnings(AnnotateCells(x, engine = engine, verbose = FALSE, dry.run = TRUE))
  expect_identical(plan$cells, 3000L)
  expect_gt(readings, 0)
  expect_identical(nrow(ListRuns()), 0L)
})
