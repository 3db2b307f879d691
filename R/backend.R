# The Python of this session: found, started and installed. It is looked for at the first call that
# needs it, never when the package is loaded.

backend_environment <- "r-cellferry"
oldest_python <- "3.11"

#' Install the Python packages that cellferry needs
#'
#' Makes a virtual environment and installs the packages of the core into it. The core itself is
#' part of this R package. Needed once; afterwards the environment `r-cellferry` is found by
#' itself. If you manage Python yourself, set the environment variable `RETICULATE_PYTHON`
#' instead and install the packages listed in
#' `system.file("backend-requirements.txt", package = "cellferry")`.
#'
#' @param envname Name of the environment. Any other name than the default is only found through
#'   `RETICULATE_PYTHON`.
#' @param python Path of the Python (3.11 or newer) to make it from. `NULL`: the newest one on
#'   the path.
#'
#' @return The path of the environment's Python, invisibly.
#' @family backend
#' @examples
#' \dontrun{
#' InstallBackend()
#' BackendInfo()
#' }
#' @export
InstallBackend <- function(envname = "r-cellferry", python = NULL) {
  check_text(envname, "envname")
  check_text(python, "python", null = TRUE)
  python <- python %||% find_python()
  version <- if (!is.null(python)) version_of(python)
  if (is.null(version) || version < oldest_python) {
    found <- if (is.null(version)) "none was found" else paste0(python, " is Python ", version)
    cellferry_stop(
      "backend_missing",
      paste0("cellferry needs Python ", oldest_python, " or newer, and ", found, "."),
      paste0(
        "Install Python with its venv module (Debian and Ubuntu: apt install python3 ",
        "python3-venv python3-pip), or name one: InstallBackend(python = \"/path/to/python3\")."
      )
    )
  }
  created <- create_environment(envname, python, backend_requirements())
  told <- paste0("Installed in ", created, ".")
  if (python_running()) {
    told <- paste(told, "Restart R to use it.")
  }
  cellferry_inform(told)
  invisible(created)
}

backend_requirements <- function() {
  lines <- readLines(system.file("backend-requirements.txt", package = "cellferry"))
  lines <- trimws(sub("#.*", "", lines))
  lines[nzchar(lines)]
}

#' Say which Python is in use, and what is wrong with it
#'
#' Prints the Python, the rule that chose it and the versions of what matters. When something is
#' wrong it prints the line that repairs it. It never fails, so that its output can always be put
#' in a bug report.
#'
#' The rules, in this order: a Python that already runs in this session; the environment variable
#' `RETICULATE_PYTHON`; the environment `r-cellferry` of [InstallBackend()]; reticulate's own
#' search.
#'
#' @return A list, invisibly: `ok`, `python`, `python_version`, `rule`, `core` (version of the
#'   core), `packages` (version by Python package, `NA` where it is missing), `r_packages`,
#'   `problem` and `fix`.
#' @family backend
#' @examples
#' \dontrun{
#' BackendInfo()
#' }
#' @export
BackendInfo <- function() {
  rule <- choose_python()
  problem <- tryCatch(
    {
      backend()
      NULL
    },
    cellferry_error = identity
  )
  running <- python_running()
  described <- .globals$describe
  info <- list(
    ok = is.null(problem),
    python = if (running) python_path() else NA_character_,
    python_version = if (running) python_version() else NA_character_,
    rule = rule,
    core = described$version %||% NA_character_,
    packages = vapply(described$dependencies %||% list(), function(version) {
      version %||% NA_character_
    }, ""),
    r_packages = r_versions(c("cellferry", "SeuratObject", "Seurat", "reticulate")),
    problem = if (!is.null(problem)) strsplit(conditionMessage(problem), "\n")[[1]][1],
    fix = problem$data$fix
  )
  cat(format_backend(info), sep = "\n")
  invisible(info)
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

format_backend <- function(info) {
  versions <- function(x) {
    paste(names(x), ifelse(is.na(x), "(missing)", x), collapse = ", ")
  }
  entries <- list(
    Python = if (is.na(info$python)) "not started" else info$python,
    Version = if (!is.na(info$python_version)) info$python_version,
    "Chosen by" = info$rule,
    Core = if (!is.na(info$core)) info$core,
    Packages = if (length(info$packages)) versions(info$packages),
    R = paste0(getRversion(), ", ", versions(info$r_packages)),
    Status = if (info$ok) "ready",
    Problem = info$problem
  )
  entries <- Filter(Negate(is.null), entries)
  lines <- unlist(lapply(names(entries), function(name) {
    text <- strwrap(entries[[name]], width = 88)
    paste0(formatC(c(paste0(name, ":"), rep("", length(text) - 1L)), width = -11), text)
  }))
  # To be pasted, hence in one piece.
  c(lines, if (!is.null(info$fix)) paste0("Fix:       ", info$fix))
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

# What the core says of itself: version, engines and their options, packages.
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
