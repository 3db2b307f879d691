skip_without_singler <- function() {
  for (package in c("SingleR", "scran")) {
    if (!nzchar(system.file(package = package))) skip(paste(package, "is not installed"))
  }
}

# An object with labels, one of its types not in it.
singler_reference <- function() {
  x <- small_object()
  x$kind <- unname(c(
    "0" = "Lymphocyte", "1" = "Monocyte", "2" = "Platelet"
  )[as.character(x$RNA_snn_res.1)])
  x
}

normalized <- function(x) {
  if (utils::packageVersion("SeuratObject") >= "5.0.0") {
    SeuratObject::LayerData(x, layer = "data")
  } else {
    SeuratObject::GetAssayData(x, slot = "data")
  }
}

test_that("cells and clusters have the labels of SingleR's own function", {
  skip_without_backend()
  skip_without_singler()
  local_home()
  x <- singler_reference()
  y <- suppressWarnings(AnnotateCells(
    x,
    engine = SingleREngine(x, labels = "kind"), group.by = "RNA_snn_res.1", verbose = FALSE
  ))
  own <- suppressPackageStartupMessages(SingleR::SingleR(
    test = normalized(x), ref = normalized(x), labels = x$kind, de.method = "wilcox"
  ))
  wanted <- ifelse(is.na(own$pruned.labels), "Unknown", own$labels)
  expect_identical(as.character(y$cell_type_cell), wanted)
  expect_equal(
    y$cell_type_cell_confidence[wanted != "Unknown"] |> unname(),
    own$scores[cbind(seq_along(wanted), match(own$labels, colnames(own$scores)))][
      wanted != "Unknown"
    ],
    tolerance = 1e-6
  )
  expect_identical(
    as.character(unname(y$cell_type_cell_ontology_id[wanted == "Monocyte"][1])), "CL:0000576"
  )
  z <- suppressWarnings(AnnotateClusters(
    x,
    engine = "singler", reference = x, labels = "kind", group.by = "RNA_snn_res.1",
    verbose = FALSE
  ))
  expect_identical(Annotations(z)$label, c("Lymphocyte", "Monocyte", "Platelet"))
  expect_identical(unique(Annotations(z)$confidence_kind), "stated")
  expect_match(format(SingleREngine(x, "kind")), "reference = <Seurat>, labels", fixed = TRUE)
})

test_that("a session and the command line write the same rows", {
  skip_without_backend()
  skip_without_singler()
  local_home()
  folder <- withr::local_tempdir()
  x <- singler_reference()
  file <- file.path(folder, "x.rds")
  saveRDS(x, file)
  y <- suppressWarnings(AnnotateCells(
    x,
    engine = SingleREngine(x, labels = "kind"), group.by = "RNA_snn_res.1", verbose = FALSE
  ))
  said <- with_clean_library_path(withr::with_envvar(c(PYTHONPATH = core_folder()), system2(
    python_path(), c(
      "-m", "cellferry", "annotate", shQuote(file), "--cells", "--engine", "singler",
      "--option", shQuote(paste0("reference=", file)), "--option", "labels=kind",
      "--group-key", "RNA_snn_res.1", "--out", shQuote(file.path(folder, "out"))
    ),
    stdout = TRUE, stderr = TRUE
  )))
  written <- file.path(folder, "out.rds")
  expect_true(file.exists(written), info = paste(said, collapse = "\n"))
  z <- readRDS(written)
  columns <- grep("^cell_type_cell", names(y[[]]), value = TRUE)
  expect_identical(z[[]][columns], y[[]][columns])
  # A reference in a file, which a child reads, teaches a session the same.
  v <- suppressWarnings(AnnotateCells(
    x,
    engine = SingleREngine(file, labels = "kind"), group.by = "RNA_snn_res.1", verbose = FALSE
  ))
  expect_identical(v[[]][columns], y[[]][columns])
})

test_that("a reference that teaches nothing is refused before any work", {
  skip_without_backend()
  skip_without_singler()
  local_home()
  x <- singler_reference()
  asked <- function(reference, labels = "kind", ...) {
    AnnotateCells(small_object(), engine = SingleREngine(reference, labels, ...), verbose = FALSE)
  }
  one <- x
  one$kind <- "B cell"
  expect_error(asked(one), "A reference needs two labels", class = "cellferry_model_error")
  missing <- x
  missing$kind[1:3] <- NA
  expect_error(asked(missing), "3 of 80 cells have no label", class = "cellferry_model_error")
  expect_error(asked(missing), "`leave_out_unusable = TRUE`", class = "cellferry_model_error")
  rare <- x
  rare$kind[1:3] <- "Rare cell"
  expect_error(asked(rare), "fewer than 10 cells: \"Rare cell\" (3)",
    class = "cellferry_model_error", fixed = TRUE
  )
  expect_error(asked(x, "kid"), class = "cellferry_group_missing_error")
  expect_error(asked("nowhere.rds"), "There is no reference", class = "cellferry_model_error")
  expect_error(asked(1:3), "`reference`", class = "cellferry_invalid_option_error")
  expect_identical(nrow(ListRuns()), 0L)
})

test_that("without SingleR it says what to install before anything is read", {
  skip_without_backend()
  expect_error(
    stop_without(c("SingleR", "scran"), "wilcox"),
    "needs with `de_method = \"wilcox\"` the R packages SingleR, scran",
    class = "cellferry_dependency_missing_error", fixed = TRUE
  )
  expect_error(
    stop_without("SingleR"), "BiocManager::install(\"SingleR\")",
    class = "cellferry_dependency_missing_error", fixed = TRUE
  )
  if (nzchar(system.file(package = "SingleR"))) {
    expect_null(check_singler())
  } else {
    expect_error(
      AnnotateCells(small_object(), engine = SingleREngine(singler_reference(), "none")),
      class = "cellferry_dependency_missing_error"
    )
  }
})
