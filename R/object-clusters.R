# The clusters of the cells of an object.

# The clusters of the cells: `names` in the user's order, only those with cells; `codes` one per
# cell, position in `names` from 1, NA for a cell without a cluster; `column` the metadata column
# that has them, NULL if none does.
#
# `written` are columns that will be replaced, and so can't be the one that has the clusters later.
extract_groups <- function(object, group.by = "ident", written = character()) {
  metadata <- extract_metadata(object)
  values <- group_values(object, metadata, group.by)
  if (is.list(values) || length(values) != length(extract_cells(object))) {
    cellferry_stop(
      "invalid_object",
      paste0("`group.by` names \"", group.by, "\", which is not one value per cell.")
    )
  }
  texts <- cluster_texts(values)
  order <- cluster_order(values, texts)
  if (!length(order)) {
    cellferry_stop(
      "group_empty",
      paste0("\"", group.by, "\" names no cluster: every value is missing or there are no cells."),
      "Cluster the cells first, or choose another column with `group.by`."
    )
  }
  column <- group.by
  if (!group.by %in% names(metadata)) {
    kept <- metadata[setdiff(names(metadata), written)]
    same <- vapply(kept, function(x) !is.list(x) && identical(cluster_texts(x), texts), NA)
    column <- if (any(same)) names(kept)[same][1]
  }
  list(
    key = group.by, names = order, codes = match(texts, order), column = column,
    numbers = group_numbers(values)
  )
}

# What Python is to know of values that are numbers to judge whether they are clusters; else NULL.
group_numbers <- function(values) {
  if (!is.numeric(values) || is.factor(values)) {
    return(NULL)
  }
  values <- values[is.finite(values)]
  if (!length(values)) {
    return(NULL)
  }
  fractions <- values[values != trunc(values)]
  list(
    fraction = if (length(fractions)) format(fractions[1], digits = 6), largest = max(values)
  )
}

group_values <- function(object, metadata, group.by) {
  if (is_seurat(object) && group.by == "ident") {
    identities <- methods::slot(object, "active.ident")
    cells <- extract_cells(object)
    if (!is.null(names(identities)) && !identical(names(identities), cells)) {
      identities <- identities[match(cells, names(identities))]
    }
    return(unname(identities))
  }
  if (group.by == "ident" && !"ident" %in% names(metadata) && "label" %in% names(metadata)) {
    # The column of SingleCellExperiment::colLabels().
    group.by <- "label"
  }
  if (!group.by %in% names(metadata)) {
    cellferry_stop(
      "group_missing",
      paste0("The metadata has no column \"", group.by, "\"."),
      c(
        did_you_mean(group.by, names(metadata)),
        candidates_hint(cluster_columns(metadata))
      ),
      list(columns = names(metadata))
    )
  }
  metadata[[group.by]]
}

# The active identity as a column, and the metadata column that has the same, NULL if none does.
extract_idents <- function(object, cells = NULL) {
  if (!is_seurat(object)) {
    return(NULL)
  }
  idents <- of_measured(unname(methods::slot(object, "active.ident")), cells)
  metadata <- metadata_of(object, cells)
  same <- vapply(metadata, function(x) {
    is.factor(x) && identical(as.character(x), as.character(idents)) &&
      identical(levels(x), levels(idents))
  }, NA)
  list(
    column = if (any(same)) names(metadata)[which(same)[1]],
    values = c(list(name = "ident"), column_of(idents))
  )
}

# Columns that could be a clustering: few different values, and not Seurat's counts per cell.
cluster_columns <- function(metadata) {
  could_be <- vapply(metadata, function(x) {
    is_name <- is.factor(x) || is.character(x) || is.logical(x) || is.integer(x)
    n <- length(unique(x[!is.na(x)]))
    is_name && n >= 2L && n <= 200L
  }, NA)
  grep("^n(Count|Feature)_", names(metadata)[could_be], value = TRUE, invert = TRUE)
}

candidates_hint <- function(columns) {
  if (length(columns)) {
    paste0("Columns that can be clusters: ", listing(columns), ".")
  } else {
    "Cluster the cells first, or pass the column of clusters."
  }
}

# The exact text of each value, NA where there is none. Whole numbers have no decimals and no
# exponent, because R makes doubles of integers as soon as a file was read.
cluster_texts <- function(x) {
  if (is.numeric(x) && !is.factor(x)) {
    texts <- as.character(x)
    whole <- is.finite(x) & x == trunc(x) & abs(x) < 1e15
    texts[whole] <- sprintf("%.0f", x[whole])
    texts[is.na(x)] <- NA
    return(texts)
  }
  enc2utf8(as.character(x))
}

# Factor levels that have cells, else increasing numbers, else natural order.
cluster_order <- function(x, texts) {
  present <- unique(texts[!is.na(texts)])
  if (is.factor(x)) {
    return(intersect(enc2utf8(levels(x)), present))
  }
  if (is.numeric(x)) {
    return(cluster_texts(sort(unique(x))))
  }
  natural_sort(present)
}

# "2" before "10", "a2" before "a10": the order of natural_key() in Python. Numbers get their
# length in front, so that text order is the order of the numbers.
natural_sort <- function(x) {
  parts <- regmatches(x, gregexpr("[0-9]+|[^0-9]+", x))
  keys <- vapply(parts, function(part) {
    is_number <- grepl("^[0-9]", part)
    value <- sub("^0+(?=.)", "", part, perl = TRUE)
    number <- paste0("\001", sprintf("%05d", nchar(value)), value, "\001", part)
    paste(ifelse(is_number, number, paste0("\002", part)), collapse = "")
  }, "")
  x[order(enc2utf8(keys), method = "radix")]
}
