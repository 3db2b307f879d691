# What every annotation is asked with: the request, checked, and as a message.

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
  known <- describe_engine(chosen$name, level)$options
  if (!is.null(known)) {
    valid <- if (is.character(engine)) names(known) else character()
    check_dots(options, caller, chosen$name, valid)
    if (level == "cells") {
      for_clusters <- describe_engine(chosen$name)$options
      chosen$options <- cell_options(chosen$options, for_clusters, known)
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
      json_within(outgoing, object, request$within, request$earlier.key)
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
  suffixes <- c(names(written_columns), "raw", "voted", "decision", "cluster")
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
# A run that is gone on with has them already: of an object that still has them, it is for what was
# decided about them.
json_within <- function(outgoing, object, within, of.run = NULL) {
  columns <- names(extract_metadata(object))
  if (is.null(within)) {
    of.run <- intersect(of.run, columns)
    return(if (length(of.run)) list(within_of_run = json_earlier(outgoing, object, of.run)))
  }
  if (!within %in% columns) {
    cellferry_stop(
      "group_missing",
      paste0("`within` names \"", within, "\", and the metadata has no such column."),
      c(did_you_mean(within, columns), "Annotate the clusters first: x <- AnnotateClusters(x)")
    )
  }
  list(within = json_earlier(outgoing, object, within))
}

json_earlier <- function(outgoing, object, key) {
  stored <- extract_stored(object)[key]
  stored <- stored[!vapply(stored, is.null, NA)]
  c(
    list(key = json_text(key), stored = json_record(lapply(stored, json_text))),
    json_labelled(outgoing, object, key, always = TRUE)
  )
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
