# What an object has now of the annotations that were written into it. The table belongs to the
# labels that were written: the clusters of the cells may be others by now. Python judges alike
# (annotations/present.py).

# Columns of metadata that an annotation of clusters writes -> columns of its table.
written_columns <- c("label", detail = "detail", confidence = "confidence",
                     ontology_id = "ontology_id", status = "status")

# More different values than clusters can have.
most_combinations <- 10000L

# Confidences are compared as numbers that went through JSON.
same_number <- 1e-9

# The rows of a table that the cells of an object belong to: `names` are the clusters that have
# cells, `codes` the position of each cell in them, NA for none; `counts` the cells of each row of
# the table, NA where rows can't be counted apart; `note` is what is to be said. NULL where
# neither the clusters nor the labels of the cells are left.
stored_groups <- function(object, table) {
  if (is_of_part(attr(table, "key"))) {
    return(NULL)
  }
  written <- written_rows(extract_metadata(object), table)
  found <- current_clusters(object, table, written)
  if (!is.null(found)) {
    counts <- tabulate(found$codes, nrow(table))
    note <- c(gone_note(table, counts), edited_note(found$edited, attr(table, "key")))
    return(groups_of_rows(table, found$codes, counts, note))
  }
  if (is.null(written)) {
    return(NULL)
  }
  codes <- written$first[written$of_cell]
  counts <- tabulate(codes, nrow(table))
  labelled <- written$has_label & !written$by_hand
  left_over <- sum(is.na(codes) & labelled[written$of_cell])
  counts <- counted_apart(table, written, counts)
  note <- c(
    changed_note(table), gone_note(table, counts),
    if (left_over) paste(left_over, "cells have a label that is not in this table."),
    if (anyNA(counts)) "Clusters of one label and confidence can't be counted apart."
  )
  groups_of_rows(table, codes, counts, note)
}

groups_of_rows <- function(table, codes, counts, note) {
  present <- sort(unique(codes[!is.na(codes)]))
  list(
    names = table$cluster[present], codes = match(codes, present), counts = counts,
    note = if (length(note)) paste(note, collapse = " ")
  )
}

# The table with the cells that its rows have now.
recount <- function(table, object) {
  groups <- stored_groups(object, table)
  if (is.null(groups)) {
    attr(table, "note") <- paste(
      "The cells could not be counted anew: the columns of clusters and of labels are gone or were",
      "changed."
    )
    return(table)
  }
  table$n_cells <- groups$counts
  attr(table, "note") <- groups$note
  table
}

gone_note <- function(table, counts) {
  # The cells of a row that a part refined have the rows of the part.
  refined <- if (is.null(table$refined_by)) FALSE else !is.na(table$refined_by)
  gone <- table$cluster[!is.na(counts) & counts == 0L & !refined]
  if (length(gone)) paste0("No longer in the object: ", listing(gone), ".")
}

edited_note <- function(edited, key) {
  if (edited) {
    paste0(
      edited, " cells have another label in \"", key, "\" than their cluster has here: labels ",
      "were changed after the annotation."
    )
  }
}

changed_note <- function(table) {
  provenance <- attr(table, "provenance")
  if (identical(provenance$level, "cells")) {
    return(NULL)
  }
  column <- provenance$group_column %||% provenance$group_key
  paste0(
    "The clusters of the cells are not those that were annotated", if (!is.null(column)) {
      paste0(" (\"", column, "\" is gone or was changed)")
    }, ": cells are counted by the labels that were written."
  )
}

# The row of each cell by the clusters that the object has now, if they are those that were
# annotated: what was written for a cell is what its cluster has in the table. `edited` is how many
# cells have another label, where all else shows that the clusters are the same.
current_clusters <- function(object, table, written) {
  provenance <- attr(table, "provenance")
  for (name in unique(c(provenance$group_column, provenance$group_key))) {
    groups <- tryCatch(extract_groups(object, name), cellferry_error = function(cnd) NULL)
    if (is.null(groups) || !all(groups$names %in% table$cluster)) next
    codes <- match(groups$names, table$cluster)[groups$codes]
    edited <- differing_cells(codes, table, written)
    if (!is.na(edited)) {
      return(list(codes = codes, edited = edited))
    }
  }
  NULL
}

# How many cells have another label than the row of their cluster; NA where the clusters are others.
# Without labels in the metadata nothing speaks against the clusters.
differing_cells <- function(codes, table, written) {
  if (is.null(written)) {
    return(0L)
  }
  pairs <- unique(data.frame(row = codes, what = written$of_cell))
  agree <- function(same) {
    inside <- !is.na(pairs$row)
    none <- !written$has_label[pairs$what]
    fits <- none
    fits[inside] <- same[cbind(pairs$what, pairs$row)[inside, , drop = FALSE]]
    fits | written$by_hand[pairs$what]
  }
  whole <- agree(written$same)
  if (all(whole)) {
    counts <- tabulate(codes, nrow(table))
    return(if (length(grown(table, written, counts))) NA_integer_ else 0L)
  }
  # Hand-made labels: only then another column must tell each cluster from the others.
  if (!written$proves || !all(agree(written$beside) | is.na(pairs$row))) {
    return(NA_integer_)
  }
  other <- pairs[!whole & !is.na(pairs$row), ]
  sum(paste(codes, written$of_cell) %in% paste(other$row, other$what))
}

# Rows that have got cells from another row of the same label: what was written looks alike for
# both, so only their sizes show it.
grown <- function(table, written, counts) {
  alike <- which(duplicated(written$rows) | duplicated(written$rows, fromLast = TRUE))
  alike[which(counts[alike] > table$n_cells[alike])]
}

# Cells of rows that look alike are all counted for the first. They have what they had if they have
# as many together, and none if there are none; else it is not known.
counted_apart <- function(table, written, counts) {
  for (row in unique(written$rows[duplicated(written$rows)])) {
    alike <- which(written$rows == row)
    before <- table$n_cells[alike]
    if (sum(counts[alike]) > 0L) {
      counts[alike] <- if (sum(counts[alike]) %in% sum(before)) before else NA_integer_
    }
  }
  counts
}

# What was written into the metadata for the cells, compared with each row of a table. NULL without
# a column of labels.
#   of_cell    for each cell its combination of values
#   same       combinations x rows: whether a row has these values
#   beside     the same without the label
#   first      for each combination the first row of its values, else the only one of its label
#   has_label  whether a combination has a label
#   by_hand    whether it is what a decision about cells gave: its cells may be of any row
#   rows       for each row what it looks like
#   proves     whether rows differ in more than the label
written_rows <- function(metadata, table) {
  key <- attr(table, "key")
  of_cells <- identical(attr(table, "provenance")$level, "cells")
  suffixes <- names(written_columns)
  names <- paste0(key, ifelse(nzchar(suffixes), paste0("_", suffixes), ""))
  there <- names %in% names(metadata) & written_columns %in% names(table)
  if (of_cells) there <- there & !nzchar(suffixes)
  if (!there[1]) {
    return(NULL)
  }
  values <- lapply(names[there], function(name) plain_values(metadata[[name]]))
  decided <- paste0(key, "_decision")
  decided <- if (decided %in% names(metadata)) list(plain_values(metadata[[decided]]))
  several <- max(combination(values), 0L)
  if (several > most_combinations) {
    # Something else was put there: only the labels are left to go by.
    values <- values[1]
    there[-1] <- FALSE
  }
  wanted <- lapply(unname(written_columns[there]), function(name) delivered_values(table, name))
  of_cell <- combination(c(values, decided))
  example <- match(seq_len(max(of_cell, 0L)), of_cell)
  same <- Map(function(x, y) {
    if (is.double(y)) {
      x <- as.double(x)
      return(outer(x[example], y, function(a, b) {
        (is.na(a) & is.na(b)) | (!is.na(a) & !is.na(b) & abs(a - b) < same_number)
      }))
    }
    outer(missing_as_text(x[example]), missing_as_text(y), `==`)
  }, values, wanted)
  whole <- Reduce(`&`, same)
  beside <- if (length(same) > 1L) Reduce(`&`, same[-1])
  labels <- missing_as_text(values[[1]][example])
  rows <- missing_as_text(wanted[[1]])
  alone <- match(labels, rows[!rows %in% rows[duplicated(rows)]])
  alone <- which(!rows %in% rows[duplicated(rows)])[alone]
  alone[is.na(values[[1]][example])] <- NA_integer_
  first <- apply(whole, 1L, function(x) c(which(x), NA_integer_)[1])
  first <- ifelse(is.na(first), alone, first)
  # Where every cell was annotated by itself, the row is that of the label.
  by_hand <- !of_cells & decided_by_hand(table, values[[1]][example], decided[[1]][example])
  first[by_hand] <- NA_integer_
  list(
    of_cell = of_cell, same = whole, beside = beside,
    first = first, by_hand = by_hand, has_label = !is.na(values[[1]][example]),
    rows = combination(wanted),
    proves = !is.null(beside) && !anyDuplicated(combination(wanted[-1]))
  )
}

# What cells get of a column of a table: detail and confidence are of the engine's label, and none
# where another one is in force.
delivered_values <- function(table, name) {
  values <- plain_values(table[[name]])
  if (name %in% c("detail", "confidence") && "engine_status" %in% names(table)) {
    other <- missing_as_text(table$label) != missing_as_text(table$engine_label)
    values[!is.na(table$engine_status) & other] <- NA
  }
  values
}

decided_by_hand <- function(table, labels, actions) {
  made <- lapply(attr(table, "decisions"), function(decision) {
    if (is.null(decision$cluster)) {
      paste(missing_as_text(decision$label %||% NA), decision$action, sep = "\r\r")
    }
  })
  if (is.null(actions)) {
    return(rep(FALSE, length(labels)))
  }
  paste(missing_as_text(labels), actions, sep = "\r\r") %in% unlist(made)
}

plain_values <- function(x) if (is.numeric(x) && !is.factor(x)) as.double(x) else as.character(x)

missing_as_text <- function(x) ifelse(is.na(x), "\r", as.character(x))

# The same number for the same values of all columns, counted from 1.
combination <- function(columns) {
  codes <- lapply(columns, function(x) match(x, unique(x)))
  Reduce(function(a, b) {
    both <- (a - 1) * max(b, 1L) + b
    match(both, unique(both))
  }, codes)
}

# Keys whose columns are in the metadata.
label_keys <- function(metadata) {
  keys <- sub("_status$", "", grep("_status$", names(metadata), value = TRUE))
  is_ours <- vapply(keys, function(key) {
    status <- as.character(metadata[[paste0(key, "_status")]])
    all(c(key, paste0(key, "_confidence")) %in% names(metadata)) &&
      all(status %in% c(annotation_statuses, NA))
  }, NA)
  keys[is_ours]
}

# Whether the columns of a key are ours by what is in them, as Python's looks_written() says: all
# columns of an annotation are there, the statuses are ours and not all missing, the confidences
# are numbers from 0 to 1, and a label is exactly where the status says so.
looks_written <- function(metadata, key) {
  suffixes <- names(written_columns)
  names <- paste0(key, ifelse(nzchar(suffixes), paste0("_", suffixes), ""))
  if (!all(names %in% names(metadata))) {
    return(FALSE)
  }
  status <- as.character(metadata[[paste0(key, "_status")]])
  confidence <- metadata[[paste0(key, "_confidence")]]
  known <- confidence[!is.na(confidence)]
  !all(is.na(status)) && all(status %in% c(annotation_statuses, NA)) &&
    (is.numeric(confidence) || !length(known)) && all(known >= 0 & known <= 1) &&
    identical(!is.na(as.character(metadata[[key]])), status %in% c("ok", "unknown"))
}

# What is known of a record that is not there.
record_lost <- "merge(), conversions and DietSeurat(misc = FALSE) drop it"

labels_only <- function(object, key) {
  cellferry_inform(paste0(
    "The table of \"", key, "\" is not in this object (", record_lost, "), ",
    "so only labels are returned."
  ))
  metadata <- extract_metadata(object)
  cells <- data.frame(
    label = as.character(metadata[[key]]),
    status = as.character(metadata[[paste0(key, "_status")]])
  )
  cells <- cells[!is.na(cells$status), , drop = FALSE]
  id <- paste0(cells$status, "\r", cells$label)
  first <- !duplicated(id)
  columns <- list(
    label = cells$label[first], status = cells$status[first],
    n_cells = tabulate(match(id, id[first]), sum(first))
  )
  as_annotations(columns, sum(first), key, note = "Labels only, without clusters and evidence.")
}
