# The only place that touches reticulate. Python is looked for at the first call that needs it,
# never when the package is loaded.

backend_environment <- "r-cellferry"
oldest_python <- "3.11"

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
    # Python is the parent of this process; see rds.R.
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

# The module cellferry.bridge, imported once per session.
backend <- function() {
  if (is.null(.globals$bridge)) {
    .globals$rule <- start_python()
    bridge <- import_bridge()
    check_dependencies(bridge)
    .globals$bridge <- bridge
  }
  .globals$bridge
}

# What the core says of itself: version, engines and their options, codes, columns.
describe_backend <- function() {
  backend()
  .globals$describe
}

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

check_dependencies <- function(bridge) {
  answer <- bridge_answer(bridge, "describe", list(), new_parcel(), NULL)
  .globals$describe <- read_answer(answer)$value
  missing <- missing_dependencies(.globals$describe)
  if (length(missing)) {
    backend_missing(
      paste0("Python at ", python_path(), " lacks ", listing(missing, quote = ""), "."),
      packages_fix()
    )
  }
}

missing_dependencies <- function(described) {
  found <- vapply(described$dependencies, is.null, NA)
  names(found)[found]
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

# R puts its own libraries first on LD_LIBRARY_PATH; a Python that R starts as a child process
# then loads the system's libpython and cannot import ssl.
with_clean_library_path <- function(code) {
  with_variables(c(LD_LIBRARY_PATH = NA_character_), code)
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

create_environment <- function(envname, python, packages) {
  with_clean_library_path({
    if (!reticulate::virtualenv_exists(envname)) {
      reticulate::virtualenv_create(envname, python = python, packages = FALSE)
    }
    reticulate::virtualenv_install(envname, packages = packages)
    reticulate::virtualenv_python(envname)
  })
}

# The newest Python on the path that is new enough, or NULL.
find_python <- function() {
  names <- c("python3.13", "python3.12", "python3.11", "python3", "python")
  for (path in unname(Sys.which(names))) {
    if (nzchar(path) && isTRUE(version_of(path) >= oldest_python)) {
      return(path)
    }
  }
  NULL
}

version_of <- function(python) {
  code <- "import sys; print('%d.%d' % sys.version_info[:2])"
  found <- with_clean_library_path(tryCatch(
    suppressWarnings(system2(python, c("-c", shQuote(code)), stdout = TRUE, stderr = FALSE)),
    error = function(cnd) character()
  ))
  if (length(found) == 1L) package_version(found) else NULL
}

python_running <- function() {
  reticulate::py_available(initialize = FALSE)
}
