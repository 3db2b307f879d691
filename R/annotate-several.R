# Several engines in one call: each answers the clusters, and what they agree on is the answer.

# An engine is a list too, of a class.
is_several <- function(engine) {
  (is.list(engine) && !inherits(engine, "cellferry_engine")) ||
    (is.character(engine) && length(engine) > 1L)
}

named_engines <- function(engines) {
  given <- names(engines) %||% rep("", length(engines))
  named <- vapply(engines, function(engine) {
    if (is.character(engine)) engine[1] else as.character(engine$name %||% "")
  }, "")
  given <- ifelse(nzchar(given), given, named)
  line <- "engine = list(one = \"local\", other = LLMEngine(\"openai\", \"gpt-5\"))"
  twice <- unique(given[duplicated(given)])
  if (!length(given) || length(twice)) {
    problem <- if (length(given)) {
      paste0("Several engines are named ", listing(twice), ".")
    } else {
      "There is no engine."
    }
    cellferry_stop("invalid_option", problem, paste("Name them:", line))
  }
  wrong <- given[!grepl("^[[:alnum:]_.]+$", given)]
  if (length(wrong)) {
    cellferry_stop(
      "invalid_option",
      paste0("\"", wrong[1], "\" is no name for an engine: it is part of the name of a column."),
      "Use letters, digits, `_` and `.`."
    )
  }
  stats::setNames(as.list(engines), given)
}

check_alone <- function(options, within) {
  given <- c(names(options), if (!is.null(within)) "within")
  if (length(given)) {
    cellferry_stop(
      "invalid_option", paste0("`", given[1], "` is for one engine, and there are several."),
      "Options are given to each: engine = list(a = LocalEngine(n_genes = 30), b = ...)"
    )
  }
}

found_once <- function(object, group.by, assay, verbose) {
  FindClusterMarkers(
    object,
    group.by = group.by, assay = assay, only.pos = TRUE, logfc.threshold = 0.25, min.pct = 0.1,
    rules = "5.0.1", verbose = verbose
  )
}

# The requests of several engines, which differ in the engine and the key.
requests_of <- function(group.by, tissue, species, study.context, assay, overwrite, allow.upload) {
  function(engine, key) {
    new_request(
      engine, list(), group.by, key, tissue, species, study.context, assay, overwrite,
      allow.upload, FALSE
    )
  }
}

# `ask` annotates by one engine, given what it is asked of and the request.
annotate_by_several <- function(object, engines, key, request_of, ask, verbose, levels = FALSE,
                                dry.run = FALSE) {
  check <- function(engine, key) {
    whole <- if (is_cell_object(object)) check_object(object)
    opened <- open_request(request_of(engine, key), whole)
    discard(opened$kept)
  }
  engines <- named_engines(engines)
  keys <- paste0(key, "_", names(engines))
  check_flag(dry.run, "dry.run")
  if (dry.run) {
    return(plan_of_several(object, engines, keys, request_of, ask))
  }
  # All of them could begin, and all columns may be written, before the first does.
  check(engines[[1]], key)
  for (i in seq_along(engines)) check(engines[[i]], keys[i])
  failed <- list()
  first <- NULL
  tables <- list()
  for (i in seq_along(engines)) {
    name <- names(engines)[i]
    if (verbose) cellferry_inform(paste0("Annotating by ", name, "."))
    answer <- tryCatch(
      ask(object, request_of(engines[[i]], keys[i])),
      cellferry_error = function(cnd) cnd
    )
    if (inherits(answer, "cellferry_error")) {
      first <- first %||% answer
      failed[[name]] <- as.character(answer$message)
      if (verbose) cellferry_inform(paste0(name, " failed, and is no vote: ", answer$message))
      next
    }
    if (is_cell_object(object)) object <- answer
    tables[[name]] <- stored_annotations(answer, if (is_cell_object(object)) keys[i])$json
  }
  if (!length(tables)) rlang::cnd_signal(first)
  agreed(object, tables, failed, key, keys, verbose, levels)
}

# What all engines would do together.
plan_of_several <- function(object, engines, keys, request_of, ask) {
  plans <- lapply(seq_along(engines), function(i) {
    request <- request_of(engines[[i]], keys[i])
    request$dry.run <- TRUE
    ask(object, request)
  })
  all <- plans[[1]]
  for (name in c("calls", "bytes_sent", "input_tokens", "output_tokens", "cost_usd")) {
    all[[name]] <- sum(vapply(plans, function(plan) as.double(plan[[name]]), 0))
  }
  all$engine <- paste(names(engines), collapse = " + ")
  all$notes <- unlist(lapply(seq_along(plans), function(i) {
    paste0(names(engines)[i], ": ", plans[[i]]$notes, recycle0 = TRUE)
  }))
  texts <- vapply(plans, function(plan) plan$text, "")
  all$text <- paste0(names(engines), " is ", texts, collapse = "\n")
  all
}

# Several files are one object only where one engine reads them.
check_one_path <- function(object) {
  if (length(object) > 1L) {
    cellferry_stop(
      "invalid_option",
      "Several files are annotated by one engine, and there are several engines.",
      "Write the files as one, or name one engine."
    )
  }
}

# The object of an .rds is labelled here; all other files are read in Python.
annotate_path_by_several <- function(path, asked, output) {
  found <- object_of_path(path)
  if (is.null(found)) {
    return(annotate_file_by_several(path, asked, output))
  }
  if (isTRUE(asked$dry.run)) {
    return(do.call(AnnotateClusters, c(list(found), asked)))
  }
  if (is_marker_source(found)) {
    check_table(list(level = "clusters", within = NULL), output = output)
    return(do.call(AnnotateClusters, c(list(found), asked)))
  }
  check_output(output, asked$overwrite)
  labelled <- do.call(AnnotateClusters, c(list(found), asked))
  if (!is.null(output)) write_rds(labelled, path.expand(output))
  table <- Annotations(labelled, asked$key)
  if (asked$verbose) invisible(table) else table
}

annotate_file_by_several <- function(path, asked, output) {
  engines <- lapply(named_engines(asked$engine), as_engine)
  request <- requests_of(
    asked$group.by, asked$tissue, asked$species, asked$study.context, asked$assay,
    asked$overwrite, asked$allow.upload
  )(engines[[1]], asked$key)
  request$levels <- asked$levels
  request$dry.run <- asked$dry.run
  request$verbose <- asked$verbose
  request$kept <- new_kept()
  on.exit(discard(request$kept))
  if (!is.null(asked$markers)) request$markers <- read_request_markers(request, asked$markers)
  message <- c(json_request(request), json_context(request), list(
    engines = json_record(lapply(engines, json_engine)), path = json_text(path),
    markers = json_text(request$markers),
    group_key = if (request$group.by != "ident") json_text(request$group.by),
    output = json_text(output)
  ))
  if (isTRUE(asked$dry.run)) {
    return(plan_annotation(request, message = message, name = "annotate_file"))
  }
  return_table(run_annotation(request, "annotate_file", message), request$verbose)
}

agreed <- function(object, tables, failed, key, keys, verbose, levels) {
  outgoing <- new_outgoing()
  message <- list(
    tables = json_record(lapply(tables, json_text)), key = json_text(key),
    failed = json_record(lapply(failed, json_text)), levels = json_flag(levels)
  )
  of_cells <- is_cell_object(object)
  if (of_cells) {
    stored <- extract_stored(object)
    message$stored <- json_record(lapply(stored, json_text))
    message$labelled <- json_label_columns(
      outgoing, object, intersect(c(keys, key), names(stored)),
      paste0(key, "_", c("broad", "medium", "fine"))
    )
  }
  answer <- bridge_call("consensus_tables", message, outgoing, verbose = verbose)
  if (!of_cells) {
    return(return_table(answer, verbose))
  }
  labelled <- deliver(object, answer, each_cell(object), key)
  # Beside the answer there are the labels alone; the records have the rest.
  suffixes <- setdiff(names(written_columns), "")
  labelled <- without_columns(labelled, as.vector(outer(keys, suffixes, paste, sep = "_")))
  show_annotations(answer, verbose)
  labelled
}
