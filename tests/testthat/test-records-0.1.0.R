# What 0.1.0 left on disk is read, reported and gone on with by every later version.

test_that("a labelled Seurat 4 object is read, without Python", {
  object <- readRDS(record("seurat4.rds"))
  expect_recorded_object(object, SeuratObject::Idents(object), methods::slot(object, "meta.data"))
})

test_that("a labelled Seurat 5 object is read, without Python", {
  skip_without_seurat5()
  object <- readRDS(record("seurat5.rds"))
  expect_s4_class(object[["RNA"]], "Assay5")
  expect_recorded_object(object, SeuratObject::Idents(object), methods::slot(object, "meta.data"))
})

test_that("a labelled SingleCellExperiment is read, without Python", {
  skip_if_not_installed("SingleCellExperiment")
  object <- readRDS(record("sce.rds"))
  metadata <- as.data.frame(SummarizedExperiment::colData(object))
  expect_recorded_object(object, metadata$label, metadata)
})

test_that("reports are made of labelled objects", {
  skip_without_backend()
  expect_recorded_report(readRDS(record("seurat4.rds")))
  expect_recorded_report(readRDS(record("sce.rds")))
  skip_without_seurat5()
  expect_recorded_report(readRDS(record("seurat5.rds")))
})

test_that("columns that 0.1.0 wrote are replaced unasked", {
  skip_without_backend()
  local_home()
  object <- readRDS(record("seurat4.rds"))
  # The engine is a later one: one of its labels is finer.
  today <- sub("T or NK cell", "T cell", unname(recorded_labels))
  again <- suppressMessages(AnnotateClusters(object, small_markers(), tissue = "blood"))
  expect_identical(Annotations(again, "cell_type")$label, today)
  again <- suppressMessages(AnnotateCells(again, context = FALSE))
  today_cells <- c(
    "Monocyte" = 21L, "Platelet" = 9L, "T cell" = 9L, "B cell" = 8L, "NK cell" = 8L,
    "Mononuclear phagocyte" = 4L, "CD4 effector memory T cell" = 3L, "Dendritic cell" = 3L,
    "T or NK cell" = 3L, "CD4 central memory T cell" = 2L, "Effector CD8 T cell" = 2L,
    "Naive B cell" = 2L, "Naive T cell" = 2L, "Classical monocyte" = 1L,
    "Memory CD8 T cell" = 1L, "Non-classical monocyte" = 1L, "cDC2" = 1L
  )
  expect_identical(counted(Annotations(again, "cell_type_cell")), today_cells)
  sce <- readRDS(record("sce.rds"))
  again <- suppressMessages(
    AnnotateClusters(sce, small_markers(), group.by = "label", tissue = "blood")
  )
  expect_identical(Annotations(again, "cell_type")$label, today)
})

test_that("the runs of an R session are listed", {
  skip_without_backend()
  local_records()
  runs <- ListRuns()
  expect_identical(runs$engine, c("cellatlas", "llm", "local", "local"))
  expect_identical(runs$status, c("interrupted", "interrupted", "finished", "finished"))
  expect_identical(runs$key, c("cell_type_cell", "cell_type", "cell_type_cell", "cell_type"))
})

test_that("finished runs bring their labels back", {
  skip_without_backend()
  local_records()
  runs <- ListRuns()
  object <- ResumeAnnotation(SeuratObject::pbmc_small, runs$run[4], verbose = FALSE)
  expect_identical(Annotations(object)$label, unname(recorded_labels))
  object <- ResumeAnnotation(object, runs$run[3], verbose = FALSE)
  expect_recorded_object(object, SeuratObject::Idents(object), methods::slot(object, "meta.data"))
  expect_recorded_report(object)
  table <- ResumeAnnotation(run = runs$run[4], verbose = FALSE)
  expect_identical(table$label, unname(recorded_labels))
})

test_that("a model is asked only what it was not asked before", {
  skip_without_backend()
  local_records()
  server <- local_model_server(port = recorded_ports$llm)
  run <- ListRuns()$run[2]
  object <- ResumeAnnotation(SeuratObject::pbmc_small, run, verbose = FALSE)
  asked <- vapply(requests(server), function(request) request$label, "")
  expect_identical(asked, rep(c("Monocyte", "B cell"), each = 2))
  found <- Annotations(object)
  expect_identical(found$label, c("Unknown", "Monocyte", "B cell"))
  expect_identical(found$status, c("unknown", "ok", "ok"))
  expect_identical(ListRuns()$status[2], "finished")
})

test_that("cells that were answered are not sent again", {
  skip_without_backend()
  local_records()
  said <- local_test_server("atlas_server.py", c("--port", recorded_ports$cellatlas))
  run <- ListRuns()$run[1]
  object <- suppressWarnings(
    ResumeAnnotation(SeuratObject::pbmc_small, run, verbose = FALSE),
    classes = "cellferry_warning"
  )
  for (i in 1:50) {
    answered <- readLines(said)[-1]
    if (length(answered) == 2) break
    Sys.sleep(0.1)
  }
  expect_identical(answered, c("20", "20"))
  expect_identical(ListRuns()$status[1], "finished")
  expect_identical(sum(Annotations(object)$n_cells), 80L)
  expect_true(all(Annotations(object)$status == "ok"))
})
