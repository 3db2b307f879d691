# What every annotation is made of: the request, checked and as a message, and at the end the answer
# on its way onto the object and to the user.

# The checked arguments of AnnotateClusters() and AnnotateCells().
new_request <- function(engine, options, group.by, key, tissue, species, study.context, assay,
                        overwrite, allow.upload, verbose, level = "clusters", dry.run = FALSE) {
  check_text(group.by, "group.by")
  check_text(key, "key")
  check_text(tissue, "tissue", null = TRUE)
  check_text(species, "species", null = TRUE)
  check_text(study.context, "study.context", null = TRUE)
  check_text(assay, "assay", null = TRUE)
  check_flag(overwrite, "overwrite")
  check_flag(allow.upload, "allow.upload")
  check_flag(verbose, "verbose")
  check_flag(dry.run, "dry.run")
  list(
    engine = with_options(engine, options, level), group.by = group.by, key = key,
    tissue = tissue, species = species, study.context = study.context, assay = assay,
    overwrite = overwrite, allow.upload = allow.upload, verbose = verbose, level = level,
    dry.run = dry.run
  )
}

# The engine with the options from `...`. An unknown engine is left to the core, which knows the
# names.
with_options <- function(engine, options, level = "clusters") {
  chosen <- as_engine(engine)
  described <- describe_backend()
  known <- described[[if (level == "cells") "cell_engines" else "engines"]]
  if (chosen$name %in% names(known)) {
    valid <- if (is.character(engine)) names(known[[chosen$name]]) else character()
    caller <- if (level == "cells") "AnnotateCells" else "AnnotateClusters"
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
  target <- if (!is.null(object)) json_target(object)
  answer <- with_key_prompt(request$engine, {
    bridge_call("request", c(json_request(request), target), verbose = request$verbose)
  })$value
  request$kept$handles <- answer$handle
  request$handle <- answer$handle
  needed <- as.character(unlist(answer$needs))
  request$parts <- structure(union(needed, as.character(unlist(answer$uses))), needed = needed)
  request
}

json_request <- function(request) {
  names <- c("group.by", "key", "tissue", "species", "study.context", "assay", "overwrite")
  parameters <- c(request[intersect(names, names(request))], markers = request$source)
  list(
    engine = json_engine(request$engine), key = json_text(request$key),
    overwrite = json_flag(request$overwrite), allow_upload = json_flag(request$allow.upload),
    level = json_text(request$level), run = json_text(request$run),
    dry_run = json_flag(isTRUE(request$dry.run)),
    parameters = json_record(lapply(parameters, json_value))
  )
}

# What the object has that a new column could collide with.
json_target <- function(object) {
  reserved <- lapply(extract_reserved(object), function(names) json_texts(as.character(names)))
  list(
    existing = json_texts(names(extract_metadata(object))), reserved = json_record(reserved),
    extent = list(cells = json_number(ncol(object)), genes = json_number(nrow(object))),
    stored = json_record(lapply(extract_stored(object), json_text))
  )
}

# The one way from an object to its labels, for clusters and for cells: a new run, or, with
# `request$run`, one to go on with. `markers` are those of the user, if any.
annotate_object <- function(object, request, name, markers = NULL) {
  check_object(object)
  of_cells <- request$level == "cells"
  request$source <- if (of_cells) "none" else if (is.null(markers)) "computed" else "given"
  request <- open_request(request, object)
  on.exit(discard(request$kept))
  assay <- extract_assay(object, request$assay)
  groups <- if (of_cells) {
    cell_groups(object, request$group.by)
  } else {
    extract_groups(object, request$group.by)
  }
  # A run has its markers.
  if (!of_cells && is.null(request$run)) {
    markers <- markers %||% compute_markers(object, groups, assay, request$verbose)
    request$markers <- read_request_markers(request, markers)
  }
  study <- begin_study(
    object, "study_begin", request,
    how = if (of_cells) "on_demand" else "shared", message = handle_of(request),
    assay = assay, groups = groups
  )
  if (isTRUE(request$dry.run)) {
    return(plan_annotation(request, study$blocks))
  }
  answer <- run_annotation(request, blocks = study$blocks)
  rows <- if (of_cells) each_cell(object) else groups
  labelled <- deliver(object, answer, rows, request$key)
  show_annotations(answer, request$verbose, next_line(labelled, name, request$key))
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
cell_groups <- function(object, group.by) {
  none <- function(cnd) {
    if (group.by != "ident") stop(cnd)
    list(key = NULL, names = character(), codes = rep(NA_integer_, ncol(object)), column = NULL)
  }
  tryCatch(
    extract_groups(object, group.by),
    cellferry_group_missing_error = none, cellferry_group_empty_error = none
  )
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
  replaced <- intersect(columns, names(extract_metadata(object)))
  attach_annotations(object, delivery, groups, key, answer$value$json, replaced)
}

show_annotations <- function(answer, verbose, following = NULL) {
  if (!verbose) {
    return(invisible())
  }
  table <- new_annotations(answer$value$json, answer$value$key)
  lines <- c(format(table), if (!is.null(following)) c("", paste("Next:", following)))
  cellferry_inform(paste(lines, collapse = "\n"), class = "cellferry_table_message")
}

# A table that was shown is returned invisibly, or it would be shown twice.
return_table <- function(answer, verbose) {
  show_annotations(answer, verbose)
  table <- new_annotations(answer$value$json, answer$value$key)
  if (verbose) invisible(table) else table
}

# What to paste next. The object's own name is used when it was given by name.
next_line <- function(object, name, key) {
  if (is.null(name)) {
    return(NULL)
  }
  if (is_seurat(object) && !is.null(extract_coordinates(object))) {
    return(paste0("DimPlot(", name, ", group.by = \"", key, "\", label = TRUE)"))
  }
  paste0("table(", name, "$", key, ")")
}

object_name <- function(expression) {
  if (is.symbol(expression)) as.character(expression) else "x"
}
