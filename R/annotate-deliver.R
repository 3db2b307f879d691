# The answer on its way onto the object and to the user.

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

# The cells as groups of one.
each_cell <- function(object) {
  cells <- extract_cells(object)
  list(names = cells, codes = seq_along(cells))
}
