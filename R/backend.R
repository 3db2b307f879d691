# Installing Python's packages, and saying which Python is in use and what is wrong with it.

#' Install the Python packages that cellferry needs
#'
#' Makes a virtual environment and installs the packages of the core into it, and those that the
#' live page of [ReviewAnnotation()] needs. The core itself is part of this R package. Needed once;
#' afterwards the environment `r-cellferry` is found by itself. If you manage Python yourself, set
#' the environment variable `RETICULATE_PYTHON` instead and install the packages listed in
#' `system.file("backend-requirements.txt", package = "cellferry")`, and for the live page those in
#' `backend-requirements-server.txt` beside it.
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
  created <- create_environment(
    envname, python, c(backend_requirements(), backend_requirements("-server"))
  )
  restart <- if (python_running()) " Restart R to use it."
  cellferry_inform(paste0("Installed in ", created, ".", restart))
  invisible(created)
}

# What the core needs, or what something else needs besides.
backend_requirements <- function(of = "") {
  file <- paste0("backend-requirements", of, ".txt")
  lines <- readLines(system.file(file, package = "cellferry"))
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

# R puts its own libraries first on LD_LIBRARY_PATH; a Python that R starts as a child process
# then loads the system's libpython and cannot import ssl.
with_clean_library_path <- function(code) {
  with_variables(c(LD_LIBRARY_PATH = NA_character_), code)
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
