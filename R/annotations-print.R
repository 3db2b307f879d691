# How the table of annotations is shown, and what it is as a plain data frame.

# Up to so many rows a table is printed whole, of a longer one the head is.
most_rows <- 20L
head_rows <- 10L

#' @export
format.cellferry_annotations <- function(x, ..., n = NULL) {
  columns <- intersect(printed_columns, names(x))
  # A row that sums up cells is its label, which is printed once.
  if (is_of_cells(x)) columns <- setdiff(columns, "cluster")
  shown <- lapply(columns, function(name) x[[name]])
  names(shown) <- columns
  decided <- decided_columns(x)
  shown <- append(shown, decided["engine_label"], match("label", columns, 0L))
  shown <- Filter(Negate(is.null), c(shown, decided["decision"]))
  rows <- n %||% if (nrow(x) > most_rows) head_rows else nrow(x)
  lines <- format_columns(as.data.frame(shown))
  kept <- min(rows, nrow(x))
  c(
    utils::head(lines, kept + 1L),
    if (kept < nrow(x)) paste0("# ... ", nrow(x) - kept, " more (print it with n = Inf)"),
    if ("status" %in% names(x)) paste0("# ", summary_line(x)),
    if (!is.null(attr(x, "note"))) paste0("# ", attr(x, "note"))
  )
}

#' @export
print.cellferry_annotations <- function(x, ..., n = NULL) {
  if (!all(printed_columns[-c(1, 4)] %in% names(x))) {
    return(NextMethod())
  }
  if (!is.null(n)) check_count(n, "n")
  cat(format(x, n = n), sep = "\n")
  invisible(x)
}

# What is printed once somebody decided, as Annotations.table() of Python has it: what the engine
# said, where it is not what is in force, and what was decided about the cluster and its cells.
decided_columns <- function(x) {
  columns <- c("label", "engine_label", "engine_status", "decision", "n_decided")
  if (!all(columns %in% names(x))) {
    return(list(engine_label = NULL, decision = NULL))
  }
  other <- !is.na(x$engine_status) & missing_as_text(x$label) != missing_as_text(x$engine_label)
  said <- ifelse(is.na(x$engine_label), x$engine_status, x$engine_label)
  n <- ifelse(is.na(x$n_decided), 0L, x$n_decided)
  cells <- ifelse(n > 0L, paste0(n, " cell", ifelse(n == 1L, "", "s")), "")
  decision <- ifelse(is.na(x$decision), "", x$decision)
  both <- nzchar(decision) & nzchar(cells)
  decision <- paste0(decision, ifelse(both, "; ", ""), cells)
  list(
    engine_label = if (any(other)) ifelse(other, said, ""),
    decision = if (any(nzchar(decision))) decision
  )
}

is_of_cells <- function(table) identical(attr(table, "provenance")$level, "cells")

#' @export
as.data.frame.cellferry_annotations <- function(x, ...) {
  flat <- flat_columns(x)
  as.data.frame(structure(flat, class = "data.frame", row.names = .set_row_names(nrow(x))), ...)
}

# write.csv() can't write lists. It is no generic and takes a data frame as it is, but for this: it
# goes through the columns by lapply(), which asks as.list(), and replaces those that it converts.
#' @export
as.list.cellferry_annotations <- function(x, ...) {
  if (is_being_written()) flat_columns(x) else as.list(unclass(x))
}

# Of R 4.5 only the columns that are converted are replaced, the others are written as they are.
#' @export
`[<-.cellferry_annotations` <- function(x, i, j, value) {
  if (!missing(i) && missing(j) && is_being_written()) {
    flat <- as.data.frame(x)
    flat[i] <- value
    return(flat)
  }
  NextMethod()
}

is_being_written <- function() {
  for (i in seq_len(sys.nframe())) {
    if (identical(sys.function(i), utils::write.table)) {
      return(TRUE)
    }
  }
  FALSE
}

flat_columns <- function(table) {
  lapply(stats_names(unclass(table)), function(name) {
    values <- table[[name]]
    if (is.list(values)) vapply(values, paste, "", collapse = "; ") else values
  })
}

format_columns <- function(frame) {
  columns <- lapply(names(frame), function(name) {
    values <- frame[[name]]
    text <- if (is.double(values)) sprintf("%.2f", values) else as.character(values)
    text[is.na(values)] <- "NA"
    cells <- c(name, text)
    align <- if (is.numeric(values)) "right" else "left"
    cli::ansi_align(cells, max(cli::ansi_nchar(cells, "width")), align = align)
  })
  sub(" +$", "", do.call(paste, c(columns, sep = "  ")))
}

# For example "9 clusters: 8 ok, 1 unknown"; rows without clusters are labels. Where every cell was
# annotated the rows are labels, and it is "700 cells: 690 ok, 10 unknown; 12 labels".
summary_line <- function(table) {
  of_cells <- is_of_cells(table) && !is.null(table$n_cells)
  weights <- if (of_cells) table$n_cells else rep(1L, nrow(table))
  status <- factor(table$status, levels = annotation_statuses)
  counts <- vapply(split(weights, status), sum, 0L)
  by_status <- toString(paste(counts, names(counts))[counts > 0])
  number <- function(n, what) paste0(n, " ", what, if (n != 1L) "s")
  if (!of_cells) {
    rows <- if ("cluster" %in% names(table)) "cluster" else "label"
    return(paste0(number(nrow(table), rows), ": ", by_status))
  }
  labels <- sum(table$status == "ok" & weights > 0)
  paste0(number(sum(weights), "cell"), ": ", by_status, "; ", number(labels, "label"))
}
