#' The runs that cellferry remembers
#'
#' Each annotation is a run: a folder with what was asked, every finished answer and the
#' result, and never a secret. It is kept in the user's data folder; the environment variable
#' `CELLFERRY_HOME` names another place.
#'
#' @return A data frame, newest first, each run once: `run`, `created`, `engine`, `status`
#'   (`finished`, `unfinished`, `interrupted`, `failed`, or `running` while a process works on it),
#'   `key`, `folder`, `tissue`, the number of `cells` (`NA` for a marker table), and the `bytes`
#'   that its folder takes on the disk.
#' @family runs
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' ListRuns()
#' @export
ListRuns <- function() {
  answer <- bridge_call("runs_list")
  unpack_frame(answer$value$frame, answer$buffers)
}

#' Delete runs
#'
#' Deletes what cellferry remembers of runs: their records, journals and answers. Labels in
#' objects, and the files that a run wrote beside its folder, stay; so does whatever else is in the
#' folder. A run that a process works on is not deleted.
#'
#' @param run Ids of runs, see [ListRuns()], or their folders.
#' @param older.than Only runs that began so long ago: a number of days, or text such as `"30d"`,
#'   `"12h"` or `"4w"`.
#' @param finished Whether only runs are meant whose answer is complete.
#' @param keep The newest so many of all runs are never deleted.
#' @param dry.run Whether only to say what would be deleted.
#'
#' @return A data frame, invisibly: `run`, `folder`, the `bytes` that it took, and what was `kept`
#'   in its folder.
#' @family runs
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' PruneRuns(older.than = "30d", dry.run = TRUE)
#' DeleteRun(ListRuns()$run[1])
#' @export
DeleteRun <- function(run, dry.run = FALSE) {
  check_texts(run, "run")
  check_flag(dry.run, "dry.run")
  delete_runs(list(runs = json_texts(run), dry_run = json_flag(dry.run)))
}

#' @rdname DeleteRun
#' @export
PruneRuns <- function(older.than = NULL, finished = FALSE, keep = NULL, dry.run = FALSE) {
  check_flag(finished, "finished")
  check_flag(dry.run, "dry.run")
  if (is.numeric(older.than)) older.than <- paste0(format(older.than, scientific = FALSE), "d")
  check_text(older.than, "older.than", null = TRUE)
  message <- list(
    older_than = json_text(older.than), finished = json_flag(finished),
    dry_run = json_flag(dry.run)
  )
  if (!is.null(keep)) {
    check_count(keep, "keep", least = 0)
    message$keep <- json_number(keep)
  }
  delete_runs(message)
}

delete_runs <- function(message) {
  answer <- bridge_call("runs_delete", message)
  invisible(unpack_frame(answer$value$frame, answer$buffers))
}

#' Go on with an annotation that was interrupted
#'
#' What was finished is not done or paid again, for clusters and for cells alike. A run that is
#' finished gives its result, so this also brings back labels that were never assigned.
#'
#' @param object The object that was annotated, in any order of cells; that it is the same is
#'   checked. `NULL` returns the table alone; a run about cells that was stopped needs the object,
#'   because a run keeps no expression. A path (`.rds`, `.h5ad`, a zarr folder, or for cells a 10x
#'   `.h5` or folder) returns the table, and writes the object where `output` says.
#' @param run Id of the run, see [ListRuns()]; `NULL` is the newest one.
#' @param overwrite Whether columns of these names that cellferry did not write may be replaced.
#' @param verbose Whether to show messages, progress and the table of labels.
#' @param output Of a path: where the labelled object goes, an `.rds` where that was read, else an
#'   `.h5ad`. `NULL` writes none.
#' @param scheduler Of a run about cells whose cluster of dask was lost: the address of another,
#'   which goes on with it. No run remembers one.
#'
#' @return The object with the new columns, or what [Annotations()] returns.
#' @family runs
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' x <- ResumeAnnotation(x, overwrite = TRUE, verbose = FALSE)
#' @examples
#' \dontrun{
#' ResumeAnnotation("pbmc.h5ad", output = "labelled.h5ad")
#' }
#' @export
ResumeAnnotation <- function(object = NULL, run = NULL, overwrite = FALSE, verbose = TRUE,
                             output = NULL, scheduler = NULL) {
  check_text(run, "run", null = TRUE)
  check_text(scheduler, "scheduler", null = TRUE)
  check_flag(overwrite, "overwrite")
  check_flag(verbose, "verbose")
  check_output_of_path(output, object)
  record <- bridge_call("run_show", list(run = json_text(run %||% newest_run())))$value
  # A key is never recorded, the name of the variable that has it is.
  share_keys(record$engine, record$options$api_key_env)
  request <- recorded_request(record, overwrite, verbose)
  if (!is.null(scheduler)) request$engine$options$scheduler <- scheduler
  if (is.null(object)) {
    return(return_table(resume_table(request), verbose))
  }
  if (is_path(object)) {
    return(annotate_file(path.expand(object), request, output))
  }
  if (!is_cell_object(object)) {
    cellferry_stop(
      "unsupported_object",
      paste0("Labels can't be written into an object of class ", class(object)[1], "."),
      "Valid: a Seurat object, a SingleCellExperiment, a path, or NULL for the table alone."
    )
  }
  annotate_object(object, request)
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

# Without the object there is no column to be checked, and Python has all that it needs in the run.
resume_table <- function(request) {
  with_key_prompt(request$engine, {
    message <- list(
      run = json_text(request$run),
      secrets = json_record(lapply(prompted_keys(request$engine), json_text))
    )
    run_annotation(request, "run_resume", message)
  })
}

# The arguments of the call, from the record of the run. Consent was given when it was made, and
# its options are the core's to read.
recorded_request <- function(record, overwrite, verbose) {
  kept <- record$provenance$parameters
  list(
    engine = as_engine(record$engine), group.by = kept$group.by %||% "ident",
    key = record$provenance$key %||% "cell_type", tissue = kept$tissue, species = kept$species,
    study.context = kept$study.context, assay = kept$assay, overwrite = overwrite,
    allow.upload = TRUE, verbose = verbose, level = record$level %||% "clusters", run = record$id,
    earlier.key = record$provenance$within$key
  )
}

#' Ask one cluster again, with your remark
#'
#' Asks the language model, or the CyteType service, that annotated the clusters about one of them
#' again. The question is the earlier one with your remark, which is sent to the host of the model
#' or service and kept in the run. All other clusters keep their answers and cost nothing. Where the
#' cluster gets no answer, the earlier one stays. What it was called before is kept with the answer.
#'
#' @param object The object that was annotated; `NULL` gives the table alone.
#' @param cluster Name of the cluster.
#' @param remark What its answer missed, in a sentence or two, for the model.
#' @param key Name of the label column that is meant; `NULL` is the newest of the object.
#' @param run Id of the run, see [ListRuns()]; `NULL` is the one that the object was labelled by,
#'   and without an object the newest.
#' @inheritParams ResumeAnnotation
#' @param allow.upload Whether the engine may send expression or metadata to another host than that
#'   of the run. Nothing is looked up in the expression when a cluster is asked again from R.
#'
#' @return The object with the new columns, or what [Annotations()] returns.
#' @family runs
#' @examples
#' \dontrun{
#' x <- AnnotateClusters(x, engine = LLMEngine("openai", "gpt-5"))
#' x <- Reannotate(x, "3", "Sorted for CD138, so these should be plasma cells.")
#' }
#' @export
Reannotate <- function(object = NULL, cluster, remark, key = NULL, run = NULL, overwrite = FALSE,
                       allow.upload = FALSE, verbose = TRUE) {
  if (is.numeric(cluster) || is.factor(cluster)) cluster <- as.character(cluster)
  check_text(cluster, "cluster")
  check_text(remark, "remark")
  check_text(key, "key", null = TRUE)
  check_text(run, "run", null = TRUE)
  check_flag(overwrite, "overwrite")
  check_flag(allow.upload, "allow.upload")
  check_flag(verbose, "verbose")
  if (is.null(run)) run <- if (is.null(object)) newest_run() else run_of(object, key)
  record <- bridge_call("run_show", list(run = json_text(run)))$value
  share_keys(record$engine, record$options$api_key_env)
  request <- recorded_request(record, overwrite, verbose)
  answer <- with_key_prompt(request$engine, {
    message <- list(
      run = json_text(run), cluster = json_text(cluster), remark = json_text(remark),
      allow_upload = json_flag(allow.upload),
      secrets = json_record(lapply(prompted_keys(request$engine), json_text))
    )
    run_annotation(request, "run_reannotate", message)
  })
  if (is.null(object)) return(return_table(answer, verbose))
  ResumeAnnotation(object, run, overwrite = overwrite, verbose = verbose)
}

# The run that an object was labelled by.
run_of <- function(object, key) {
  run <- attr(Annotations(object, key), "provenance")$run
  if (is.null(run)) {
    cellferry_stop(
      "invalid_option", "The annotations of this object don't say which run they are of.",
      "Name it: Reannotate(x, cluster, remark, run = ListRuns()$run[1])"
    )
  }
  run
}
