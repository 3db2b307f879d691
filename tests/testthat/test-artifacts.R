# Both files of an object, read back by Python with h5py and duckdb alone.
read_artifacts <- function(built) {
  read <- reticulate::py_run_string(paste(
    "import h5py, hdf5plugin, duckdb, numpy as np",
    "from scipy import sparse",
    "def matrix(path, name):",
    "    with h5py.File(path, 'r') as file:",
    "        if name not in file: return None",
    "        group = file[name]",
    "        shape = tuple(int(group.attrs[n]) for n in ('n_obs', 'n_vars'))",
    "        arrays = tuple(group[n][:] for n in ('data', 'indices', 'indptr'))",
    "        kind = sparse.csc_matrix if name == 'vars' else sparse.csr_matrix",
    "        dense = kind(arrays, shape=shape).toarray().astype('f8')",
    "        return [list(shape), dense.ravel(order='F').tolist()]",
    "def column(path, name):",
    "    with duckdb.connect(path, read_only=True) as connection:",
    "        rows = connection.execute('SELECT \"' + name + '\" FROM obs').fetchall()",
    "    return [None if row[0] is None else str(row[0]) for row in rows]",
    "def columns(path):",
    "    with duckdb.connect(path, read_only=True) as connection:",
    "        return [row[0] for row in connection.execute('DESCRIBE obs').fetchall()]",
    sep = "\n"
  ))
  dense <- function(name) {
    found <- read$matrix(built$vars_h5, name)
    if (!is.null(found)) matrix(unlist(found[[2]]), found[[1]][[1]], found[[1]][[2]])
  }
  list(
    vars = dense("vars"), raw = dense("raw"),
    column = function(name) read$column(built$obs_duckdb, name),
    columns = read$columns(built$obs_duckdb)
  )
}

build_in <- function(object, ..., folder = withr::local_tempdir(.local_envir = parent.frame())) {
  withr::local_dir(folder)
  BuildArtifacts(object, ..., verbose = FALSE)
}

test_that("a Seurat object becomes both files and all statistics, exactly", {
  skip_without_backend()
  object <- small_object()
  object$maybe <- ifelse(seq_len(80) %% 2 == 0, NA, "yes")
  before <- object
  built <- build_in(object, "RNA_snn_res.1")
  expect_identical(object, before)
  expect_setequal(list.files(dirname(built$vars_h5), all.files = TRUE, no.. = TRUE), c(
    "vars.h5", "obs.duckdb"
  ))
  found <- read_artifacts(built)
  data <- t(as.matrix(object[["RNA"]]@data))
  expect_identical(dim(found$vars), dim(data))
  expect_equal(found$vars, unname(data), tolerance = 1e-7)
  expect_equal(found$raw, unname(t(as.matrix(object[["RNA"]]@counts))))
  expect_identical(unlist(found$column("__cell_name")), colnames(object))
  maybe <- found$column("maybe")
  expect_identical(vapply(maybe, is.null, NA), is.na(object$maybe), ignore_attr = TRUE)
  expect_true(all(c("__vis_coordinates_tsne_1", "RNA_snn_res.1") %in% found$columns))
  clusters <- as.character(object$RNA_snn_res.1)
  expect_identical(built$cells_per_cluster, c("0" = 36L, "1" = 25L, "2" = 19L))
  truth <- apply(data != 0, 2, function(x) tapply(x, clusters, mean))
  expect_equal(built$percentages, round(100 * truth, 2), tolerance = 1e-9, ignore_attr = "names")
  g1 <- 100 * mean(object$groups[clusters == "0"] == "g1")
  expect_lte(abs(built$metadata[["0"]]$groups[["g1"]] - g1), 1)
  expect_identical(nrow(built$coordinates), 80L)
  expect_identical(built$normalisation$kind, "log_normalised")
  expect_true(built$counts$are_counts)
})

test_that("the identity is written as a column, and a chosen embedding is taken", {
  skip_without_backend()
  object <- small_object()
  SeuratObject::Idents(object) <- factor(rep(c("x", "y"), 40))
  built <- build_in(object, coordinates_key = "X_pca", obs_columns = "groups", cell_names = FALSE)
  found <- read_artifacts(built)
  expect_identical(
    found$columns, c("groups", "ident", "__vis_coordinates_pca_1", "__vis_coordinates_pca_2")
  )
  expect_identical(unlist(found$column("ident")), rep(c("x", "y"), 40))
  expect_named(built$metadata$x, "groups")
})

test_that("a SingleCellExperiment and a Seurat object give the same files", {
  skip_without_backend()
  skip_if_not_installed("SingleCellExperiment")
  one <- build_in(small_object())
  other <- build_in(small_sce(), "label")
  expect_identical(other$percentages, one$percentages)
  found <- list(read_artifacts(one), read_artifacts(other))
  expect_identical(found[[2]]$vars, found[[1]]$vars)
  expect_identical(found[[2]]$raw, found[[1]]$raw)
})

test_that("an object without counts, of one cell and of one gene is built", {
  skip_without_backend()
  object <- small_object()
  object[["RNA"]]@counts <- methods::new("matrix")
  built <- build_in(object)
  expect_null(read_artifacts(built)$raw)
  expect_identical(nrow(built$counts), 0L)
  expect_match(format(built), "raw counts: none found", all = FALSE)
  one <- subset(small_object(), cells = colnames(small_object())[1])
  expect_identical(dim(read_artifacts(build_in(one))$vars), c(1L, 230L))
  gene <- suppressWarnings(subset(small_object(), features = "CD3E"))
  expect_identical(dim(read_artifacts(build_in(gene))$vars), c(80L, 1L))
})

test_that("files of matrices read where they are and of blocks are the same", {
  skip_without_backend()
  object <- small_object()
  in_place <- build_in(object)
  for (kind in c("data", "counts")) {
    other <- object
    methods::slot(other@assays$RNA, kind) <- as.matrix(methods::slot(other@assays$RNA, kind))
    in_blocks <- build_in(other)
    expect_identical(read_artifacts(in_place)$vars, read_artifacts(in_blocks)$vars)
    expect_identical(read_artifacts(in_place)$raw, read_artifacts(in_blocks)$raw)
    expect_identical(in_place$percentages, in_blocks$percentages)
  }
  other <- object
  other@assays$RNA@data <- other@assays$RNA@data[230:1, ]
  expect_identical(
    read_artifacts(build_in(other))$vars[, 230:1], read_artifacts(in_place)$vars
  )
})

test_that("split layers of Seurat 5 are put together", {
  skip_without_backend()
  skip_without_seurat5()
  ragged <- ragged_parts()
  # Values that are no counts.
  ragged$parts <- lapply(ragged$parts, function(part) {
    part$mat <- log1p(part$mat)
    part
  })
  ragged$truth <- log1p(ragged$truth)
  object <- split_object(ragged)
  object$group <- rep(c("a", "b"), 20)
  built <- suppressWarnings(build_in(object, "group"))
  expect_equal(read_artifacts(built)$vars, unname(ragged$truth), tolerance = 1e-7)
})

test_that("it prints what was built", {
  skip_without_backend()
  built <- build_in(small_object(), "RNA_snn_res.1")
  expect_output(print(built), "80 cells, 230 genes, 3 clusters>\nvars.h5: .*kB")
})

test_that("a file that fails is reported, and without requiring it the statistics are made", {
  skip_without_backend()
  nowhere <- file.path(withr::local_tempdir(), "absent", "vars.h5")
  whole <- build_in(small_object())
  built <- build_in(small_object(), vars_h5_path = nowhere, require_artifacts = FALSE)
  expect_identical(built$vars_h5, NA_character_)
  expect_match(built$errors[["vars.h5"]], "there is no folder")
  expect_match(format(built), "^vars.h5: not built", all = FALSE)
  expect_identical(built$percentages, whole$percentages)
  change <- stats::setNames("FOLDER", dirname(dirname(nowhere)))
  expect_messages(
    build_in(small_object(), vars_h5_path = nowhere), "artifacts-no-folder", change
  )
})

test_that("values that are not finite are refused by name, and nothing is left", {
  skip_without_backend()
  object <- small_object()
  object[["RNA"]]@data@x[1] <- NaN
  folder <- withr::local_tempdir()
  expect_messages(build_in(object, folder = folder), "artifacts-nan")
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), character())
})

test_that("a build that stops while blocks are sent leaves nothing", {
  skip_without_backend()
  folder <- withr::local_tempdir()
  object <- small_object()
  # Sent in blocks, as it is not stored as it is wanted.
  object@assays$RNA@data <- as.matrix(object@assays$RNA@data)
  # The counts are found damaged after all normalised values were sent.
  object@assays$RNA@counts@p[2] <- 1e6L
  expect_error(build_in(object, folder = folder), class = "cellferry_invalid_object_error")
  expect_identical(list.files(folder, all.files = TRUE, no.. = TRUE), character())
})

test_that("files of another kind are kept, and earlier artifacts replaced", {
  skip_without_backend()
  folder <- withr::local_tempdir()
  writeLines("mine", file.path(folder, "vars.h5"))
  change <- stats::setNames("FOLDER", folder)
  expect_messages(
    build_in(small_object(), vars_h5_path = file.path(folder, "vars.h5"), folder = folder),
    "artifacts-foreign-file", change
  )
  expect_identical(readLines(file.path(folder, "vars.h5")), "mine")
  build_in(small_object(), overwrite = TRUE, folder = folder)
  expect_identical(ncol(read_artifacts(build_in(small_object(), folder = folder))$vars), 230L)
})

test_that("arguments are checked, and none is swallowed", {
  skip_without_backend()
  object <- small_object()
  expect_messages(BuildArtifacts(object, group_by = "groups"), "artifacts-argument")
  unnamed <- list(
    object, "ident", NULL, "a", "b", NULL, NULL, TRUE, 10, 500, 2000, 1000, NULL, TRUE, TRUE, FALSE,
    FALSE,
    FALSE, "more"
  )
  expect_messages(do.call("BuildArtifacts", unnamed), "artifacts-argument-unnamed")
  expect_messages(BuildArtifacts(object, min_percentage = -1), "artifacts-count")
  expect_messages(BuildArtifacts(object, obs_columns = 1), "artifacts-texts")
  expect_messages(build_in(object, obs_columns = "group"), "artifacts-columns")
  expect_messages(build_in(object, coordinates_key = "X_umap"), "artifacts-coordinates")
  expect_messages(build_in(object, gene_symbols_column = "no"), "artifacts-symbols")
  expect_messages(build_in(object, vars_h5_path = "one", obs_duckdb_path = "one"), "artifacts-one")
  expect_messages(BuildArtifacts(1), "artifacts-unsupported")
})

test_that("one build gives the files and the markers", {
  skip_without_backend()
  object <- suppressMessages(marker_objects$pbmc_small())
  folder <- withr::local_tempdir()
  build <- function(...) {
    BuildArtifacts(
      object,
      vars_h5_path = file.path(folder, "vars.h5"), verbose = FALSE,
      obs_duckdb_path = file.path(folder, "obs.duckdb"), coordinates_key = "tsne", ...
    )
  }
  built <- build(markers = TRUE)
  expected <- FindClusterMarkers(
    object,
    only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1, rules = "5.0.1", verbose = FALSE
  )
  expect_identical(built$markers, expected)
  expect_null(build()$markers)
})
