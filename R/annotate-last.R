# The object that was annotated last, whatever the user calls it.

# What to paste next. Nobody knows the name that the result is going to have, so the line finds it.
# Of the labels of cells, those of their clusters are few enough to be read in a plot.
next_line <- function(object, name, key) {
  majority <- paste0(key, "_majority")
  if (majority %in% names(extract_metadata(object))) key <- majority
  if (is_seurat(object) && !is.null(extract_coordinates(object))) {
    return(paste0("DimPlot(", name, ", group.by = \"", key, "\", label = TRUE)"))
  }
  paste0("table(", name, "$", key, ")")
}

remember_annotated <- function(run, key) {
  .globals$annotated <- if (!is.null(run)) list(run = run, key = key)
}

#' The object that was annotated last
#'
#' Finds the object that [AnnotateClusters()], [AnnotateCells()] or [ResumeAnnotation()] labelled
#' last, whatever it is called: among the variables of the session, in lists of objects, or as the
#' last value that was printed. No copy is kept.
#'
#' @param envir Where to look first; then where that was called from, and the global environment.
#'
#' @return The object.
#' @family results
#' @examplesIf cellferry:::has_backend() && requireNamespace("Seurat", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' Seurat::DimPlot(LastAnnotated(), group.by = "cell_type", label = TRUE)
#' @export
LastAnnotated <- function(envir = parent.frame()) {
  if (!is.environment(envir)) invalid_argument(envir, "envir", "an environment")
  last <- .globals$annotated
  if (is.null(last)) {
    cellferry_stop(
      "annotations_missing", "Nothing was annotated in this session.",
      "Annotate an object first: x <- AnnotateClusters(x)"
    )
  }
  for (where in unique(c(environments_from(envir), rev(sys.frames()), globalenv()))) {
    found <- annotated_in(where, last)
    if (!is.null(found)) {
      return(found)
    }
  }
  found <- find_annotated(get0(".Last.value", baseenv()), last)
  if (is.null(found)) {
    cellferry_stop(
      "annotations_missing",
      "The object that was annotated last is no variable of this session.",
      "Keep what the function returns: x <- AnnotateClusters(x)"
    )
  }
  found
}

# An environment and those around it, up to the global one and without packages.
environments_from <- function(envir) {
  found <- list()
  while (!identical(envir, emptyenv()) && !isNamespace(envir) && !identical(envir, globalenv())) {
    found <- c(found, envir)
    envir <- parent.env(envir)
  }
  found
}

# Bindings that would be computed first, promises and active ones, are left alone.
annotated_in <- function(envir, last) {
  names <- ls(envir, sorted = FALSE)
  if (!length(names)) {
    return(NULL)
  }
  computed <- rlang::env_binding_are_lazy(envir, names) |
    rlang::env_binding_are_active(envir, names)
  for (name in names[!computed]) {
    # An argument that is missing is an error.
    found <- tryCatch(
      find_annotated(get0(name, envir, inherits = FALSE), last),
      error = function(cnd) NULL
    )
    if (!is.null(found)) {
      return(found)
    }
  }
  NULL
}

# The value itself, or what a list has of it.
find_annotated <- function(value, last) {
  if (is_cell_object(value)) {
    json <- extract_stored(value)[[last$key]]
    return(if (!is.null(json) && grepl(last$run, json, fixed = TRUE)) value)
  }
  if (rlang::is_bare_list(value)) {
    for (item in Filter(is_cell_object, value)) {
      found <- find_annotated(item, last)
      if (!is.null(found)) {
        return(found)
      }
    }
  }
  NULL
}
