# Every verb that takes an object takes the path of one: what a file gives is what the object gives.

lists <- list("0" = c("CD79A", "MS4A1"), "1" = c("CD3D", "CD3E"), "2" = c("CD14", "LYZ"))

test_that("exported markers and embeddings of a file are those of its object", {
  skip_without_backend()
  folder <- withr::local_tempdir()
  files <- suppressWarnings(small_files(folder))
  quiet <- function(code) suppressWarnings(suppressMessages(code))
  markers <- quiet(ExportMarkers(files$object, "clusters", verbose = FALSE))
  embedded <- quiet(EmbedCells(files$object, verbose = FALSE))
  values <- SeuratObject::Embeddings(embedded, "cellferry")
  for (path in c(files$rds, files$others)) {
    found <- quiet(ExportMarkers(path, "clusters", verbose = FALSE))
    expect_identical(as.character(found$gene), as.character(markers$gene))
    expect_equal(found$p_val, markers$p_val, tolerance = 1e-6)
    output <- file.path(folder, paste0("out", if (path == files$rds) ".rds" else ".h5ad"))
    unlink(output)
    written <- quiet(EmbedCells(path, verbose = FALSE, output = output))
    expect_equal(written, values, tolerance = 1e-5)
    expect_true(file.exists(output))
  }
})

test_that("markers, sums and the report of a file are those of its object", {
  skip_without_backend()
  testthat::skip_if_not_installed("reticulate")
  files <- small_files()
  find <- function(x, ...) {
    FindClusterMarkers(x, "clusters", only.pos = TRUE, rules = "5.0.1", verbose = FALSE, ...)
  }
  expected <- find(files$object)
  expect_identical(find(files$rds), expected)
  pair <- find(files$object, ident.1 = "0", ident.2 = "1")
  expect_identical(find(files$rds, ident.1 = "0", ident.2 = "1"), pair)
  sums <- PseudobulkCounts(files$object, "clusters", "groups")
  expect_identical(PseudobulkCounts(files$rds, "clusters", "groups"), sums)
  expect_identical(StudyReport(files$rds), StudyReport(files$object))
  for (path in files$others) {
    found <- find(path)
    expect_identical(found$gene, expected$gene)
    expect_identical(rownames(found), rownames(expected))
    expect_equal(found$p_val, expected$p_val, tolerance = 1e-6)
    expect_identical(find(path, ident.1 = "0", ident.2 = "1")$gene, pair$gene)
    expect_identical(PseudobulkCounts(path, "clusters", "groups")$counts, sums$counts)
    report <- StudyReport(path)
    expect_identical(names(report), names(StudyReport(files$object)))
    expect_true("clusters" %in% report$item[report$kind == "metadata" & report$action == "taken"])
  }
})

test_that("a path that can't be read is named by every verb", {
  skip_without_backend()
  folder <- withr::local_tempdir()
  writeLines("<html></html>", file.path(folder, "x.h5ad"))
  verbs <- list(
    FindClusterMarkers, PseudobulkCounts, StudyReport, Annotations, SupportingMarkers, Markers,
    function(x) AnnotationReport(x, file.path(folder, "r.html")),
    function(x) WriteAnnotations(x, file.path(folder, "t.csv"))
  )
  for (verb in verbs) {
    expect_error(verb(file.path(folder, "none.rds")), "There is no file")
    expect_error(verb(file.path(folder, "x.h5ad")), "a web page")
    expect_error(verb(c("a", "b")), class = "cellferry_error")
  }
  files <- small_files()
  for (verb in list(FindClusterMarkers, PseudobulkCounts, StudyReport)) {
    expect_error(
      verb(files$others[1], assay = "RNA"), "is for an .rds",
      class = "cellferry_invalid_option_error"
    )
  }
})

test_that("a run is resumed with a path, and the object is written where it is asked for", {
  skip_without_backend()
  local_home()
  files <- small_files()
  folder <- dirname(files$rds)
  for (path in c(files$rds, files$others)) {
    given <- AnnotateClusters(
      path, lists,
      group.by = "clusters", species = "human", verbose = FALSE
    )
    run <- attr(given, "provenance")$run
    expect_identical(ResumeAnnotation(path, run, verbose = FALSE)$label, given$label)
    output <- file.path(folder, paste0("out", if (path == files$rds) ".rds" else ".h5ad"))
    unlink(output)
    again <- ResumeAnnotation(path, run, output = output, verbose = FALSE)
    expect_s3_class(again, "cellferry_annotations")
    expect_identical(Annotations(output)$label, given$label)
    expect_error(
      ResumeAnnotation(path, run, output = output, verbose = FALSE), "not replaced unasked",
      class = "cellferry_output_error"
    )
  }
  expect_error(
    ResumeAnnotation(files$object, run, output = "x.rds", verbose = FALSE), "`output` is for",
    class = "cellferry_invalid_option_error"
  )
})

test_that("the verbs of results give of a file what they give of its object", {
  skip_without_backend()
  local_home()
  files <- small_files()
  folder <- dirname(files$rds)
  for (path in c(files$rds, files$others)) {
    output <- file.path(folder, paste0("labelled", if (path == files$rds) ".rds" else ".h5ad"))
    given <- AnnotateClusters(
      path, lists,
      group.by = "clusters", species = "human", output = output, overwrite = TRUE, verbose = FALSE
    )
    found <- Annotations(output)
    expect_identical(found$label, given$label)
    expect_identical(found$n_cells, given$n_cells)
    expect_null(attr(found, "note"))
    expect_identical(Annotations(output, "cell_type")$label, given$label)
    expect_error(Annotations(output, "other"), class = "cellferry_annotations_missing_error")
    expect_identical(SupportingMarkers(output), SupportingMarkers(given))
    expect_identical(Markers(output), Markers(given))
    report <- AnnotationReport(
      output, file.path(folder, "r.html"),
      browse = FALSE, verbose = FALSE, coordinates.key = "X_tsne"
    )
    expect_match(paste(readLines(report, warn = FALSE), collapse = " "), "tsne", fixed = TRUE)
    written <- WriteAnnotations(
      output, file.path(folder, "t.csv"),
      sample.by = "groups", overwrite = TRUE, verbose = FALSE
    )
    expect_identical(utils::read.csv(written[1])$label, given$label)
    samples <- utils::read.csv(grep("samples", written, value = TRUE))
    expect_identical(sum(samples$total), 80L)
  }
})

test_that("a cluster of dask answers as this machine, from the path of a file", {
  skip_without_backend()
  # It starts processes: once, in the lane.
  skip_without_seurat5()
  skip_if_not(reticulate::py_module_available("distributed"))
  files <- small_files()
  path <- files$others[1]
  near <- suppressWarnings(AnnotateCells(path, verbose = FALSE))
  far <- suppressWarnings(AnnotateCells(path, scheduler = "local", verbose = FALSE))
  same <- setdiff(names(as.data.frame(near)), "seconds")
  expect_identical(as.data.frame(far)[same], as.data.frame(near)[same])
  # What is finished comes back, whoever is asked.
  again <- suppressWarnings(
    ResumeAnnotation(path, verbose = FALSE, scheduler = "tcp://127.0.0.1:9")
  )
  expect_identical(as.data.frame(again)[same], as.data.frame(near)[same])
  markers <- function(...) {
    FindClusterMarkers(path, "clusters", return.thresh = 1, verbose = FALSE, ...)
  }
  expect_identical(markers(scheduler = "local"), markers())
  several <- function(...) {
    suppressWarnings(AnnotateCells(files$others, verbose = FALSE, ...)) |>
      as.data.frame()
  }
  expect_identical(several(scheduler = "local")[same], several()[same])
  agreed <- function(...) {
    found <- ConsensusLabels(path, "clusters", group.by = "clusters", verbose = FALSE, ...)
    as.data.frame(found)
  }
  expect_identical(suppressWarnings(agreed(scheduler = "local")), suppressWarnings(agreed()))
  folder <- withr::local_tempdir()
  built <- function(name, ...) {
    at <- file.path(folder, paste0(name, c(".h5", ".duckdb")))
    suppressWarnings(BuildArtifacts(
      path, "clusters", vars_h5_path = at[1], obs_duckdb_path = at[2], verbose = FALSE, ...
    ))
  }
  expect_equal(built("far", scheduler = "local")$summary, built("near")$summary)
})

test_that("what workers of a cluster can't do is said", {
  skip_without_backend()
  files <- small_files()
  message <- "The workers of a cluster can't read an .rds."
  expect_error(
    FindClusterMarkers(files$rds, scheduler = "tcp://a:1"), message,
    fixed = TRUE, class = "cellferry_unsupported_object_error"
  )
  expect_error(
    BuildArtifacts(files$rds, scheduler = "tcp://a:1"), message,
    fixed = TRUE, class = "cellferry_unsupported_object_error"
  )
  expect_error(
    ConsensusLabels(files$rds, "clusters", scheduler = "tcp://a:1"), message,
    fixed = TRUE, class = "cellferry_unsupported_object_error"
  )
  expect_error(
    ConsensusLabels(files$object, "clusters", scheduler = "tcp://a:1"),
    "The workers of a cluster can't read the memory of this session.",
    fixed = TRUE, class = "cellferry_unsupported_object_error"
  )
  skip_if_not(reticulate::py_module_available("distributed"))
  expect_error(
    FindClusterMarkers(files$others[1], "clusters", scheduler = "host:8786"),
    "`scheduler` is 'host:8786'.", fixed = TRUE, class = "cellferry_invalid_option_error"
  )
  expect_error(
    AnnotateCells(files$object, scheduler = "local", verbose = FALSE),
    "reads the values from files", class = "cellferry_unsupported_object_error"
  )
})

test_that("several paths are one object, and give what it gives", {
  skip_without_backend()
  local_home()
  folder <- withr::local_tempdir()
  files <- suppressWarnings(small_files(folder))
  parts <- file.path(folder, c("part1.h5ad", "part2.h5ad"))
  reticulate::py_run_string(paste0(
    "import anndata\nadata = anndata.read_h5ad('", files$others[[1]], "')\n",
    "adata[:30].copy().write_h5ad('", parts[1], "')\n",
    "adata[30:].copy().write_h5ad('", parts[2], "')\n"
  ))
  quiet <- function(code) suppressWarnings(suppressMessages(code))
  whole <- files$others[[1]]
  find <- function(x) FindClusterMarkers(x, "clusters", rules = "5.0.1", verbose = FALSE)
  expect_identical(find(parts), find(whole))
  sums <- PseudobulkCounts(whole, "clusters", "groups")
  expect_identical(PseudobulkCounts(parts, "clusters", "groups"), sums)
  same <- c("cluster", "label", "status", "confidence")
  cells <- function(x) as.data.frame(quiet(AnnotateCells(x, verbose = FALSE)))[same]
  expect_identical(cells(parts), cells(whole))
  clusters <- function(x) {
    as.data.frame(quiet(AnnotateClusters(x, group.by = "clusters", verbose = FALSE)))[same]
  }
  expect_identical(clusters(parts), clusters(whole))
  build <- function(x, name) {
    built <- quiet(BuildArtifacts(
      x, group.by = "clusters", vars_h5_path = file.path(folder, paste0(name, ".h5")),
      obs_duckdb_path = file.path(folder, paste0(name, ".duckdb")), verbose = FALSE
    ))
    unname(tools::md5sum(built$vars_h5))
  }
  expect_identical(build(parts, "far"), build(whole, "near"))
  expect_error(
    FindClusterMarkers(c(parts, files$rds), "clusters", verbose = FALSE),
    "not read as one of several files", class = "cellferry_unsupported_object_error"
  )
  expect_error(
    AnnotateClusters(parts, engine = c("local", "local"), group.by = "clusters"),
    "annotated by one engine", class = "cellferry_invalid_option_error"
  )
})
