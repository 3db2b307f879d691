# The line of progress, drawn from what Python tells meanwhile.

progress_line <- function(bytes) {
  tell_event(bytes, function(event) {
    draw_progress("Annotating", event$done, event$total, "clusters")
  })
}

# Called from Python: it draws and never signals, because a condition that jumps out of a
# callback leaves Python in the middle of its work.
tell_event <- function(bytes, draw) {
  tryCatch(
    {
      event <- from_json_bytes(from_callback(bytes))
      if (event$total > 0) draw(event)
    },
    error = function(cnd) NULL
  )
  invisible(NULL)
}

draw_progress <- function(doing, done, total, unit) {
  cat("\r\033[K", doing, ": ", done, " of ", total, " ", unit, file = stderr(), sep = "")
}

clear_progress <- function() cat("\r\033[K", file = stderr())
