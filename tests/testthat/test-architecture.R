# R/ is flat, so that prefixes are its folders. These are the rules between them.

# A new file is placed by one of the prefixes, or by adding it here.
prefixes <- "^(annotate|annotations|object|bridge)-"
singles <- c(
  "addins.R", "annotations.R", "artifacts.R", "backend.R", "cellferry-package.R", "checks.R",
  "companions.R", "conditions.R", "consensus.R", "decisions.R", "engines.R", "find-markers.R",
  "known.R", "label-colors.R", "labels.R", "markers.R", "merge.R", "pages.R", "plots.R",
  "progress.R", "pseudobulk.R", "reference.R", "review.R", "runs.R", "secrets.R", "singler.R",
  "stored.R",
  "tables.R"
)

# The files that rpy2 calls; see object-read.R. StudyReport() is a verb beside them, and the one
# place where its own argument is checked, or is a path.
objects <- "^object-.*[.]R$"
called_by_rpy2 <- "^(object-.*|conditions)[.]R$"
python <- "^(bridge-python|backend)[.]R$"

# Refuses tokens, some of which there must be, in any file but `allowed`.
expect_only_in <- function(tokens, allowed) {
  testthat::expect_gt(nrow(tokens), 0)
  found <- tokens[!grepl(allowed, tokens$file), ]
  testthat::expect_identical(sprintf("%s:%d %s", found$file, found$line1, found$text), character())
}

# What a function needs from outside of itself: names of functions and of other things.
globals_of <- function(name) {
  found <- get(name, asNamespace("cellferry"))
  if (is.function(found)) codetools::findGlobals(found) else character()
}

# "name (file) uses what" for what `is_bad(name, used)` says.
misuses <- function(of, is_bad) {
  unlist(lapply(names(of), function(name) {
    used <- globals_of(name)
    bad <- used[is_bad(name, used)]
    if (length(bad)) sprintf("%s (%s) uses %s", name, of[[name]], bad)
  }))
}

test_that("every file has a known place", {
  files <- basename(source_files())
  expect_identical(files[!grepl(prefixes, files) & !files %in% singles], character())
  expect_identical(setdiff(singles, files), character())
})

test_that("the files are those of the namespace, and define no name twice", {
  defined <- names(definitions())
  expect_identical(defined[duplicated(defined)], character())
  expect_setequal(defined, namespace_names())
})

test_that("only the object files know how Seurat and its kin are stored", {
  tokens <- source_tokens()
  packages <- c(
    "DelayedArray", "Matrix", "S4Vectors", "Seurat", "SeuratObject", "SingleCellExperiment",
    "SummarizedExperiment", "methods"
  )
  is_call <- tokens$token == "SYMBOL_FUNCTION_CALL"
  expect_only_in(tokens[tokens$token == "SYMBOL_PACKAGE" & tokens$text %in% packages, ], objects)
  expect_only_in(tokens[tokens$token %in% c("'@'", "SLOT"), ], objects)
  # What only some versions of a package have is asked for by its name.
  direct <- c("getExportedValue", "slot", ".hasSlot")
  expect_only_in(tokens[is_call & tokens$text %in% direct, ], objects)
})

test_that("only the object files ask for the class of an object or of a matrix", {
  ours <- definitions()
  classes <- "\"(Seurat|seurat|SingleCellExperiment|dgCMatrix|dgRMatrix|sparseMatrix|Matrix)\""
  asking <- lapply(names(ours), function(name) {
    code <- get(name, asNamespace("cellferry"))
    calls <- if (is.function(code)) find_calls(body(code), c("inherits", "is"))
    asks <- any(grepl(classes, vapply(calls, function(call) toString(deparse(call)), "")))
    if (asks) ours[[name]]
  })
  asking <- unique(unlist(asking))
  expect_gt(length(asking), 0)
  expect_identical(asking[!grepl(objects, asking)], character())
})

test_that("only bridge-python.R and backend.R know reticulate", {
  tokens <- source_tokens()
  theirs <- tokens$token == "SYMBOL_PACKAGE" & tokens$text == "reticulate"
  expect_only_in(tokens[theirs, ], python)
})

test_that("what rpy2 calls needs nothing else of ours, and no package that may be missing", {
  testthat::skip_if_not_installed("codetools")
  ours <- definitions()
  of <- ours[grepl(called_by_rpy2, ours)]
  expect_gt(length(of), 50)
  found <- misuses(of, function(name, used) {
    home <- unname(ours[used])
    known <- is.na(home) | grepl(called_by_rpy2, home)
    !(known | name == "StudyReport" & home %in% c("checks.R", "annotate-files.R"))
  })
  expect_identical(found, NULL)
  tokens <- source_tokens()
  absent <- c("cli", "jsonlite", "reticulate", "rlang")
  packages <- tokens[tokens$token == "SYMBOL_PACKAGE" & tokens$text %in% absent, ]
  # conditions.R looks first whether rlang is there.
  expect_identical(packages$text[grepl(objects, packages$file)], character())
})

test_that("sourced below base R, every function finds what it needs", {
  testthat::skip_if_not_installed("codetools")
  ours <- definitions()
  found <- misuses(ours, function(name, used) {
    # The Rscript child has the `%||%` of rlang, rpy2 has none before R 4.4.
    own <- if (grepl(called_by_rpy2, ours[[name]])) character() else "%||%"
    of_base <- setdiff(ls(baseenv(), all.names = TRUE), "%||%")
    !used %in% c(names(ours), of_base, own)
  })
  expect_identical(found, NULL)
})

test_that("the files of the bridge call each other in one direction", {
  testthat::skip_if_not_installed("codetools")
  ours <- definitions()
  family <- ours[grepl("^(bridge-.*|backend)[.]R$", ours)]
  edges <- unique(do.call(rbind, lapply(names(family), function(name) {
    homes <- unname(ours[intersect(globals_of(name), names(family))])
    cbind(from = rep(family[[name]], length(homes)), to = homes)
  })))
  edges <- edges[edges[, "from"] != edges[, "to"], , drop = FALSE]
  expect_gt(nrow(edges), 5)
  # What calls nothing any more is taken away, until nothing is left, or a circle.
  while (any(done <- !edges[, "to"] %in% edges[, "from"])) edges <- edges[!done, , drop = FALSE]
  expect_identical(sprintf("%s calls %s", edges[, "from"], edges[, "to"]), character())
})
