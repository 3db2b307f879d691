# What the page of an object shows, as a message: cells, rows, metadata, embeddings, features of
# small assays, and the expression, which is read where it is or sent. AnnotationReport() has it
# written as a file, ReviewAnnotation() served.

page_parts <- "normalized"

# Assays of more features are matrices of genes or peaks.
most_features <- 500L

# Begins the page of an object, and brings the expression that it wants. NULL where it is not known
# which cells its rows have.
#
# `what` is "report" or "review"; `found` is of annotations_to_write(); `drawn` of
# embedding_to_draw(); `columns` of the metadata beside ours, NULL is all; `more` goes along.
begin_page <- function(object, what, found, drawn, columns = character(), more = list(),
                       expression = TRUE, kept = new_kept(), verbose = FALSE, progress = NULL) {
  groups <- stored_groups(object, found$table)
  if (is.null(groups)) {
    return(NULL)
  }
  assay <- page_assay(object)
  reads <- expression && !is.null(assay)
  at <- if (reads) measured_cells(object, assay$name, layers_of_parts(page_parts))$cells
  outgoing <- new_outgoing()
  page <- list(
    cells = if (!reads || !is.null(at)) json_texts(extract_cells(object)),
    measured = if (!is.null(at)) pack_integer(outgoing, at - 1L),
    rows = json_groups(outgoing, groups),
    obs = pack_frame(outgoing, page_columns(object, found$key, columns)),
    embeddings = json_page_embeddings(outgoing, object),
    features = if (what == "review") json_features(outgoing, object, assay$name)
  )
  message <- c(
    found$message, more,
    list(
      what = json_text(what), key = json_text(found$key), page = page,
      coordinates_key = json_text(drawn$coordinates$name),
      obs_columns = if (!is.null(columns)) json_texts(columns)
    )
  )
  if (!reads) {
    begun <- bridge_call("page_begin", message, outgoing, verbose = verbose)$value
    kept$handles <- begun$handle
    return(begun)
  }
  message$scale <- json_scale(fold_change_scale(object, assay$name, "5.0.1"))
  # Rows go with the page: of the study only the expression is read.
  cells <- rep(NA_integer_, length(extract_cells(object)))
  begin_study(
    object, "page_begin", list(kept = kept, verbose = verbose), page_parts,
    message = message, assay = assay$name,
    groups = list(names = character(), codes = cells, key = NULL, column = NULL),
    coordinates.key = drawn$coordinates$name, progress = progress, outgoing = outgoing
  )
}

# The assay whose values are shown, as `list(name)`: the active one, or where its values are not
# log-normalised another one whose are. NULL where there is none.
page_assay <- function(object) {
  active <- extract_assay(object)
  if (is.null(unusable_values(object, active)) && !has_unprepared_models(object, active)) {
    return(list(name = active))
  }
  other <- normalized_assay(object, active)
  if (!is.null(other)) list(name = other)
}

# Metadata of the page: the columns of the key, and those that are named; NULL is all.
page_columns <- function(object, key, columns) {
  metadata <- extract_metadata(object)
  missing <- setdiff(columns, names(metadata))
  if (length(missing)) {
    cellferry_stop(
      "group_missing", paste0("The metadata has no column \"", missing[1], "\"."),
      c(
        did_you_mean(missing[1], names(metadata)),
        paste0("Columns: ", listing(names(metadata)), ".")
      )
    )
  }
  if (is.null(columns)) {
    return(metadata)
  }
  own <- names(metadata)[names(metadata) == key | startsWith(names(metadata), paste0(key, "_"))]
  metadata[unique(c(own, columns))]
}

# The first two dimensions of each embedding, and the places of the cells in tissue.
json_page_embeddings <- function(outgoing, object) {
  some <- Filter(function(x) is_drawable(x, any), extract_reductions(object))
  places <- Filter(function(image) !is.null(image$values), extract_spatial(object))
  names(places) <- page_image_names(vapply(places, function(image) image$name, ""))
  both <- c(some, places[setdiff(names(places), names(some))])
  lapply(stats_names(both), function(name) {
    list(name = json_text(name), values = pack_real(outgoing, both[[name]]$values[, 1:2]))
  }) |> unname()
}

# Python knows them by how their names begin.
page_image_names <- function(names) {
  known <- grepl("^(spatial|fov|slice|image)", names, ignore.case = TRUE)
  ifelse(known, names, paste0("spatial_", names))
}

json_features <- function(outgoing, object, assay) {
  lapply(extract_small_assays(object, assay, most_features), function(one) {
    list(
      key = json_text(one$key), names = json_texts(colnames(one$values)),
      values = pack_real(outgoing, one$values)
    )
  }) |> unname()
}

# Finishes the page that was begun.
finish_page <- function(begun, verbose = FALSE) {
  progress <- if (draws_progress(verbose)) progress_line()
  on.exit(if (!is.null(progress)) clear_progress())
  message <- list(handle = json_text(begun$handle))
  bridge_call("page_finish", message, callback = progress, verbose = verbose)$value
}
