# The line of progress, drawn from what Python says meanwhile. cli's progress bar is not used: each
# of its steps signals a message, and one that a user catches would jump out of a call of Python.

# Whether a line of progress is drawn: for somebody who watches a console. What a document keeps has
# none: knitr in any session, and the notebooks of RStudio, which keep what chunks write.
draws_progress <- function(verbose) {
  verbose && interactive() && !isTRUE(getOption("knitr.in.progress")) &&
    !isTRUE(getOption("rstudio.notebook.executing"))
}

# A function that Python calls with each event. It draws and never signals, because a condition
# that jumps out of a callback leaves Python in the middle of its work. Without `unit` the events
# say what is done and counted; with it they count that, until one names a step that begins.
progress_line <- function(doing = NULL, unit = NULL) {
  function(bytes) {
    tryCatch(
      {
        event <- from_json_bytes(from_callback(bytes))
        if (!is.null(unit) && identical(event$kind, "started") && nzchar(event$text)) {
          doing <<- event$text
          unit <<- ""
        }
        if (identical(event$kind, "message")) {
          # It stays above the line: for example that a service is waited for, and until when.
          if (nzchar(event$text)) cat("\r\033[K", event$text, "\n", file = stderr(), sep = "")
        } else if (event$total > 0) {
          draw_progress(doing %||% event$text, event$done, event$total, unit %||% event$unit)
        }
      },
      error = function(cnd) NULL
    )
    invisible(NULL)
  }
}

draw_progress <- function(doing, done, total, unit) {
  cat("\r\033[K", doing, ": ", done, " of ", total, " ", unit, file = stderr(), sep = "")
}

clear_progress <- function() cat("\r\033[K", file = stderr())
