# The editor without RStudio: what is selected, and where the line goes.
editor_with <- function(text) {
  done <- new.env()
  list(
    selected = function() text, insert = function(line) done$written <- line,
    run = function(line) done$run <- line, done = done
  )
}

session_with <- function(...) list2env(list(...), parent = globalenv())

test_that("each add-in is a function of the package, and needs no dialogue", {
  file <- system.file("rstudio", "addins.dcf", package = "cellferry")
  found <- read.dcf(file)
  expect_identical(
    unname(found[, "Binding"]), c("addin_annotate", "addin_review", "addin_report")
  )
  expect_identical(unname(found[, "Interactive"]), rep("false", 3))
  for (name in found[, "Binding"]) {
    expect_identical(names(formals(get(name, asNamespace("cellferry")))), "editor")
  }
})

test_that("the line is the one that a user would type", {
  session <- session_with(
    pbmc = small_object(), all = list(a = small_object()), markers = small_markers(),
    file = "x.rds", review = 1
  )
  line <- function(what, text) addin_line(what, text, session)
  expect_identical(line("annotate", "pbmc"), "pbmc <- AnnotateClusters(pbmc)")
  expect_identical(line("annotate", " pbmc\n"), "pbmc <- AnnotateClusters(pbmc)")
  expect_identical(line("annotate", "all"), "all <- AnnotateClusters(all)")
  expect_identical(line("annotate", "all$a"), "all$a <- AnnotateClusters(all$a)")
  expect_identical(
    line("annotate", "all[[\"a\"]]"), "all[[\"a\"]] <- AnnotateClusters(all[[\"a\"]])"
  )
  expect_identical(line("annotate", "markers"), "annotated <- AnnotateClusters(markers)")
  expect_identical(line("annotate", "file"), "annotated <- AnnotateClusters(file)")
  expect_identical(line("annotate", "pbmc <- readRDS('x')"), "pbmc <- AnnotateClusters(pbmc)")
  expect_identical(
    line("annotate", "stop('not run')"), "annotated <- AnnotateClusters(stop(\"not run\"))"
  )
  expect_identical(line("review", "pbmc"), "review_1 <- ReviewAnnotation(pbmc)")
  expect_identical(line("report", "all$a"), "AnnotationReport(all$a, \"all_a_report.html\")")
  expect_identical(line("report", "\"x.h5ad\""), "AnnotationReport(\"x.h5ad\", \"report.html\")")
})

test_that("what can't be annotated is refused before anything runs", {
  session <- session_with(pbmc = small_object(), n = 3)
  delayedAssign("later", stop("must not be computed"), assign.env = session)
  said <- function(code, name) expect_messages(code, name)
  said(addin_line("annotate", "", session), "addin-nothing")
  said(addin_line("annotate", "pbmc n +", session), "addin-no-object")
  said(addin_line("annotate", "pmbc", session), "addin-absent")
  said(addin_line("annotate", "n", session), "addin-annotate-class")
  said(addin_line("review", "n", session), "addin-review-class")
  said(addin_line("report", "pbmc$groups", session), "addin-report-class")
  editor <- editor_with("")
  expect_error(addin_annotate(editor), class = "cellferry_input_error")
  expect_identical(ls(editor$done), character())
})

test_that("without RStudio the add-in says what to type", {
  skip_if_not_installed("rstudioapi")
  skip_if(rstudioapi::isAvailable(), "This is RStudio")
  expect_messages(addin_annotate(), "addin-no-rstudio")
})

test_that("the lines of the three add-ins work one after the other", {
  skip_without_backend()
  local_home()
  withr::local_dir(withr::local_tempdir())
  withr::local_options(viewer = NULL, browser = function(...) NULL)
  session <- session_with(pbmc = small_object())
  run <- function(what) {
    editor <- editor_with("pbmc")
    run_line(what, editor, session)
    expect_identical(editor$done$written, editor$done$run)
    suppressMessages(suppressWarnings(eval(parse(text = editor$done$run), session)))
  }
  run("annotate")
  expect_s3_class(Annotations(session$pbmc), "cellferry_annotations")
  run("report")
  expect_true(file.exists("pbmc_report.html"))
})

# What R offers at the end of a line, as its console and RStudio ask for it.
completed <- function(line) {
  utils:::.assignLinebuffer(line)
  utils:::.assignEnd(nchar(line))
  utils:::.guessTokenFromLine()
  utils:::.completeToken()
  utils:::.retrieveCompletions()
}

test_that("the options of engines are completed in their constructors", {
  skip_if_not("package:cellferry" %in% search(), "The package is not attached")
  makes <- list(
    LocalEngine = LocalEngine, LLMEngine = LLMEngine, CyteTypeEngine = CyteTypeEngine,
    CellAtlasEngine = CellAtlasEngine, ReferenceEngine = ReferenceEngine,
    CellTypistEngine = CellTypistEngine
  )
  for (name in names(makes)) {
    offered <- completed(paste0("AnnotateClusters(x, engine = ", name, "("))
    expect_true(all(paste0(names(formals(makes[[name]])), "=") %in% gsub(" ", "", offered)))
  }
  expect_identical(gsub(" ", "", completed("LocalEngine(n_g")), "n_genes=")
})
