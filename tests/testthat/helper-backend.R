# Tests that need Python say so by their first line. The reason is one of these and no other.
skip_without_backend <- function() {
  ready <- tryCatch(
    {
      backend()
      TRUE
    },
    cellferry_backend_missing_error = function(cnd) FALSE
  )
  testthat::skip_if_not(ready, "The Python backend of cellferry is missing")
}

# Runs go to a folder of this test.
local_home <- function(frame = parent.frame()) {
  folder <- withr::local_tempdir(.local_envir = frame)
  withr::local_envvar(CELLFERRY_HOME = folder, .local_envir = frame)
  folder
}

# As if the newest run had been stopped before its first answer.
interrupt_run <- function() {
  folder <- ListRuns()$folder[1]
  file <- file.path(folder, "run.json")
  content <- sub("\"finished\"", "\"interrupted\"", readLines(file, warn = FALSE), fixed = TRUE)
  writeLines(content, file)
  writeLines(character(), file.path(folder, "journal.jsonl"))
}

# Another R process; its output as lines. `environment` is "NAME=value".
run_r <- function(code, environment = character()) {
  file <- withr::local_tempfile(lines = code, fileext = ".R")
  libraries <- paste0("R_LIBS=", paste(.libPaths(), collapse = .Platform$path.sep))
  suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"), shQuote(file),
    stdout = TRUE, stderr = TRUE, env = c(libraries, environment)
  ))
}

# What arrived in Python, sent back: frames as data frames, sums of matrices as numbers.
arrived <- function(object, ...) {
  kept <- new_kept()
  withr::defer(discard(kept))
  opened <- open_study(object, ..., kept = kept, verbose = FALSE)
  answer <- bridge_call("study_parts", list(handle = json_text(opened$handle)))
  read <- function(reference) unpack_buffer(reference, answer$buffers)
  value <- answer$value
  for (name in c("obs", "var")) {
    if (!is.null(value[[name]])) value[[name]] <- unpack_frame(value[[name]], answer$buffers)
  }
  for (name in c("normalized", "counts")) {
    sums <- value[[name]]$sums
    if (is.null(sums)) next
    value[[name]]$sums <- list(
      cells = read(sums$cells), genes = read(sums$genes), nnz = as.numeric(sums$nnz)
    )
  }
  value$embeddings <- lapply(value$embeddings, read)
  if (!is.null(value$graph)) value$graph$sums <- lapply(value$graph$sums, read)
  value
}
