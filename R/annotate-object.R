# From an object, or a marker table, to its labels: what each annotation goes through.

# The one way from an object to its labels, for clusters and for cells: a new run, or, with
# `request$run`, one to go on with. `markers` are those of the user, if any; `following` is whether
# to say what to do next with the object.
annotate_object <- function(object, request, markers = NULL, following = TRUE) {
  object <- check_object(object)
  of_cells <- request$level == "cells"
  request$source <- if (of_cells) "none" else if (is.null(markers)) "computed" else "given"
  request <- with_key(request, object)
  request <- open_request(request, object)
  on.exit(discard(request$kept))
  assay <- extract_assay(object, request$assay)
  groups <- if (of_cells) {
    cell_groups(object, request)
  } else {
    extract_groups(object, request$group.by, request$columns)
  }
  if (of_cells) check_cell_values(object, assay, request)
  test <- NULL
  # A run has its markers.
  if (!of_cells && is.null(request$run)) {
    if (is.null(markers)) {
      check_clustering(object, groups)
      test <- marker_test(object, groups, assay)
      # The test and the engine read what crosses once.
      request$parts <- structure(
        union(request$parts, "normalized"),
        needed = attr(request$parts, "needed")
      )
    } else {
      request$markers <- read_request_markers(request, markers)
      check_clustering(object, groups, request$markers)
    }
  }
  sisters <- NULL
  if (!is.null(request$within)) {
    sisters <- json_scale(fold_change_scale(object, assay, "5.0.1"))
    request$parts <- structure(
      union(request$parts, "normalized"),
      needed = attr(request$parts, "needed")
    )
  }
  study <- begin_study(
    object, "study_begin", request,
    how = if (of_cells) "on_demand" else "shared",
    message = c(
      handle_of(request), if (!is.null(test)) list(marker_test = test),
      if (!is.null(sisters)) list(sister_test = sisters)
    ),
    assay = assay, groups = groups
  )
  if (isTRUE(request$dry.run)) {
    return(plan_annotation(request, study$blocks))
  }
  answer <- run_annotation(request, blocks = study$blocks)
  rows <- if (of_cells) each_cell(object) else groups
  rows$skipped <- of_cells
  labelled <- deliver(object, answer, rows, request$key)
  remember_annotated(answer$value$run, request$key)
  following <- if (following) next_line(labelled, "LastAnnotated()", request$key)
  show_annotations(answer, request$verbose, following)
  labelled
}

# A marker table alone: its clusters are those of the study, and the answer is a table.
annotate_table <- function(table, request) {
  request$source <- "given"
  request <- open_request(request)
  on.exit(discard(request$kept))
  column <- request$cluster.column %||% if (request$group.by != "ident") request$group.by
  request$markers <- read_request_markers(request, table, column)
  study <- list(markers = json_text(request$markers), object = json_text("data.frame"))
  message <- c(handle_of(request), list(study = c(study, json_context(request))))
  bridge_call("study_begin", message, verbose = request$verbose)
  if (isTRUE(request$dry.run)) {
    return(plan_annotation(request))
  }
  return_table(run_annotation(request), request$verbose)
}

# The clusters to compare the labels of cells with. Without a clustering there is none, which is no
# error here, unless a column was asked for.
cell_groups <- function(object, request) {
  none <- function(cnd) {
    if (request$group.by != "ident") stop(cnd)
    list(key = NULL, names = character(), codes = rep(NA_integer_, ncol(object)), column = NULL)
  }
  tryCatch(
    {
      groups <- extract_groups(object, request$group.by, request$columns)
      if (is.null(request$run)) check_clustering(object, groups)
      groups
    },
    cellferry_group_missing_error = none, cellferry_group_empty_error = none,
    cellferry_group_not_clusters_error = none
  )
}

# Refuses a measurement or names of cells in the place of clusters, unless a marker table has them.
check_clustering <- function(object, groups, markers = NULL) {
  numbers <- if (!is.null(groups$numbers)) {
    list(
      fraction = json_text(groups$numbers$fraction), largest = json_number(groups$numbers$largest)
    )
  }
  metadata <- extract_metadata(object)
  candidates <- Filter(function(name) {
    3L * length(unique(metadata[[name]])) <= nrow(metadata)
  }, cluster_columns(metadata))
  bridge_call("check_clustering", list(
    key = json_text(groups$key), names = json_texts(groups$names),
    sizes = tabulate(groups$codes, length(groups$names)), numbers = numbers,
    markers = json_text(markers),
    candidates = json_texts(candidates)
  ))
  invisible()
}

# One of the long calls. `blocks` are what Python may ask for meanwhile; see bridge-transport.R.
run_annotation <- function(request, name = "annotate", message = handle_of(request),
                           outgoing = new_outgoing(), blocks = NULL) {
  shown <- draws_progress(request$verbose)
  on.exit(if (shown) clear_progress())
  progress <- if (shown) progress_line("Annotating", request$level)
  call <- function(callback) {
    bridge_call(name, message, outgoing, callback, verbose = request$verbose)
  }
  with_blocks(blocks %||% list(), progress, call)
}

# What would be done, in words and in numbers.
plan_annotation <- function(request, blocks = NULL, name = "plan",
                            message = handle_of(request)) {
  plan <- run_annotation(request, name, message, blocks = blocks)$value
  plan$notes <- as.character(unlist(plan$notes))
  plan$cost_usd <- plan$cost_usd %||% NA_real_
  structure(plan, class = "cellferry_plan")
}

#' @export
print.cellferry_plan <- function(x, ...) {
  cat(x$text, "\n", sep = "")
  invisible(x)
}
