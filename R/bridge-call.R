# Calling Python: with backend.R, which finds and starts it, the only place that touches reticulate.

# One call over the waist: a name, a JSON message (or its bytes) and raw buffers in, the same out.
bridge_call <- function(name, message = list(), parcel = new_parcel(), on_event = NULL,
                        verbose = TRUE) {
  read_answer(bridge_answer(backend(), name, message, parcel, on_event), verbose)
}

read_answer <- function(answer, verbose = TRUE) {
  reply <- from_json_bytes(answer[[1]])
  if (verbose) lapply(lapply(reply$messages, in_r_words), cellferry_inform)
  for (warned in reply$warnings) {
    cellferry_warn(warned$code, in_r_words(warned$message), in_r_words(warned$hint))
  }
  if (!isTRUE(reply$ok)) {
    error <- reply$error
    cellferry_stop(error$code, in_r_words(error$message), in_r_words(error$hint), error$data)
  }
  list(value = reply$value, buffers = answer[-1])
}

# The core names arguments as they are in Python.
in_r_words <- function(text) {
  gsub("\\b(cluster|gene)_column\\b", "\\1.column", text)
}

bridge_answer <- function(bridge, name, message, parcel, on_event) {
  bytes <- if (is.raw(message)) message else to_json_bytes(message)
  if (is.function(bridge)) {
    # Python is the parent of this process; see bridge-rscript.R.
    return(bridge(name, bytes, parcel$buffers, on_event))
  }
  share_home()
  if (name %in% long_calls) on_event <- with_interrupts(on_event)
  in_python(paste0("The call \"", name, "\" to Python"), {
    answer <- bridge$call(charToRaw(name), bytes, parcel$buffers, on_event)
    answer <- reticulate::py_to_r(answer)
    if (is_interrupted(answer)) forget_interrupt()
    answer
  })
}

# Evaluates `code`, which uses reticulate. An interrupt that jumps out of reticulate breaks the
# Python of this session, which later ends R; so R sees none meanwhile. Python is told of one in
# the calls that take long.
in_python <- function(what, code) {
  suspendInterrupts(tryCatch(code, error = function(cnd) {
    text <- python_message(cnd)
    if (forget_interrupt() || grepl("KeyboardInterrupt", text, fixed = TRUE)) {
      cellferry_stop("interrupted", "Interrupted.", "See ListRuns() for what can be resumed.")
    }
    cellferry_stop(
      "internal", paste0(what, " failed: ", text),
      paste0("Please report it at ", issue_url(), ".")
    )
  }))
}

long_calls <- c("annotate", "run_resume", "artifacts_finish")

# What Python calls in a long call: `on_event`, and now and then whether R was interrupted.
with_interrupts <- function(on_event) {
  force(on_event)
  asked <- charToRaw("{\"kind\": \"interrupted\"}")
  function(bytes) {
    bytes <- from_callback(bytes)
    answer <- if (!identical(bytes, asked) && !is.null(on_event)) on_event(bytes)
    if (is.list(answer)) answer else if (forget_interrupt()) list(failure("interrupt"))
  }
}

# What Python gives to a function of R is bytes, or with old reticulate a reference to bytes.
from_callback <- function(bytes) {
  if (is.raw(bytes)) bytes else reticulate::py_to_r(bytes)
}

# What Python is told of a condition that ended a callback.
failure <- function(class, text = "") {
  to_json_bytes(list(failed = list(class = json_text(class), text = json_text(text))))
}

is_interrupted <- function(answer) {
  start <- charToRaw("{\"ok\": false")
  failed <- identical(utils::head(answer[[1]], length(start)), start)
  failed && identical(from_json_bytes(answer[[1]])$error$code, "interrupted")
}

# Whether Python has ended by an interrupt that R has yet to see; once is enough.
forget_interrupt <- function() {
  look <- function() {
    # R looks once in a thousand steps.
    for (i in 1:5000) NULL
    FALSE
  }
  tryCatch(allowInterrupts(look()), interrupt = function(cnd) TRUE)
}

# Python copies the environment when it starts, and would not see a later Sys.setenv(). `what` is
# being done, for the message if it fails.
share_variables <- function(what, names) {
  in_python(what, {
    environ <- reticulate::import("os", convert = FALSE)$environ
    for (name in names) {
      value <- Sys.getenv(name, unset = NA)
      if (is.na(value)) {
        environ$pop(name, NULL)
      } else {
        environ$update(reticulate::py_dict(name, list(as_utf8(value))))
      }
    }
  })
}

# As share_variables(), but before every call, and so only where it was changed.
share_home <- function() {
  home <- Sys.getenv("CELLFERRY_HOME")
  if (!identical(home, .globals$home)) {
    in_python("Setting CELLFERRY_HOME", {
      environ <- reticulate::import("os", convert = FALSE)$environ
      environ$update(reticulate::dict(CELLFERRY_HOME = as_utf8(home)))
    })
    .globals$home <- home
  }
}

issue_url <- function() {
  utils::packageDescription("cellferry")$BugReports %||% "the project page"
}

# reticulate appends advice of its own to the text of a Python error.
python_message <- function(cnd) {
  text <- strsplit(conditionMessage(cnd), "\nRun `", fixed = TRUE)[[1]][1]
  trimws(gsub("\033\\[[0-9;]*m", "", text))
}
