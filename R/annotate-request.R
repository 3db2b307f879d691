# What every annotation is made of: the request, checked and as a message, and at the end the answer
# on its way onto the object and to the user.

# The checked arguments of AnnotateClusters() and AnnotateCells().
new_request <- function(engine, options, group.by, key, tissue, species, study.context, assay,
                        overwrite, allow.upload, verbose, level = "clusters", dry.run = FALSE,
                        within = NULL, levels = FALSE, key.given = TRUE) {
  check_text(group.by, "group.by")
  check_text(key, "key")
  check_text(tissue, "tissue", null = TRUE)
  check_text(species, "species", null = TRUE)
  check_text(study.context, "study.context", null = TRUE)
  check_text(assay, "assay", null = TRUE)
  check_text(within, "within", null = TRUE)
  check_flag(levels, "levels")
  check_flag(overwrite, "overwrite")
  check_flag(allow.upload, "allow.upload")
  check_flag(verbose, "verbose")
  check_flag(dry.run, "dry.run")
  list(
    engine = with_options(engine, options, level), group.by = group.by, key = key,
    tissue = tissue, species = species, study.context = study.context, assay = assay,
    overwrite = overwrite, allow.upload = allow.upload, verbose = verbose, level = level,
    dry.run = dry.run, within = within, levels = levels, key.given = key.given
  )
}

# Nobody chose the key: labels within those of ours take their place.
with_key <- function(request, object) {
  within <- request$within
  if (is.null(within) || isTRUE(request$key.given)) {
    return(request)
  }
  json <- extract_stored(object)[[within]]
  level <- if (!is.null(json)) tryCatch(from_json(json)$provenance$level, error = function(e) NA)
  if (!is.null(json) && !level %in% c("cells", NA)) request$key <- within
  request
}

# The engine with the options from `...`. An unknown engine is left to the core, which knows the
# names.
with_options <- function(engine, options, level = "clusters",
                         caller = if (level == "cells") "AnnotateCells" else "AnnotateClusters") {
  chosen <- as_engine(engine)
  described <- describe_backend()
  known <- described[[if (level == "cells") "cell_engines" else "engines"]]
  if (chosen$name %in% names(known)) {
    valid <- if (is.character(engine)) names(known[[chosen$name]]) else character()
    check_dots(options, caller, chosen$name, valid)
    if (level == "cells") {
      chosen$options <- cell_options(
        chosen$options, described$engines[[chosen$name]], known[[chosen$name]]
      )
    }
  }
  chosen$options[names(options)] <- hide_secrets(options)
  chosen
}

# An engine made for clusters may have options that mean nothing for cells: those at their default
# are left out, and the core refuses the others.
cell_options <- function(options, for_clusters, valid) {
  usual <- vapply(names(options), function(option) {
    !option %in% names(valid) && isTRUE(all.equal(options[[option]], for_clusters[[option]]))
  }, NA)
  options[!usual]
}

# Refuses an unknown engine or option, a bad key, a foreign column, a missing consent and a missing
# key, before anything is computed. The request then has a handle in Python, and the parts of an
# object that its engine reads; discard(request$kept) gives all of it back.
open_request <- function(request, object = NULL) {
  request$kept <- new_kept()
  outgoing <- new_outgoing()
  target <- if (!is.null(object)) {
    c(
      json_target(object, request$key), json_labelled(outgoing, object, request$key),
      json_within(outgoing, object, request$within)
    )
  }
  answer <- with_key_prompt(request$engine, {
    bridge_call("request", c(json_request(request), target), outgoing, verbose = request$verbose)
  })$value
  request$kept$handles <- answer$handle
  request$handle <- answer$handle
  request$columns <- as.character(unlist(answer$columns))
  needed <- as.character(unlist(answer$needs))
  request$parts <- structure(union(needed, as.character(unlist(answer$uses))), needed = needed)
  request
}

json_request <- function(request) {
  names <- c(
    "group.by", "key", "tissue", "species", "study.context", "assay", "overwrite", "within"
  )
  parameters <- c(request[intersect(names, names(request))], markers = request$source)
  list(
    engine = json_engine(request$engine), key = json_text(request$key),
    overwrite = json_flag(request$overwrite), allow_upload = json_flag(request$allow.upload),
    level = json_text(request$level), run = json_text(request$run),
    dry_run = json_flag(isTRUE(request$dry.run)), levels = json_flag(isTRUE(request$levels)),
    parameters = json_record(lapply(parameters, json_value))
  )
}

# What the object has that a new column could collide with.
json_target <- function(object, key) {
  reserved <- lapply(extract_reserved(object), function(names) json_texts(as.character(names)))
  list(
    existing = json_texts(names(extract_metadata(object))), reserved = json_record(reserved),
    extent = list(cells = json_number(ncol(object)), genes = json_number(nrow(object))),
    stored = json_record(lapply(extract_stored(object), json_text)),
    unrecorded = json_flag(
      is.null(extract_stored(object)[[key]]) && looks_written(extract_metadata(object), key)
    )
  )
}

# What the object has under a key, for decisions and edits by hand to be judged: the names of its
# cells, and its columns of the key and of the clusters that were annotated, and one more if asked.
# `always` also where there is no record.
json_labelled <- function(outgoing, object, key, more = NULL, always = FALSE) {
  if (is.null(extract_stored(object)[[key]]) && !always) {
    return(NULL)
  }
  list(labelled = json_label_columns(outgoing, object, key, more))
}

# The names of the cells, and the columns of some keys and of their clusters.
json_label_columns <- function(outgoing, object, keys, more = NULL) {
  metadata <- extract_metadata(object)
  suffixes <- c(names(written_columns), "decision", "cluster")
  suffixes <- ifelse(nzchar(suffixes), paste0("_", suffixes), "")
  names <- as.vector(outer(suffixes, keys, function(suffix, key) paste0(key, suffix)))
  columns <- as.list(metadata[intersect(c(names, more), names(metadata))])
  for (json in extract_stored(object)[keys]) {
    provenance <- tryCatch(from_json(json)$provenance, error = function(cnd) NULL)
    more <- unique(c(more, provenance$group_column, provenance$group_key))
  }
  for (name in setdiff(more, names(columns))) {
    # "ident" is no column of the metadata.
    groups <- tryCatch(extract_groups(object, name), cellferry_error = function(cnd) NULL)
    if (!is.null(groups)) {
      columns[[name]] <- factor(groups$names[groups$codes], levels = groups$names)
    }
  }
  cells <- extract_cells(object)
  frame <- structure(columns, class = "data.frame", row.names = .set_row_names(length(cells)))
  list(cells = json_texts(cells), frame = pack_frame(outgoing, frame))
}

# The labels within which an object is annotated, as json_labelled() has them, or a foreign column.
json_within <- function(outgoing, object, within) {
  if (is.null(within)) {
    return(NULL)
  }
  columns <- names(extract_metadata(object))
  if (!within %in% columns) {
    cellferry_stop(
      "group_missing",
      paste0("`within` names \"", within, "\", and the metadata has no such column."),
      c(did_you_mean(within, columns), "Annotate the clusters first: x <- AnnotateClusters(x)")
    )
  }
  stored <- extract_stored(object)[within]
  stored <- stored[!vapply(stored, is.null, NA)]
  list(within = c(
    list(key = json_text(within), stored = json_record(lapply(stored, json_text))),
    json_labelled(outgoing, object, within, always = TRUE)
  ))
}

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

handle_of <- function(request) list(handle = json_text(request$handle))

# The markers of a request, read by Python, which keeps them: their handle.
read_request_markers <- function(request, markers, cluster.column = NULL) {
  found <- open_markers(
    markers, cluster.column, request$gene.column,
    verbose = request$verbose
  )
  request$kept$handles <- c(request$kept$handles, found$handle)
  found$handle
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

# The cells as groups of one.
each_cell <- function(object) {
  cells <- extract_cells(object)
  list(names = cells, codes = seq_along(cells))
}

# One of the long calls. `blocks` are what Python may ask for meanwhile; see bridge-transport.R.
run_annotation <- function(request, name = "annotate", message = handle_of(request),
                           outgoing = new_outgoing(), blocks = NULL) {
  shown <- request$verbose && interactive()
  on.exit(if (shown) clear_progress())
  progress <- if (shown) progress_line("Annotating", request$level)
  call <- function(callback) {
    bridge_call(name, message, outgoing, callback, verbose = request$verbose)
  }
  if (is.null(blocks)) call(progress) else with_blocks(blocks, progress, call)
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

deliver <- function(object, answer, groups, key) {
  delivery <- unpack_frame(answer$value$delivery, answer$buffers)
  # `cluster` names the rows; a metadata column of that name is the user's own.
  columns <- setdiff(names(delivery), "cluster")
  if (isTRUE(answer$value$by_cell)) {
    groups <- each_cell(object)
    groups$skipped <- identical(answer$value$level, "cells")
  }
  if (isTRUE(groups$skipped)) delivery <- with_skipped(delivery, groups$names, key)
  # What was decided under a record that is lost is not said of other labels.
  decided <- paste0(key, "_decision")
  gone <- c(as.character(unlist(answer$value$gone)), setdiff(decided, columns))
  replaced <- intersect(c(columns, gone), names(extract_metadata(object)))
  json <- with_kept_colors(answer$value$json, extract_stored(object)[[key]])
  attach_annotations(object, delivery, groups, key, json, replaced)
}

# The answer for every cell: those that were not read have no label, and were skipped.
with_skipped <- function(delivery, cells, key) {
  row <- match(cells, delivery$cluster)
  if (!anyNA(row)) {
    return(delivery)
  }
  columns <- lapply(delivery, function(x) x[row])
  columns$cluster <- cells
  name <- paste0(key, "_status")
  status <- factor(columns[[name]], union(levels(columns[[name]]), "skipped"))
  status[is.na(row)] <- "skipped"
  columns[[name]] <- status
  structure(columns, class = "data.frame", row.names = .set_row_names(length(cells)))
}

show_annotations <- function(answer, verbose, following = NULL) {
  if (!verbose) {
    return(invisible())
  }
  table <- new_annotations(answer$value$json, answer$value$key)
  if (!is.null(following) && !any(table$status %in% "ok")) {
    lines <- c(format(table), "", paste(
      "Nothing was named, so there is nothing to draw. Check `species` and the names of the genes;",
      "why each is Unknown is in Annotations(<your object>)$justification."
    ))
  } else {
    lines <- c(format(table), if (!is.null(following)) c("", paste("Next:", following)))
  }
  cellferry_inform(paste(lines, collapse = "\n"), class = "cellferry_table_message")
}

# A table that was shown is returned invisibly, or it would be shown twice.
return_table <- function(answer, verbose) {
  show_annotations(answer, verbose)
  table <- new_annotations(answer$value$json, answer$value$key)
  if (verbose) invisible(table) else table
}

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
#' @examples
#' \dontrun{
#' pbmc <- AnnotateClusters(SeuratObject::pbmc_small)
#' Seurat::DimPlot(LastAnnotated(), group.by = "cell_type", label = TRUE)
#' }
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
