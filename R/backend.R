# Installing Python's packages, and saying which Python is in use and what is wrong with it.

#' Install the Python packages that cellferry needs
#'
#' Makes a virtual environment and installs the packages of the core into it, and those that
#' artifacts and the live page of [ReviewAnnotation()] need: about 700 MB. The core itself is part
#' of this R package. Needed once; afterwards the environment `r-cellferry` is found by itself. If
#' you manage Python yourself, set the environment variable `RETICULATE_PYTHON` instead and install
#' the packages listed in `system.file("backend-requirements.txt", package = "cellferry")`, and for
#' artifacts and the live page those in `backend-requirements-server.txt` beside it.
#'
#' With `pinned = TRUE` and a Python for which there is a list (3.11 and 3.13), exactly the versions
#' are installed that this cellferry was tested with; on Linux (x86_64) each file is compared with
#' its hash too. Another Python gets the newest versions within the tested bounds. What is installed
#' or was downloaded is not downloaded again, so that a call that was stopped can be repeated.
#'
#' @param envname Name of the environment. Any other name than the default is only found through
#'   `RETICULATE_PYTHON`.
#' @param python Path of the Python (3.11 or newer) to make it from. `NULL`: the newest one on
#'   the path.
#' @param pinned Whether the versions are those that were tested.
#' @param wheels A folder of wheels to install from, without any network. Fill it where there is a
#'   network, with the same Python: `pip download -r LIST -d FOLDER`, where `LIST` is
#'   `system.file("backend-lock-3.11.txt", package = "cellferry")`, or that of your Python.
#' @param proxy Address of a proxy, `"http://host:port"`. `NULL`: that of the environment variable
#'   `HTTPS_PROXY` and of pip's own configuration, as is an index of your own.
#' @param verbose Whether pip says what it downloads.
#'
#' @return The path of the environment's Python, invisibly.
#' @family backend
#' @examples
#' \dontrun{
#' InstallBackend()
#' BackendInfo()
#'
#' # Without a network, from a folder that was filled elsewhere.
#' InstallBackend(wheels = "wheels")
#' }
#' @export
InstallBackend <- function(envname = "r-cellferry", python = NULL, pinned = TRUE, wheels = NULL,
                           proxy = NULL, verbose = TRUE) {
  check_text(envname, "envname")
  check_text(python, "python", null = TRUE)
  check_flag(pinned, "pinned")
  check_text(wheels, "wheels", null = TRUE)
  check_text(proxy, "proxy", null = TRUE)
  check_flag(verbose, "verbose")
  if (!is.null(wheels) && !dir.exists(wheels)) {
    cellferry_stop(
      "invalid_option", paste0("There is no folder \"", wheels, "\" of wheels."),
      "Fill one where there is a network: pip download -r LIST -d FOLDER (see ?InstallBackend)."
    )
  }
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
  created <- create_environment(envname, python)
  # That of an environment which was there already decides.
  lock <- if (pinned) backend_lock(version_of(created))
  install_packages(created, pip_arguments(lock, wheels), proxy, verbose)
  restart <- if (python_running()) " Restart R to use it."
  tested <- if (is.null(lock)) "" else ", the versions that were tested"
  cellferry_inform(paste0("Installed in ", created, tested, ".", restart))
  invisible(created)
}

# The list of exact versions for a Python, or NULL where none was made.
backend_lock <- function(version) {
  file <- system.file(paste0("backend-lock-", version, ".txt"), package = "cellferry")
  if (nzchar(file)) file
}

# What pip is asked: files by their hashes where the list is of this platform, else versions.
pip_arguments <- function(lock = NULL, wheels = NULL, platform = R.version$platform) {
  packages <- c(backend_requirements(), backend_requirements("-server"))
  wanted <- if (!is.null(lock) && grepl("^x86_64.*linux", platform)) {
    c("--require-hashes", "-r", lock)
  } else if (!is.null(lock)) {
    # As a constraint: another platform needs a package more or less.
    versions <- tempfile("versions", fileext = ".txt")
    writeLines(sub(" --hash=.*", "", readLines(lock)), versions)
    c("-c", versions, packages)
  } else {
    packages
  }
  c(
    # Isolated: in a session in which Python ran, reticulate has left a PYTHONPATH, by which all
    # that is wanted would be there.
    "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
    if (!is.null(wheels)) c("--no-index", "--find-links", normalizePath(wheels)),
    wanted
  )
}

# pip in the environment, whose lines are seen while it works, or else when it fails. The address of
# a proxy may have a password in it: it is in no argument, which others on the machine can read.
install_packages <- function(python, arguments, proxy = NULL, verbose = TRUE) {
  output <- if (verbose) "" else tempfile("pip")
  status <- with_variables(if (!is.null(proxy)) c(PIP_PROXY = proxy), with_clean_library_path(
    suppressWarnings(system2(python, shQuote(arguments), stdout = output, stderr = output))
  ))
  if (status == 0L) {
    return(invisible())
  }
  said <- if (verbose) "Its last lines are above." else utils::tail(readLines(output), 5)
  if (!is.null(proxy)) said <- gsub(proxy, "<proxy>", said, fixed = TRUE)
  cellferry_stop(
    "backend_missing",
    paste0("The Python packages could not be installed: pip ended with status ", status, "."),
    c(
      said,
      paste(
        "Behind a proxy: InstallBackend(proxy = \"http://host:port\"). Without a network:",
        "InstallBackend(wheels = \"folder\"). What was downloaded is kept: call it again."
      )
    )
  )
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
#'   `vignettes` (where they are read), `problem` and `fix`.
#' @family backend
#' @examplesIf cellferry:::has_backend()
#' BackendInfo()
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
    vignettes = where_vignettes_are(),
    problem = if (!is.null(problem)) strsplit(conditionMessage(problem), "\n")[[1]][1],
    fix = problem$data$fix
  )
  cat(format_backend(info), sep = "\n")
  invisible(info)
}

# R CMD INSTALL of a folder runs no vignette, and vignette() then says that there is none.
where_vignettes_are <- function() {
  if (nzchar(system.file("doc", "get-started.html", package = "cellferry"))) {
    return("vignette(\"get-started\", package = \"cellferry\")")
  }
  url <- strsplit(utils::packageDescription("cellferry")$URL, "[, ]")[[1]][1]
  paste0("not installed; they are the folder vignettes of ", url, " and of a clone")
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
    Vignettes = info$vignettes,
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

# Without reticulate's own way, which asks the network for a newer pip. One that was stopped half
# way is completed.
create_environment <- function(envname, python) {
  made <- reticulate::virtualenv_python(envname)
  with_clean_library_path({
    has_pip <- file.exists(made) && system2(
      made, c("-I", "-c", shQuote("import pip")),
      stdout = FALSE, stderr = FALSE
    ) == 0L
    if (!has_pip) {
      folder <- dirname(dirname(made))
      dir.create(dirname(folder), recursive = TRUE, showWarnings = FALSE)
      # What is no environment is not emptied.
      clear <- if (file.exists(file.path(folder, "pyvenv.cfg"))) "--clear"
      said <- tryCatch(
        suppressWarnings(system2(
          python, c("-I", "-m", "venv", clear, shQuote(folder)),
          stdout = TRUE, stderr = TRUE
        )),
        error = function(cnd) structure(conditionMessage(cnd), status = 127L)
      )
      if (!identical(attr(said, "status") %||% 0L, 0L)) {
        cellferry_stop(
          "backend_missing",
          paste0("No environment could be made at ", folder, " with ", python, "."),
          c(
            utils::tail(said, 3),
            "Debian and Ubuntu: apt install python3-venv. Or name another: InstallBackend(python =)"
          )
        )
      }
    }
  })
  made
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

# Whether Python and what the core needs are here. Examples that need them run only then, and say so
# in the help; what needs a service, a key or files of the user's is not run at all.
has_backend <- function() {
  tryCatch(
    {
      backend()
      TRUE
    },
    cellferry_error = function(cnd) FALSE
  )
}
