# Calling Python: one call, and what it answers.

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

# What the core says of itself: version, packages.
describe_backend <- function() {
  backend()
  .globals$describe
}

# The options of an engine at a level, `NULL` where there is none of that name, and the environment
# variables that it reads. One is asked for at a time, because Python imports it.
describe_engine <- function(name, level = "clusters") {
  place <- paste(level, name)
  if (is.null(.globals$engines[[place]])) {
    message <- list(name = json_text(name), level = json_text(level))
    .globals$engines[[place]] <- bridge_call("engine", message)$value
  }
  .globals$engines[[place]]
}

check_dependencies <- function(bridge) {
  answer <- bridge_answer(bridge, "describe", session_versions(), new_outgoing())
  .globals$describe <- read_answer(answer)$value
  missing <- missing_dependencies(.globals$describe)
  if (length(missing)) {
    backend_missing(
      paste0("Python at ", python_path(), " lacks ", listing(missing, quote = ""), "."),
      packages_fix()
    )
  }
}

# What records say of this R: it, the packages that made the object, and what else has it loaded.
session_versions <- function() {
  made <- c("Seurat", "SeuratObject")
  more <- Filter(isNamespaceLoaded, c("SingleCellExperiment", "reticulate"))
  versions <- c(R = as.character(getRversion()), r_versions(c(made, more)))
  list(versions = lapply(as.list(versions[!is.na(versions)]), json_text))
}

r_versions <- function(packages) {
  vapply(packages, function(package) {
    if (nzchar(system.file(package = package))) {
      as.character(utils::packageVersion(package))
    } else {
      NA_character_
    }
  }, "")
}

missing_dependencies <- function(described) {
  found <- vapply(described$dependencies, is.null, NA)
  names(found)[found]
}

# One call over the bridge: a name, a JSON message (or its bytes) and raw buffers in, the same out.
# `callback` is what Python may call meanwhile.
bridge_call <- function(name, message = list(), outgoing = new_outgoing(), callback = NULL,
                        verbose = TRUE) {
  read_answer(bridge_answer(backend(), name, message, outgoing, callback), verbose)
}

read_answer <- function(answer, verbose = TRUE) {
  reply <- from_json_bytes(answer[[1]])
  if (verbose) lapply(reply$messages, cellferry_inform)
  for (warned in reply$warnings) {
    cellferry_warn(warned$code, warned$message, warned$hint)
  }
  if (!isTRUE(reply$ok)) {
    error <- reply$error
    cellferry_stop(error$code, error$message, error$hint, error$data)
  }
  list(value = reply$value, buffers = answer[-1])
}

bridge_answer <- function(bridge, name, message, outgoing, callback = NULL) {
  bytes <- if (is.raw(message)) message else to_json_bytes(message)
  if (is.function(bridge)) {
    # Python is the parent of this process; see bridge-rscript.R.
    return(bridge(name, bytes, outgoing$buffers, callback))
  }
  share_variables("CELLFERRY_HOME")
  if (name %in% long_calls) callback <- with_interrupts(callback)
  in_python(paste0("The call \"", name, "\" to Python"), {
    answer <- python_call(bridge, name, bytes, outgoing$buffers, callback)
    if (is_interrupted(answer)) forget_interrupt()
    answer
  })
}

long_calls <- c(
  "annotate", "annotate_file", "run_reannotate", "run_resume", "artifacts_file",
  "artifacts_finish", "markers_finish", "page_finish", "report", "review"
)

# What Python calls in a long call: `callback`, and now and then whether R was interrupted.
with_interrupts <- function(callback) {
  force(callback)
  question <- charToRaw("{\"kind\": \"interrupted\"}")
  function(bytes) {
    bytes <- from_callback(bytes)
    answer <- if (!identical(bytes, question) && !is.null(callback)) callback(bytes)
    if (is.list(answer)) answer else if (forget_interrupt()) list(failure("interrupt"))
  }
}

# The answer to Python where a condition ended a callback.
failure <- function(class, text = "") {
  to_json_bytes(list(failed = list(class = json_text(class), text = json_text(text))))
}

is_interrupted <- function(answer) {
  start <- charToRaw("{\"ok\": false")
  failed <- identical(utils::head(answer[[1]], length(start)), start)
  failed && identical(from_json_bytes(answer[[1]])$error$code, "interrupted")
}
