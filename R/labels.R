# Labels as a person gives them to SetLabels(): by the names of clusters, as a table or its path,
# for cells, or in a column. What is no cluster is never taken for one in silence.

clusters_of <- function(target) {
  vapply(parse_annotations(target$json)$rows, function(row) row$cluster, "")
}

# The labels in `...` as a part of the message; an empty list where there are none. With `cells`
# (`alone`) it is one label.
labels_given <- function(dots, target, outgoing, alone = FALSE) {
  if (!length(dots)) {
    return(list())
  }
  named <- names(dots) %||% rep("", length(dots))
  if (alone) {
    if (length(dots) == 1L && !nzchar(named) && rlang::is_string(dots[[1]])) {
      return(list(label = json_text(dots[[1]])))
    }
    clusters <- clusters_of(target)
    check_cluster_names(named[nzchar(named)], clusters)
    cellferry_stop(
      "invalid_option", "With `cells` there is one label, and it has no name.",
      "For example: x <- SetLabels(x, \"Kupffer cell\", cells = cells)"
    )
  }
  clusters <- clusters_of(target)
  check_cluster_names(named[nzchar(named)], clusters)
  bare <- dots[!nzchar(named)]
  if (length(bare) == 1L && length(dots) == 1L) {
    return(labels_of(bare[[1]], clusters, outgoing))
  }
  if (length(bare)) stop_unnamed(bare, clusters)
  named_labels(dots)
}

# One argument without a name: a table, its path, or a named vector or list.
labels_of <- function(x, clusters, outgoing) {
  x <- plain_tables(x)
  if (is.data.frame(x)) {
    return(list(frame = pack_frame(outgoing, x)))
  }
  if (rlang::is_string(x) && is.null(names(x)) && is_table_path(x)) {
    return(list(file = json_text(path.expand(x))))
  }
  if (!(is.atomic(x) || is.list(x)) || is.null(x)) {
    cellferry_stop(
      "invalid_option",
      paste0("Labels can't be read from an object of class ", class(x)[1], "."),
      paste0(
        "Valid: \"3\" = \"Kupffer cell\", a named vector or list, a data frame with the columns ",
        "cluster and label, or the path of a csv, tsv or xlsx."
      )
    )
  }
  if (is.null(names(x)) || !all(nzchar(names(x)))) stop_unnamed(as.list(x), clusters)
  check_cluster_names(names(x), clusters)
  named_labels(as.list(x))
}

is_table_path <- function(x) grepl("[.](csv|tsv|txt|xlsx|xlsm)$", x, TRUE) || file.exists(x)

named_labels <- function(x) {
  x <- lapply(x, function(label) if (is.null(label)) NA else label)
  is_label <- vapply(x, function(label) {
    is.atomic(label) && length(label) == 1L &&
      (is.character(label) || is.factor(label) || is.na(label))
  }, NA)
  if (!all(is_label)) {
    cellferry_stop(
      "invalid_option",
      paste0("The label of cluster \"", names(x)[!is_label][1], "\" is not one text."),
      "For example: \"3\" = \"Kupffer cell\""
    )
  }
  twice <- names(x)[duplicated(names(x))]
  if (length(twice)) {
    cellferry_stop(
      "invalid_option", paste0("The cluster \"", twice[1], "\" is given two labels."),
      "Name each cluster once."
    )
  }
  labels <- vapply(x, as.character, "")
  list(clusters = json_texts(names(x)), labels = json_texts(labels))
}

# A name that is no cluster may be an argument that was mistyped: it is never taken for a label in
# silence.
check_cluster_names <- function(names, clusters) {
  unknown <- setdiff(names, clusters)
  if (!length(unknown)) {
    return(invisible())
  }
  arguments <- setdiff(names(formals(SetLabels)), c("object", "..."))
  guess <- nearest_name(unknown[1], c(arguments, clusters))
  quote <- if (isTRUE(guess %in% arguments)) "`" else "\""
  cellferry_stop(
    "invalid_option",
    paste0(
      "There is no cluster ", listing(unknown), if (length(unknown) == 1L) {
        paste0(", and `", unknown, "` is no argument of `SetLabels()`")
      }, "."
    ),
    c(
      if (!is.null(guess)) paste0("Did you mean ", quote, guess, quote, "?"),
      if (length(clusters)) paste0("The clusters are ", listing(clusters, 30), ".")
    )
  )
}

# Labels in the order of levels go to wrong clusters as soon as an order is another.
stop_unnamed <- function(labels, clusters) {
  texts <- vapply(unlist(lapply(labels, as.list), recursive = FALSE), function(label) {
    if (is.atomic(label) && length(label) == 1L) as.character(label) else NA_character_
  }, "")
  wanted <- length(texts) == length(clusters) && !anyNA(texts)
  if (!wanted) {
    texts <- rep("...", length(clusters))
    texts[1] <- "B cell"
  }
  pairs <- paste(vapply(clusters, text_of_r, ""), "=", vapply(texts, text_of_r, ""))
  cellferry_stop(
    "invalid_option",
    paste(
      "The labels have no names of clusters, and their order is not enough: it differs between",
      "levels, tables and plots."
    ),
    paste0(
      if (wanted) "In the order of the clusters here it would be: " else "Name them: ",
      "x <- SetLabels(x, ", toString(pairs), ")"
    )
  )
}

text_of_r <- function(x) encodeString(x, quote = "\"")

stop_ways <- function(ways, target) {
  first <- text_of_r(c(clusters_of(target), "3")[1])
  line <- paste0("x <- SetLabels(x, ", first, " = \"Kupffer cell\")")
  cellferry_stop(
    "invalid_option",
    if (length(ways)) {
      paste0("What is decided about is named in several ways: ", listing(ways, quote = ""), ".")
    } else {
      "Nothing is to be decided: no cluster and no cell is named."
    },
    if (length(ways)) "Give one of them." else paste("For example:", line)
  )
}

# One label for each cell, of a column or of the active identity.
column_given <- function(object, from, outgoing) {
  if (!is_cell_object(object)) {
    cellferry_stop(
      "unsupported_object", "`from` names a column of cells, and a table has none.",
      "Give the object itself."
    )
  }
  values <- group_values(object, extract_metadata(object), from)
  if (is.list(values) || length(values) != ncol(object)) {
    cellferry_stop(
      "invalid_object", paste0("`from` names \"", from, "\", which is not one value per cell.")
    )
  }
  texts <- cluster_texts(values)
  levels <- unique(texts[!is.na(texts)])
  column <- list(structure(match(texts, levels), levels = levels, class = "factor"))
  frame <- structure(column, names = from, class = "data.frame", row.names = seq_along(texts))
  pack_frame(outgoing, frame)
}
