# The Python of this session: found, started and called. It is looked for at the first call that
# needs it, never when the package is loaded. With backend.R the only place that knows reticulate.

backend_environment <- "r-cellferry"
oldest_python <- "3.11"

# Which Python will be used, and by which rule. Choosing starts nothing.
choose_python <- function() {
  given <- Sys.getenv("RETICULATE_PYTHON")
  if (!is.null(.globals$rule)) {
    return(.globals$rule)
  }
  if (python_running()) {
    return("Python was already running in this session")
  }
  if (nzchar(given)) {
    return("the environment variable RETICULATE_PYTHON")
  }
  if (reticulate::virtualenv_exists(backend_environment)) {
    return(paste0("the environment \"", backend_environment, "\" of InstallBackend()"))
  }
  "reticulate's own search"
}

start_python <- function() {
  rule <- choose_python()
  check_given_python(Sys.getenv("RETICULATE_PYTHON"))
  if (grepl("InstallBackend", rule, fixed = TRUE)) {
    reticulate::use_virtualenv(backend_environment, required = TRUE)
  }
  # Neither the question of old reticulate nor the download of new reticulate: what is there
  # is used, and the message below says how to get the rest.
  quiet <- c(RETICULATE_MINICONDA_ENABLED = "FALSE", RETICULATE_USE_MANAGED_VENV = "no")
  started <- with_variables(quiet[!nzchar(Sys.getenv(names(quiet)))], tryCatch(
    if (reticulate::py_available(initialize = TRUE)) TRUE else "No Python was found.",
    error = python_message
  ))
  if (!isTRUE(started)) {
    backend_missing(paste0("Python can't be started (chosen by ", rule, "): ", started))
  }
  version <- python_version()
  if (package_version(version) < oldest_python) {
    backend_missing(paste0(
      "cellferry needs Python ", oldest_python, " or newer, and this session runs Python ",
      version, " (chosen by ", rule, ")."
    ))
  }
  rule
}

check_given_python <- function(path) {
  if (!python_running() && grepl("[/\\\\]", path) && !file.exists(path)) {
    backend_missing(paste0("RETICULATE_PYTHON is \"", path, "\", which does not exist."))
  }
}

python_version <- function() {
  as.character(reticulate::py_config()$version)
}

python_path <- function() {
  reticulate::py_config()$python
}

core_folder <- function() {
  system.file("python", package = "cellferry")
}

import_bridge <- function() {
  tryCatch(
    reticulate::import_from_path(
      "cellferry.bridge",
      path = core_folder(), convert = FALSE, delay_load = FALSE
    ),
    error = function(cnd) {
      backend_missing(
        paste0("The core can't be loaded in ", python_path(), ": ", python_message(cnd)),
        packages_fix()
      )
    }
  )
}

python_running <- function() {
  reticulate::py_available(initialize = FALSE)
}

# The answer of the core to a call, as raw vectors. `callback` is what it may call meanwhile.
python_call <- function(bridge, name, bytes, buffers, callback) {
  reticulate::py_to_r(bridge$call(charToRaw(name), bytes, buffers, callback))
}

# What Python gives to a function of R is bytes, or with old reticulate a reference to bytes.
from_callback <- function(bytes) {
  if (is.raw(bytes)) bytes else reticulate::py_to_r(bytes)
}

# Evaluates `code`, which uses reticulate. An interrupt that jumps out of reticulate breaks the
# Python of this session, which later ends R; so R sees none meanwhile. Python learns of one in
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

# Whether Python has ended by an interrupt that R has yet to see; once is enough.
forget_interrupt <- function() {
  look <- function() {
    # R looks once in a thousand steps.
    for (i in 1:5000) NULL
    FALSE
  }
  tryCatch(allowInterrupts(look()), interrupt = function(cnd) TRUE)
}

# Python copies the environment when it starts, and would not see a later Sys.setenv(). What was
# shared before is shared again only where it was changed.
share_variables <- function(names) {
  now <- Sys.getenv(names, unset = NA, names = TRUE)
  shared <- .globals$shared
  same <- vapply(names, function(name) {
    name %in% names(shared) && identical(now[[name]], shared[[name]])
  }, NA)
  if (all(same)) {
    return(invisible())
  }
  in_python("Sharing the environment with Python", {
    environ <- reticulate::import("os", convert = FALSE)$environ
    for (name in names[!same]) {
      if (is.na(now[[name]])) {
        environ$pop(name, NULL)
      } else {
        environ$update(reticulate::py_dict(name, list(as_utf8(now[[name]]))))
      }
    }
  })
  .globals$shared[names] <- now
}

issue_url <- function() {
  utils::packageDescription("cellferry")$BugReports %||% "the project page"
}

# reticulate appends advice of its own to the text of a Python error.
python_message <- function(cnd) {
  text <- strsplit(conditionMessage(cnd), "\nRun `", fixed = TRUE)[[1]][1]
  trimws(gsub("\033\\[[0-9;]*m", "", text))
}

backend_missing <- function(problem, fix = environment_fix()) {
  cellferry_stop("backend_missing", problem, fix, list(fix = fix))
}

# The line that repairs it when another Python is needed. A session that runs a Python can't
# change to another one.
environment_fix <- function() {
  install <- "cellferry::InstallBackend()"
  if (nzchar(Sys.getenv("RETICULATE_PYTHON"))) {
    return(paste("Unset RETICULATE_PYTHON, restart R, and run:", install))
  }
  if (python_running()) {
    return(paste("Restart R after running:", install))
  }
  paste("Run:", install)
}

# The line that repairs it when only packages are missing: a Python that the user chose is added
# to, any other is left alone.
packages_fix <- function() {
  if (!nzchar(Sys.getenv("RETICULATE_PYTHON"))) {
    return(environment_fix())
  }
  list <- system.file("backend-requirements.txt", package = "cellferry")
  paste0("Run in a terminal: \"", python_path(), "\" -m pip install -r \"", list, "\"")
}

# Evaluate `code` while some environment variables have other values; NA unsets.
with_variables <- function(values, code) {
  if (length(values)) {
    old <- Sys.getenv(names(values), unset = NA, names = TRUE)
    on.exit(set_variables(old), add = TRUE)
    set_variables(values)
  }
  force(code)
}

set_variables <- function(values) {
  gone <- is.na(values)
  if (any(gone)) Sys.unsetenv(names(values)[gone])
  if (any(!gone)) do.call(Sys.setenv, as.list(values[!gone]))
}
