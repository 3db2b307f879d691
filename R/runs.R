#' The runs that cellferry remembers
#'
#' Each annotation is a run: a folder that holds what was asked, every finished answer and the
#' result, and never a secret. It is kept in the user's data folder; the environment variable
#' `CELLFERRY_HOME` names another place.
#'
#' @return A data frame, newest first: `run`, `created`, `engine`, `status` (`finished`,
#'   `unfinished`, `interrupted` or `failed`), `key`, `folder`.
#' @family runs
#' @examples
#' \dontrun{
#' ListRuns()
#' }
#' @export
ListRuns <- function() {
  answer <- bridge_call("runs_list")
  unpack_frame(answer$value$frame, answer$buffers)
}

#' Go on with an annotation that was interrupted
#'
#' What was finished is not done or paid again. A run that is finished gives its result, so this
#' also brings back labels that were never assigned.
#'
#' @param object The object that was annotated, in any order of cells; that it is the same is
#'   checked. `NULL` returns the table alone.
#' @param run Id of the run, see [ListRuns()]; `NULL` is the newest one.
#' @param overwrite Whether columns of these names that cellferry did not write may be replaced.
#' @param verbose Whether to show messages, progress and the table of labels.
#'
#' @return The object with the new columns, or what [Annotations()] returns.
#' @family runs
#' @examples
#' \dontrun{
#' x <- ResumeAnnotation(x)
#' }
#' @export
ResumeAnnotation <- function(object = NULL, run = NULL, overwrite = FALSE, verbose = TRUE) {
  check_text(run, "run", null = TRUE)
  check_flag(overwrite, "overwrite")
  check_flag(verbose, "verbose")
  run <- run %||% newest_run()
  share_keys(recorded_key_variable(run))
  if (is.null(object)) {
    answer <- resume_run(list(run = json_text(run), study = NULL), verbose)
    return(return_table(answer, verbose))
  }
  if (!is_cell_object(object)) {
    cellferry_stop(
      "unsupported_object",
      paste0("Labels can't be written into an object of class ", class(object)[1], "."),
      "Valid: a Seurat object, a SingleCellExperiment, or NULL for the table alone."
    )
  }
  name <- object_name(substitute(object))
  record <- bridge_call("run_show", list(run = json_text(run)))$value
  request <- recorded_request(record, overwrite, verbose)
  if (identical(record$level, "cells")) {
    finished <- record$status == "finished"
    # What is missing may need a key, which is asked for before anything is read.
    request[c("level", "run", "resumed")] <- list("cells", record$id, finished)
    return(annotate_cells(object, request, name, finished = finished))
  }
  check_request(request, object)
  groups <- extract_groups(object, request$group.by)
  parcel <- new_parcel()
  study <- json_study(parcel, object, groups, extract_assay(object, request$assay), NULL, request)
  message <- list(run = json_text(run), study = study)
  answer <- resume_run(message, verbose, parcel)
  labelled <- deliver(object, answer, groups, request$key)
  show_annotations(answer, verbose, next_line(labelled, name, request$key))
  labelled
}

newest_run <- function() {
  runs <- ListRuns()
  if (!nrow(runs)) {
    cellferry_stop(
      "run_not_found", "There is no run yet.", "Annotate first: x <- AnnotateClusters(x)"
    )
  }
  runs$run[1]
}

resume_run <- function(message, verbose, parcel = new_parcel()) {
  engine <- new_engine("of the run")
  with_asked_key(engine, {
    asked <- asked_keys(engine)
    message$secrets <- if (!is.null(asked)) json_record(lapply(asked, json_text))
    run_annotation("run_resume", message, verbose, parcel)
  })
}

# A key is never recorded, the name of the variable that holds it is.
recorded_key_variable <- function(run) {
  bridge_call("run_show", list(run = json_text(run)))$value$options$api_key_env
}

# The arguments of the verb, from the record of the run. Consent was given when it was made, and
# its options are the core's to read, so that only the key is checked again.
recorded_request <- function(record, overwrite, verbose) {
  kept <- record$provenance$parameters
  list(
    engine = as_engine(record$engine), group.by = kept$group.by %||% "ident",
    key = record$provenance$key %||% "cell_type", tissue = kept$tissue, species = kept$species,
    study.context = kept$study.context, assay = kept$assay, overwrite = overwrite,
    allow.upload = TRUE, verbose = verbose, resumed = TRUE
  )
}
