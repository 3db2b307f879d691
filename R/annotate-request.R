# What every annotation is made of: the request, checked and as a message, and at the end the answer
# on its way onto the object and to the user.

# The checked arguments of the verb.
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
    verb <- if (level == "cells") "AnnotateCells" else "AnnotateClusters"
    check_dots(options, verb, chosen$name, valid)
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

# Refuses an unknown engine or option, a bad key, a foreign column and a missing consent, before
# anything is computed.
check_request <- function(request, object = NULL) {
  target <- if (!is.null(object)) json_target(object)
  with_asked_key(request$engine, {
    bridge_call("check_request", c(json_request(request), target), verbose = request$verbose)
  })
}

json_request <- function(request) {
  list(
    engine = json_engine(request$engine), key = json_text(request$key),
    overwrite = json_flag(request$overwrite), allow_upload = json_flag(request$allow.upload),
    level = json_text(request$level %||% "clusters"), run = json_text(request$run),
    resumed = json_flag(isTRUE(request$resumed)), dry_run = json_flag(isTRUE(request$dry.run))
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

begin_message <- function(request, markers) {
  names <- c("group.by", "key", "tissue", "species", "study.context", "assay", "overwrite")
  parameters <- c(request[intersect(names, names(request))], markers = markers)
  c(json_request(request), list(parameters = json_record(lapply(parameters, json_value))))
}

# `blocks` are what Python may ask for meanwhile; see bridge-transport.R.
run_annotation <- function(name, message, verbose, parcel = new_parcel(), blocks = NULL) {
  progress <- if (verbose && interactive()) progress_line
  on.exit(if (!is.null(progress)) clear_progress())
  call <- function(on_event) {
    bridge_call(name, message, parcel, on_event = on_event, verbose = verbose)
  }
  if (is.null(blocks)) call(progress) else with_blocks(blocks, progress, call)
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
  if (is_seurat(object) && !is.null(extract_coordinates(object))) {
    return(paste0("DimPlot(", name, ", group.by = \"", key, "\", label = TRUE)"))
  }
  paste0("table(", name, "$", key, ")")
}

object_name <- function(expression) {
  if (is.symbol(expression)) as.character(expression) else "x"
}
