test_that("progress is drawn and never signals, whatever arrives", {
  draw <- progress_line("Annotating", "clusters")
  event <- charToRaw("{\"kind\":\"progress\",\"done\":1,\"total\":3,\"unit\":\"cluster\"}")
  shown <- capture.output(draw(event), type = "message")
  expect_match(shown, "Annotating: 1 of 3 clusters", all = FALSE)
  for (odd in list(raw(0), charToRaw("{"), charToRaw("{}"), NULL)) {
    expect_silent(draw(odd))
  }
})

test_that("a step that begins names itself, and events without a unit of ours say theirs", {
  event <- function(kind, text, unit) {
    to_json_bytes(list(
      kind = json_text(kind), done = json_number(2L), total = json_number(5L),
      text = json_text(text), unit = json_text(unit)
    ))
  }
  draw <- progress_line("Annotating", "cells")
  shown <- function(...) capture.output(draw(event(...)), type = "message")
  expect_match(shown("progress", "", "cell"), "Annotating: 2 of 5 cells$")
  expect_match(shown("started", "Uploading vars.h5", "vars.h5"), "Uploading vars.h5: 2 of 5 $")
  expect_match(shown("progress", "", "vars.h5 part 2"), "Uploading vars.h5: 2 of 5 $")
  draw <- progress_line()
  expect_match(shown("started", "Reading the counts", "genes"), "Reading the counts: 2 of 5 genes$")
})

test_that("what is said meanwhile stays above the line", {
  draw <- progress_line("Annotating", "clusters")
  said <- list(
    kind = json_text("message"), done = json_number(1L), total = json_number(3L),
    text = json_text("Waiting 30 s, until 10:00:30, for example.org"), unit = json_text("")
  )
  shown <- capture.output(draw(to_json_bytes(said)), type = "message")
  expect_match(shown, "Waiting 30 s, until 10:00:30, for example.org$")
})

test_that("nobody who catches messages stops the line", {
  draw <- progress_line("Annotating", "clusters")
  event <- charToRaw("{\"kind\":\"progress\",\"done\":1,\"total\":3}")
  shown <- capture.output(
    tryCatch(draw(event), condition = function(cnd) stop("signalled")),
    type = "message"
  )
  expect_match(shown, "1 of 3 clusters")
})

# The lines of an interactive R that runs `code`, whatever stream they are of.
run_interactive_r <- function(code) {
  file <- withr::local_tempfile(lines = code, fileext = ".R")
  libraries <- paste0("R_LIBS=", paste(.libPaths(), collapse = .Platform$path.sep))
  suppressWarnings(system2(
    file.path(R.home("bin"), "R"), c("--interactive", "--vanilla", "--no-echo", "--no-readline"),
    stdin = file, stdout = TRUE, stderr = TRUE, env = libraries
  ))
}

test_that("an interactive session sees progress, and a knitted document has none", {
  skip_without_backend()
  skip_if_not_installed("knitr")
  skip_on_os("windows")
  local_home()
  folder <- withr::local_tempdir()
  saveRDS(small_object(), file.path(folder, "x.rds"))
  saveRDS(small_markers(), file.path(folder, "m.rds"))
  code <- c(
    "library(cellferry)",
    paste0("setwd(", deparse(folder), ")"),
    "x <- readRDS('x.rds'); m <- readRDS('m.rds')"
  )
  line <- "x <- AnnotateClusters(x, m)"
  progress <- "Annotating: [0-9]+ of|Annotating clusters: [0-9]+ of"
  expect_match(run_interactive_r(c(code, line)), progress, all = FALSE)

  writeLines(c("```{r}", line, "table(x$cell_type)", "```"), file.path(folder, "page.Rmd"))
  said <- run_interactive_r(c(code, "stopifnot(interactive())", "knitr::knit('page.Rmd')"))
  page <- readLines(file.path(folder, "page.md"))
  expect_match(page, "cell_type", all = FALSE)
  expect_false(any(grepl(progress, c(said, page))))
  expect_false(any(grepl("\033|\r", page)))
})

test_that("a notebook of RStudio keeps no line of progress", {
  code <- "message('drawn: ', cellferry:::draws_progress(TRUE))"
  expect_match(run_interactive_r(code), "drawn: TRUE", all = FALSE)
  expect_match(
    run_interactive_r(c("options(rstudio.notebook.executing = TRUE)", code)), "drawn: FALSE",
    all = FALSE
  )
})
