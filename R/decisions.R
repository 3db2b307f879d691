# What a person decides about labels: set, withdrawn, applied from a file, carried over. Python
# decides (annotations/decisions); here it is asked, and what it answers is written. The labels in
# `...` are read in labels.R.

#' Put your own labels in force
#'
#' Says what clusters are, or cells chosen by hand. The label that you give is in force from then
#' on: in `<key>`, in [Annotations()], [SupportingMarkers()] and every report, with what the engine
#' said beside it. It is a decision about the cells: it stays with them in `subset()`, after
#' `RenameCells()`, when clusters get other numbers and when you annotate again under the same key,
#' and never reaches other cells. Where the cells are no cluster any more, the decision is kept and
#' offered; see [CarryDecisions()]. `<key>_decision` says what was decided. Idents are never
#' changed.
#'
#' A label that is the engine's is `accepted`: it stays when the engine says otherwise later. The
#' label "Unknown" is a decision too. Labels are looked up in the Cell Ontology (name, synonym,
#' plural); free text is allowed, with a warning that offers what is near.
#'
#' Decisions are only ever added, to the object and to a file beside the run; the last one about
#' the same cells counts, and [Decisions()] returns all.
#'
#' @param object A Seurat object or a SingleCellExperiment that was annotated, or a table that
#'   [Annotations()] or [AnnotateClusters()] returned.
#' @param ... Labels by the names of clusters, as in `RenameIdents()`: `"3" = "Kupffer cell"`. Or
#'   one argument without a name: a named vector or list, a data frame with the columns `cluster`
#'   and `label` (and, if wanted, `decision`, `ontology_id`, `reason`, `by`), or the path of a csv,
#'   tsv or xlsx with these. With `cells` it is the one label for them.
#' @param cells Names of cells that get the label, in the place of clusters.
#' @param from Metadata column whose labels become decisions: your own edits of `<key>`, or the
#'   labels of another tool; `"ident"` is the active identity, as after `RenameIdents()`. Cells
#'   without a value stay as they are, but in `<key>` itself: a label that you took away is Unknown.
#' @param key Key of the annotations; `NULL` is the newest of clusters, else of cells.
#' @param decision `"accepted"`, `"unknown"` or `"needs_work"`, for the clusters that `clusters`
#'   names, or for `cells`: these take no label.
#' @param clusters Names of clusters that get no label but a `decision`.
#' @param ontology.id Term of the Cell Ontology, where it is not the one that the label finds; for
#'   one label.
#' @param reason Why, in your words; kept with the decision.
#' @param by Who decides; `NULL` is `getOption("cellferry.reviewer")`, else nobody: the name of the
#'   account is never taken.
#' @param overwrite Whether labels of these clusters or cells that were edited by hand in the
#'   metadata may be replaced.
#' @param verbose Whether to say what was decided.
#'
#' @return The object, or the table, with the labels in force.
#' @family decisions
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' x <- SetLabels(x, "0" = "CD8 T cell", "2" = "Memory B cell", reason = "CD27 is high", by = "AB")
#' x <- SetLabels(x, clusters = "1", decision = "needs_work")
#' x$cell_type[1:3] <- NA
#' x <- SetLabels(x, from = "cell_type", reason = "edited by hand")
#' Decisions(x)
#' @examples
#' \dontrun{
#' x <- SetLabels(x, "labels.csv")
#' x <- SetLabels(x, "Plasma cell", cells = Seurat::CellSelector(plot))
#' }
#' @export
SetLabels <- function(object, ..., cells = NULL, from = NULL, key = NULL, decision = NULL,
                      clusters = NULL, ontology.id = NULL, reason = NULL, by = NULL,
                      overwrite = FALSE, verbose = TRUE) {
  check_text(from, "from", null = TRUE)
  check_text(decision, "decision", null = TRUE)
  check_text(ontology.id, "ontology.id", null = TRUE)
  check_flag(overwrite, "overwrite")
  check_flag(verbose, "verbose")
  cells <- names_given(cells, "cells")
  clusters <- names_given(clusters, "clusters")
  target <- decision_target(object, key)
  outgoing <- new_outgoing()
  given <- labels_given(list(...), target, outgoing, alone = !is.null(cells))
  ways <- c(
    "labels" = length(given) > 0L && is.null(cells), "`cells`" = !is.null(cells),
    "`clusters`" = !is.null(clusters), "`from`" = !is.null(from)
  )
  if (sum(ways) != 1L) stop_ways(names(ways)[ways], target)
  if (!is.null(from)) given <- list(column = column_given(object, from, outgoing))
  message <- c(
    target_message(object, target, outgoing), given,
    list(
      cells = json_texts(cells), decision = json_text(decision),
      ontology_id = json_text(ontology.id), overwrite = json_flag(overwrite)
    ),
    if (!is.null(clusters)) list(clusters = json_texts(clusters)),
    said_message(reason, by)
  )
  decided(object, target, "set_labels", message, outgoing, verbose)
}

#' Withdraw decisions
#'
#' Puts the engine's labels in force again. What was decided, and that it was withdrawn, stays in
#' the history.
#'
#' @inheritParams SetLabels
#' @param clusters Names of clusters; of a decision that holds for none any more, the cluster that
#'   it was about.
#' @param cells Names of cells that were decided about by hand.
#'
#' @return The object, or the table, with the labels in force.
#' @family decisions
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' x <- SetLabels(x, "1" = "CD14-positive monocyte")
#' x <- WithdrawDecision(x, "1", reason = "CD14 was ambient")
#' @export
WithdrawDecision <- function(object, clusters = NULL, cells = NULL, key = NULL, reason = NULL,
                             by = NULL, verbose = TRUE) {
  check_flag(verbose, "verbose")
  clusters <- names_given(clusters, "clusters")
  cells <- names_given(cells, "cells")
  if (is.null(clusters) == is.null(cells)) {
    cellferry_stop(
      "invalid_option", "Name either `clusters` or `cells`.",
      "For example: x <- WithdrawDecision(x, \"3\")"
    )
  }
  target <- decision_target(object, key)
  outgoing <- new_outgoing()
  message <- c(
    target_message(object, target, outgoing),
    list(clusters = json_texts(clusters), cells = json_texts(cells)), said_message(reason, by)
  )
  decided(object, target, "withdraw_decision", message, outgoing, verbose)
}

#' The history of decisions
#'
#' Returns what was decided about labels, the oldest first, and writes it to a file for
#' [ApplyDecisions()].
#'
#' @inheritParams SetLabels
#' @param object An annotated object or table, as for [SetLabels()], or the path of an object.
#' @param file Path of a JSON file to write them to, too; an existing file is replaced.
#'
#' @return A data frame with one row for each decision: `at` (the time in UTC), `cluster` (`NA` of
#'   cells), `n_cells`, `decision`, `label`, `ontology_id`, `by`, `reason`, `state` (in force,
#'   replaced, withdrawn, stale), `run` and `id`.
#' @family decisions
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' x <- SetLabels(x, "1" = "CD14-positive monocyte")
#' Decisions(x)
#' @export
Decisions <- function(object, key = NULL, file = NULL) {
  check_text(file, "file", null = TRUE)
  target <- decision_target(labelled_of(object, key, of.clusters = TRUE), key)
  answer <- bridge_call("decisions", list(
    json = json_text(target$json), key = json_text(target$key),
    file = if (!is.null(file)) json_text(path.expand(file))
  ))
  unpack_frame(answer$value$frame, answer$buffers)
}

#' Apply decisions that were made elsewhere
#'
#' Applies the decisions of a live page ([ReviewAnnotation()]), as often as you want, or of a file:
#' of another copy of the object, of a page that was saved, of a run. A decision is about a set of
#' cells, and is applied to the cluster that has exactly these, whatever it is called here. The
#' others are named and left out.
#'
#' @inheritParams SetLabels
#' @param decisions What [ReviewAnnotation()] returned, or the path of its folder; the path of a
#'   file that [Decisions()] or the page wrote, or of the `decisions.jsonl` of a run.
#' @param key Key of the annotations; `NULL` is that of the file where the object has it, else the
#'   newest.
#'
#' @return The object, or the table, with the labels in force. Where no decision is about cells of a
#'   cluster of the object it is the error `decisions_mismatch`, and nothing is changed.
#' @family decisions
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' copy <- x
#' x <- SetLabels(x, "1" = "CD14-positive monocyte")
#' file <- tempfile(fileext = ".json")
#' decided <- Decisions(x, file = file)
#' copy <- ApplyDecisions(copy, file)
#' @examples
#' \dontrun{
#' review <- ReviewAnnotation(x)
#' x <- ApplyDecisions(x, review)
#' }
#' @export
ApplyDecisions <- function(object, decisions, key = NULL, verbose = TRUE) {
  if (inherits(decisions, "cellferry_review")) decisions <- decisions$folder
  check_text(decisions, "decisions")
  check_text(key, "key", null = TRUE)
  check_flag(verbose, "verbose")
  file <- list(file = json_text(path.expand(decisions)))
  if (is.null(key) && is_cell_object(object)) {
    named <- bridge_call("decisions_file", file)$value$key
    if (isTRUE(named %in% names(extract_stored(object)))) key <- named
  }
  target <- decision_target(object, key)
  outgoing <- new_outgoing()
  message <- c(target_message(object, target, outgoing), file)
  decided(object, target, "apply_decisions", message, outgoing, verbose)
}

#' Take decisions over to other clusters
#'
#' After you have clustered and annotated anew, decisions about sets of cells that are no cluster
#' any more are stale: kept and shown, and not in force. This takes them over to the clusters that
#' hold most of their cells. Look first with [Decisions()] and [Annotations()], where such a cluster
#' has the decision `stale`.
#'
#' @inheritParams SetLabels
#' @param from Another object, of the same names of cells, that was decided about; `NULL`: what is
#'   stale in the object itself.
#' @param clusters Only for these clusters of `object`; `NULL` is all.
#' @param by Who takes them over; `NULL` is `getOption("cellferry.reviewer")`, else who decided.
#'
#' @return The object with the labels in force.
#' @family decisions
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' x <- SetLabels(x, "0" = "CD8 T cell")
#' # Other clusters, of which one has most of these cells, and more: the decision is stale there.
#' x$coarse <- ifelse(SeuratObject::Idents(x) == "2", "b", "a")
#' x <- AnnotateClusters(x, group.by = "coarse", overwrite = TRUE, verbose = FALSE)
#' Decisions(x)
#' x <- CarryDecisions(x)
#' @examples
#' \dontrun{
#' y <- CarryDecisions(y, from = x)
#' }
#' @export
CarryDecisions <- function(object, from = NULL, key = NULL, clusters = NULL, by = NULL,
                           verbose = TRUE) {
  check_flag(verbose, "verbose")
  clusters <- names_given(clusters, "clusters")
  for (one in c(list(object), if (!is.null(from)) list(from))) {
    if (!is_cell_object(one)) {
      cellferry_stop(
        "unsupported_object",
        paste0(
          "Decisions are carried from cells to cells, and an object of class ", class(one)[1],
          " has none."
        ),
        "Valid: a Seurat object or a SingleCellExperiment."
      )
    }
  }
  target <- decision_target(object, key)
  outgoing <- new_outgoing()
  message <- target_message(object, target, outgoing)
  if (!is.null(from)) {
    message$other <- target_message(from, decision_target(from, key), outgoing)
  }
  message <- c(message, list(clusters = json_texts(clusters)), said_message(NULL, by))
  decided(object, target, "carry_decisions", message, outgoing, verbose)
}

# The record that is decided about: its key and JSON.
decision_target <- function(object, key) {
  check_text(key, "key", null = TRUE)
  stored <- stored_annotations(object, key, of.clusters = TRUE)
  if (is.null(stored$json)) {
    labels_only_error("record to decide about")
  }
  stored
}

# What Python is to know of the object: what it has under the key; of a table its record.
target_message <- function(object, target, outgoing) {
  if (!is_cell_object(object)) {
    return(list(json = json_text(target$json), key = json_text(target$key)))
  }
  stored <- stats::setNames(list(json_text(target$json)), target$key)
  c(
    list(key = json_text(target$key), stored = json_record(stored)),
    json_labelled(outgoing, object, target$key)
  )
}

said_message <- function(reason, by) {
  by <- by %||% getOption("cellferry.reviewer")
  check_text(reason, "reason", null = TRUE)
  check_text(by, "by", null = TRUE)
  list(reason = json_text(reason), by = json_text(by))
}

# Names of clusters or cells, as text; numbers and factors are names too.
names_given <- function(x, name) {
  if (is.null(x)) {
    return(NULL)
  }
  if (is.factor(x) || is.numeric(x)) x <- cluster_texts(x)
  check_texts(x, name)
  if (!length(x)) invalid_argument(x, name, "at least one name, or NULL")
  x
}

# The call, and what it decided written into the object, or into the table.
decided <- function(object, target, name, message, outgoing, verbose) {
  answer <- bridge_call(name, message, outgoing, verbose = verbose)
  if (isTRUE(answer$value$unchanged)) {
    return(object)
  }
  if (is_cell_object(object)) {
    return(deliver(object, answer, NULL, target$key))
  }
  table <- new_annotations(answer$value$json, target$key)
  # The cells as they were counted in the object that the table is of.
  row <- match(table$cluster, object$cluster)
  if (!is.null(object$n_cells)) table$n_cells[!is.na(row)] <- object$n_cells[row[!is.na(row)]]
  attr(table, "note") <- attr(object, "note")
  table
}
