# Several labels of one object: what they agree on, and how two of them differ.

quiet <- function(expr) suppressWarnings(suppressMessages(expr))

voted_small <- function() {
  x <- quiet(AnnotateClusters(small_object(), small_markers(), verbose = FALSE))
  clusters <- as.character(x$RNA_snn_res.1)
  # Without the names of clusters, which Seurat 5 takes for names of cells.
  named <- function(labels) unname(labels[clusters])
  x$SingleR.labels <- named(c("0" = "T_cells", "1" = "Monocyte", "2" = "B_cell"))
  x$predicted.celltype.l1 <- factor(named(c("0" = "CD4 T", "1" = "Mono", "2" = "B")))
  x$predicted.celltype.l2 <- named(c("0" = "CD4 TCM", "1" = "CD14 Mono", "2" = "NK"))
  x
}

test_that("annotators are found by their records and columns", {
  skip_without_backend()
  x <- voted_small()
  expect_message(found <- ConsensusLabels(x), "x <- ConsensusLabels(x, from = c(", fixed = TRUE)
  expect_equal(found$name, c("cell_type", "azimuth", "singler"))
  expect_equal(found$columns[2], "predicted.celltype.l1, predicted.celltype.l2")
  expect_equal(found$cells, rep(ncol(x), 3))
})

test_that("a consensus is an annotation like any other", {
  skip_without_backend()
  x <- voted_small()
  idents <- SeuratObject::Idents(x)
  voted <- ConsensusLabels(x, c("cell_type", "azimuth", "SingleR.labels"), verbose = FALSE)
  found <- Annotations(voted, "consensus")
  expect_equal(found$cluster, Annotations(x)$cluster)
  expect_equal(found$n_cells, Annotations(x)$n_cells)
  expect_true(all(found$status == "ok"))
  expect_equal(found$engine, rep("consensus", 3))
  expect_s3_class(voted$consensus, "factor")
  expect_identical(SeuratObject::Idents(voted), idents)
  # Of the levels the finest consistent one votes: NK is no B cell.
  b <- as.character(voted$consensus)[as.character(voted$RNA_snn_res.1) == "2"]
  expect_equal(unique(b), "B cell")
  decided <- quiet(SetLabels(voted, "2" = "Plasma cell", key = "consensus", verbose = FALSE))
  again <- quiet(ConsensusLabels(decided, c("cell_type", "singler"), verbose = FALSE))
  expect_equal(Annotations(again, "consensus")$label[3], "Plasma cell")
  file <- tempfile(fileext = ".html")
  AnnotationReport(voted, file, key = "consensus", verbose = FALSE)
  expect_gt(file.size(file), 1000)
})

test_that("clusters may be named, and without an annotation each cell is answered", {
  skip_without_backend()
  x <- voted_small()
  voted <- ConsensusLabels(x, c("azimuth", "singler"), group.by = "ident", verbose = FALSE)
  expect_equal(Annotations(voted, "consensus")$cluster, levels(SeuratObject::Idents(x)))
  cells <- ConsensusLabels(x, c("azimuth", "singler"), key = "per_cell", verbose = FALSE)
  expect_equal(attr(Annotations(cells, "per_cell"), "provenance")$level, "cells")
  expect_false(anyNA(cells$per_cell))
})

test_that("a SingleCellExperiment is the same", {
  skip_without_backend()
  skip_if_not_installed("SingleCellExperiment")
  x <- quiet(Seurat::as.SingleCellExperiment(voted_small()))
  voted <- ConsensusLabels(x, c("azimuth", "singler"), verbose = FALSE)
  expect_false(anyNA(voted$consensus))
})

test_that("what is wrong is a classed error, and says what is valid", {
  skip_without_backend()
  x <- voted_small()
  expect_error(ConsensusLabels(x, "singlr"), "singler", class = "cellferry_invalid_option_error")
  expect_error(
    ConsensusLabels(x, "singler", weights = 2), "must be a vector with names",
    class = "cellferry_invalid_option_error"
  )
  x$consensus <- "mine"
  expect_error(
    ConsensusLabels(x, c("singler", "azimuth")),
    class = "cellferry_column_exists_error"
  )
  x$mine <- "Alpha"
  expect_warning(
    quiet_messages <- ConsensusLabels(x, c("singler", "mine"), key = "a", verbose = FALSE),
    class = "cellferry_labels_unresolved_warning"
  )
  mapped <- ConsensusLabels(
    x, c("singler", "mine"),
    key = "a", mapping = c(Alpha = "T cell"), weights = c(mine = 2), verbose = FALSE
  )
  expect_true("T cell" %in% levels(mapped$a))
})

test_that("labels are compared by cluster, by cell and as a table", {
  skip_without_backend()
  x <- voted_small()
  expect_message(found <- CompareLabels(x, with = "SingleR.labels"), "adjusted Rand")
  expect_equal(found$clusters$cluster, Annotations(x)$cluster)
  expect_equal(names(found$cells), colnames(x))
  expect_equal(sum(found$confusion), ncol(x))
  expect_equal(found$adjusted_rand, 1)
  finer <- CompareLabels(x, "azimuth", with = "singler", verbose = FALSE)
  expect_equal(finer$clusters$relation, c("exact", "descendant", "descendant"))
  expect_error(
    CompareLabels(x, "singler", with = "singler"),
    class = "cellferry_invalid_option_error"
  )
})

test_that("what portals take is written", {
  skip_without_backend()
  x <- quiet(AnnotateClusters(small_object(), small_markers(), levels = TRUE, verbose = FALSE))
  file <- tempfile(fileext = ".csv")
  WriteAnnotations(x, file, format = "cellxgene", verbose = FALSE)
  cells <- utils::read.csv(file, row.names = 1)
  expect_equal(names(cells), c("cell_type_ontology_term_id", "author_cell_type"))
  expect_equal(rownames(cells), colnames(x))
  expect_equal(cells$author_cell_type, as.character(x$cell_type))
  json <- tempfile(fileext = ".json")
  expect_error(
    WriteAnnotations(x, json, format = "cas", title = "Blood", verbose = FALSE), "an author",
    class = "cellferry_invalid_option_error"
  )
  WriteAnnotations(x, json, format = "cas", title = "Blood", author = "J. Doe", verbose = FALSE)
  made <- jsonlite::read_json(json)
  expect_equal(made$labelsets[[4]]$name, "cell_type_broad")
  first <- made$annotations[[1]]
  expect_length(unlist(first$cell_ids), sum(x$cell_type == first$cell_label))
  expect_match(MethodsText(x), "^Clusters were annotated by cellferry .* Of 3 clusters")
  # R and its packages are in the record, and in the text.
  versions <- attr(Annotations(x), "provenance")$versions
  expect_identical(versions$R, as.character(getRversion()))
  expect_identical(versions$SeuratObject, as.character(utils::packageVersion("SeuratObject")))
  expect_match(
    MethodsText(x), paste0("R ", versions$R, " [(].*SeuratObject ", versions$SeuratObject)
  )
})

test_that("several engines answer in one call", {
  skip_without_backend()
  x <- small_object()
  engines <- list(a = "local", b = LocalEngine(n_genes = 5))
  found <- quiet(AnnotateClusters(x, small_markers(), engine = engines, verbose = FALSE))
  expect_true(all(c("cell_type", "cell_type_a", "cell_type_b") %in% names(found[[]])))
  expect_false("cell_type_a_status" %in% names(found[[]]))
  expect_true("cell_type_status" %in% names(found[[]]))
  expect_equal(Annotations(found, "cell_type")$engine, rep("consensus", 3))
  expect_equal(Annotations(found, "cell_type_a")$engine, rep("local", 3))
  expect_error(
    AnnotateClusters(x, small_markers(), engine = c("local", "local")), "engine = list(one",
    class = "cellferry_invalid_option_error", fixed = TRUE
  )
  expect_error(
    AnnotateClusters(x, small_markers(), engine = list(a = "local", b = "lokal")),
    class = "cellferry_unknown_engine_error"
  )
  table <- quiet(AnnotateClusters(small_markers(), engine = engines, verbose = FALSE))
  expect_equal(table$engine, rep("consensus", 3))
  engines$b <- LLMEngine("openai", "gpt-5")
  alone <- quiet(AnnotateClusters(small_markers(), engine = engines$b, dry.run = TRUE))
  file <- withr::local_tempfile(fileext = ".csv")
  utils::write.csv(small_markers(), file)
  for (input in list(x, small_markers(), file)) {
    markers <- if (identical(input, x)) small_markers()
    plan <- quiet(AnnotateClusters(input, markers, engine = engines, dry.run = TRUE))
    expect_s3_class(plan, "cellferry_plan")
    expect_equal(plan$engine, "a + b")
    expect_equal(plan$calls, alone$calls)
  }
  expect_false("cell_type" %in% names(x[[]]))
})

test_that("a path is the object in it, which is written where it is asked for", {
  skip_without_backend()
  x <- voted_small()
  votes <- c("cell_type", "azimuth", "SingleR.labels")
  expected <- Annotations(ConsensusLabels(x, votes, verbose = FALSE), "consensus")
  path <- withr::local_tempfile(fileext = ".rds")
  output <- withr::local_tempfile(fileext = ".rds")
  saveRDS(x, path)
  expect_equal(ConsensusLabels(path, verbose = FALSE), ConsensusLabels(x, verbose = FALSE))
  found <- ConsensusLabels(path, votes, verbose = FALSE, output = output)
  expect_equal(found$label, expected$label)
  expect_equal(as.character(readRDS(output)$consensus), as.character(
    ConsensusLabels(x, votes, verbose = FALSE)$consensus
  ))
  expect_false("consensus" %in% names(readRDS(path)[[]]))
  expect_error(ConsensusLabels(path, votes, output = output), class = "cellferry_output_error")
  expect_error(ConsensusLabels(x, votes, output = output), class = "cellferry_invalid_option_error")
  compared <- CompareLabels(output, "consensus", "SingleR.labels", verbose = FALSE)
  expect_equal(names(compared$cells), colnames(x))
})

test_that("a file of Python has its labels compared and agreed on", {
  skip_without_backend()
  path <- withr::local_tempfile(fileext = ".h5ad")
  output <- withr::local_tempfile(fileext = ".h5ad")
  reticulate::py_run_string(sprintf(paste(
    "import anndata, pandas",
    "obs = pandas.DataFrame({'SingleR.labels': ['T_cells', 'B_cell'],",
    "    'predicted_labels': ['T cells', 'Monocytes']}, index=['a', 'b'])",
    "anndata.AnnData(obs=obs).write_h5ad(%s)", sep = "\n"
  ), shQuote(path)))
  expect_equal(ConsensusLabels(path, verbose = FALSE)$name, c("celltypist", "singler"))
  votes <- c("singler", "celltypist")
  found <- ConsensusLabels(path, votes, verbose = FALSE, output = output)
  expect_equal(attr(found, "provenance")$level, "cells")
  compared <- CompareLabels(output, "singler", "celltypist", verbose = FALSE)
  expect_equal(as.character(compared$cells), c("exact", "other_lineage"))
  expect_equal(names(compared$cells), c("a", "b"))
})

test_that("several engines answer for a path", {
  skip_without_backend()
  folder <- withr::local_tempdir()
  at <- function(name) file.path(folder, name)
  files <- suppressWarnings(small_files(folder))
  engines <- list(local = "local", short = LocalEngine(n_genes = 5))
  markers <- small_markers()
  expected <- quiet(AnnotateClusters(
    files$object, markers, engines,
    group.by = "clusters", verbose = FALSE
  ))
  for (path in c(files$rds, at("x.h5ad"))) {
    output <- at(paste0("out.", tools::file_ext(path)))
    found <- quiet(AnnotateClusters(
      path, markers, engines,
      group.by = "clusters", verbose = FALSE, output = output
    ))
    expect_equal(found$label, Annotations(expected, "cell_type")$label)
    short <- Annotations(output, "cell_type_short")
    expect_equal(short$label, Annotations(expected, "cell_type_short")$label)
  }
  expect_equal(readRDS(at("out.rds"))$cell_type_short, expected$cell_type_short)
  utils::write.csv(markers, at("markers.csv"))
  table <- quiet(AnnotateClusters(at("markers.csv"), engine = engines, verbose = FALSE))
  alone <- quiet(AnnotateClusters(markers, engine = engines, verbose = FALSE))
  expect_equal(table$label, alone$label)
})
