#' The annotations that an object has
#'
#' Returns the table that [AnnotateClusters()] stored: one row per cluster, with the evidence. Of
#' an object it needs no Python. After `subset()` the cells are counted anew, and clusters that are
#' gone keep their row with 0 cells. The table belongs to the labels that were written: where the
#' cells have other clusters by now, as after `FindClusters()`, they are counted by those labels,
#' and a note says so. `merge()`, conversions and `DietSeurat(misc = FALSE)` drop the table: then
#' the labels are read back from the metadata, and a message says so.
#'
#' @param object A Seurat object, a SingleCellExperiment, annotations, or the path of a labelled
#'   object (`.rds`, `.h5ad` or a zarr folder, which Python reads, without its matrices).
#' @param key Key of the annotations; `NULL` is the newest.
#'
#' @return A data frame of class `cellferry_annotations`. Five columns are printed, of a long table
#'   its first rows, all with `print(found, n = Inf)`; once somebody decided ([SetLabels()]) what
#'   the engine said and the decision are printed too. It has
#'   `r paste0("\x60", names(annotation_columns), "\x60", collapse = ", ")`. Columns with several
#'   values per cluster, such as `supporting`, are lists; `as.data.frame()` and `write.csv()` join
#'   them by `"; "`. [WriteAnnotations()] writes more, also for a spreadsheet.
#' @family results
#' @examples
#' \dontrun{
#' found <- Annotations(x)
#' found$label
#' found$supporting
#' }
#' @export
Annotations <- function(object, key = NULL) {
  check_text(key, "key", null = TRUE)
  object <- labelled_of(object, key)
  if (inherits(object, "cellferry_annotations")) {
    return(object)
  }
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) {
    return(labels_only(object, stored$key))
  }
  table <- new_annotations(stored$json, stored$key)
  # The record of a part: its cells were counted where it was annotated.
  if (!is_of_part(stored$key)) table <- recount(table, object)
  others <- setdiff(whole_keys(extract_stored(object)), stored$key)
  if (is.null(key) && length(others)) {
    attr(table, "note") <- c(attr(table, "note"), paste0(
      "These are of the key \"", stored$key, "\"; there is also ", listing(others), "."
    ))
  }
  table
}

# The stored JSON of a key, or of the newest; `json` is NULL where only label columns are left.
# Genes and markers are asked of clusters, so `of.clusters` has those before newer ones of cells.
stored_annotations <- function(object, key = NULL, of.clusters = FALSE) {
  if (inherits(object, "cellferry_annotations")) {
    return(list(key = attr(object, "key"), json = attr(object, "json")))
  }
  if (!is_cell_object(object)) {
    cellferry_stop(
      "unsupported_object",
      paste0("An object of class ", class(object)[1], " holds no annotations."),
      "Valid: a Seurat object, a SingleCellExperiment, a path, or the result of Annotations()."
    )
  }
  stored <- extract_stored(object)
  left <- setdiff(label_keys(extract_metadata(object)), names(stored))
  known <- c(names(stored), left)
  if (is.null(key) && length(stored)) {
    stored <- stored[whole_keys(stored)]
    made <- lapply(stored, function(json) parse_annotations(json)$provenance)
    created <- vapply(made, function(provenance) provenance$created %||% "", "")
    cells <- vapply(made, function(provenance) identical(provenance$level, "cells"), NA)
    last <- order(of.clusters & cells, order(order(created, method = "radix", decreasing = TRUE)))
    key <- names(stored)[last][1]
  }
  key <- key %||% c(left, NA)[1]
  if (!key %in% known) {
    annotations_missing(key, known)
  }
  list(key = key, json = stored[[key]])
}

# MergeAnnotations() keeps the records of parts as `<key>@<part>`; they are never meant unasked.
is_of_part <- function(key) grepl("@", key, fixed = TRUE)

whole_keys <- function(stored) {
  keys <- names(stored)[!is_of_part(names(stored))]
  if (length(keys)) keys else names(stored)
}

annotations_missing <- function(key, known) {
  if (!length(known)) {
    cellferry_stop(
      "annotations_missing", "This object holds no annotations of cellferry.",
      "Annotate it first: x <- AnnotateClusters(x)"
    )
  }
  cellferry_stop(
    "annotations_missing",
    paste0("There are no annotations under the key \"", key, "\"."),
    c(did_you_mean(key, known), paste0("Keys of this object: ", listing(known), "."))
  )
}

parse_annotations <- function(json) {
  # What makes the text may fail, and that is no fault of the text.
  force(json)
  parsed <- tryCatch(from_json(json), error = function(cnd) NULL)
  if (!isTRUE(parsed$schema %in% readable_schemas)) {
    cellferry_stop(
      "annotations_format",
      paste0(
        "The stored annotations have the schema \"", parsed$schema %||% "none",
        "\"; this version reads \"", annotation_schema, "\"."
      ),
      if (is_newer_schema(parsed$schema)) {
        paste0(
          "A newer cellferry than ", utils::packageVersion("cellferry"),
          " wrote them: update the package."
        )
      } else {
        "Update cellferry, or annotate again."
      }
    )
  }
  parsed
}

# A schema that this version does not know yet.
is_newer_schema <- function(schema) {
  own <- strsplit(annotation_schema, "/", fixed = TRUE)[[1]]
  found <- strsplit(schema %||% "", "/", fixed = TRUE)[[1]]
  length(found) == 2L && identical(found[1], own[1]) && grepl("^[0-9]+$", found[2]) &&
    as.numeric(found[2]) > as.numeric(own[2])
}

new_annotations <- function(json, key) {
  parsed <- parse_annotations(json)
  columns <- lapply(names(annotation_columns), function(name) {
    values <- lapply(parsed$rows, function(row) row[[name]])
    switch(annotation_columns[[name]],
      text = null_to_na(values, NA_character_),
      integer = as.integer(null_to_na(values, NA_integer_)),
      real = as.double(null_to_na(values, NA_real_)),
      texts = lapply(values, function(value) as.character(unlist(value)))
    )
  })
  names(columns) <- names(annotation_columns)
  table <- as_annotations(columns, length(parsed$rows), key, json, parsed$provenance)
  attr(table, "decisions") <- parsed$decisions
  table
}

as_annotations <- function(columns, n, key, json = NULL, provenance = list(), note = NULL) {
  structure(
    columns,
    class = c("cellferry_annotations", "data.frame"), row.names = .set_row_names(n),
    key = key, json = json, provenance = provenance, note = note
  )
}

labels_only_error <- function(what) {
  cellferry_stop(
    "annotations_missing",
    paste0("The object holds labels and no ", what, ": their table is gone (", record_lost, ")."),
    "Use the object that still has it, or annotate again."
  )
}

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

#' The genes that support each label
#'
#' @inheritParams Annotations
#' @param key Key of the annotations; `NULL` is the newest of clusters, else of cells.
#' @param n Most genes per label.
#'
#' @return A named list, label -> genes, in the order of the clusters and with no gene twice,
#'   under the names that the object has for them (Ensembl identifiers, if that is what they are):
#'   ready for Seurat's `DotPlot(features = )`. Clusters without a label are left out, and labels
#'   without cells, as after `subset()`. [SupportingMarkersPlot()] draws them.
#' @family results
#' @examples
#' \dontrun{
#' SupportingMarkers(x)
#' SupportingMarkersPlot(x)
#' # With Seurat, as one list, so that names of labels do not overlap:
#' DotPlot(x, features = unlist(SupportingMarkers(x), FALSE, FALSE), group.by = "cell_type") +
#'   RotatedAxis()
#' }
#' @export
SupportingMarkers <- function(object, key = NULL, n = 3) {
  check_text(key, "key", null = TRUE)
  check_count(n, "n")
  object <- labelled_of(object, key, of.clusters = TRUE)
  stored <- stored_annotations(object, key, of.clusters = TRUE)
  if (is.null(stored$json)) {
    labels_only_error("supporting genes")
  }
  table <- Annotations(object, stored$key)
  # The table is read by people and has symbols; the object may know its genes by other names.
  names <- unlist(attr(table, "provenance")$gene_names)
  table <- table[table$status == "ok" & !table$n_cells %in% 0L, ]
  used <- character()
  found <- list()
  for (label in unique(table$label)) {
    genes <- unlist(table$supporting[table$label == label])
    genes <- utils::head(setdiff(genes, used), n)
    used <- c(used, genes)
    renamed <- genes %in% names(names)
    genes[renamed] <- names[genes[renamed]]
    if (length(genes)) found[[label]] <- genes
  }
  found
}

#' Write a report of the annotations
#'
#' Writes one HTML file with everything it shows: the labels, the evidence, the embedding
#' coloured by label, and how it was made. Cells are counted as [Annotations()] counts them.
#'
#' @inheritParams Annotations
#' @param file Path of the HTML file to write. A report of cellferry is replaced, another file is
#'   not.
#' @param coordinates.key Name of the embedding to draw, with or without `X_`; `NULL` is the newest
#'   UMAP, else t-SNE, else PCA, else the first.
#' @param overwrite Whether a file that is no report of cellferry may be replaced.
#' @param browse Whether to open the report in the browser.
#' @param verbose Whether to say what was written.
#'
#' @return The path, invisibly.
#' @family results
#' @examples
#' \dontrun{
#' AnnotationReport(x, "report.html")
#' AnnotationReport(x, "report.html", coordinates.key = "umap.cca")
#' }
#' @export
AnnotationReport <- function(object, file, key = NULL, coordinates.key = NULL, overwrite = FALSE,
                             browse = interactive(), verbose = TRUE) {
  check_text(file, "file")
  check_text(key, "key", null = TRUE)
  check_text(coordinates.key, "coordinates.key", null = TRUE)
  check_flag(overwrite, "overwrite")
  check_flag(browse, "browse")
  check_flag(verbose, "verbose")
  if (is_path(object)) {
    return(report_file(object, file, key, coordinates.key, overwrite, browse, verbose))
  }
  outgoing <- new_outgoing()
  found <- annotations_to_write(object, key, "table to report")
  drawn <- embedding_to_draw(object, coordinates.key)
  message <- c(
    found$message, json_embedding(outgoing, object, found$table, drawn),
    list(file = json_text(path.expand(file)), overwrite = json_flag(overwrite))
  )
  path <- bridge_call("report", message, outgoing)$value$file
  if (verbose) cellferry_inform(paste0("Wrote ", path, written_of(found, drawn)))
  if (browse) utils::browseURL(normalizePath(path))
  invisible(path)
}

#' Write the annotations as tables
#'
#' Writes the labels with their evidence, the markers of each cluster, the cells of each sample,
#' and how all was made. An xlsx has a sheet for each; there genes and labels are text, so that no
#' gene becomes a date and nothing is computed as a formula. As csv or tsv the labels are the file
#' itself and the others are beside it: `x.csv`, `x_markers.csv`, `x_samples.csv`,
#' `x_provenance.csv`. These are exact data, in which nothing is changed or guarded; a spreadsheet
#' may take a text there for a date or a formula.
#'
#' Two formats are for portals of data. `"cellxgene"` writes a csv or tsv of the cells, with
#' `cell_type_ontology_term_id` as CELLxGENE's schema 7 asks for it: "unknown" where there is no
#' term, the nearest valid ancestor of one that is not allowed (which is said), and the column
#' `cell_type`, which the portal writes itself, as `author_cell_type`; of the path of an `.h5ad`
#' the whole object is written. `"cas"` writes JSON of the Cell Annotation Schema, with one
#' labelset for the labels and one for each level, their cells, genes and reasons. Decisions of
#' persons are in `author_annotation_fields`, because no review is valid by the schema as it is
#' published.
#'
#' @inheritParams AnnotationReport
#' @param file Path of the file to write.
#' @param format `"csv"`, `"tsv"`, `"xlsx"`, `"cellxgene"` or `"cas"`; `NULL` is told by the name of
#'   the file, which names none of the last two.
#' @param sample.by Metadata column with the samples, of which the cells of each label are counted;
#'   `NULL` leaves them out.
#' @param overwrite Whether files of these names may be replaced.
#' @param title,author Title of the data set, and who answers for it; `"cas"` asks for both.
#'
#' @return The paths, invisibly; the labels are the first.
#' @family results
#' @examples
#' \dontrun{
#' WriteAnnotations(x, "labels.xlsx", sample.by = "orig.ident")
#' WriteAnnotations(x, "labels.csv")
#' WriteAnnotations(x, "deposit.csv", format = "cellxgene")
#' WriteAnnotations(x, "pbmc.json", format = "cas", title = "Blood", author = "Jane Doe")
#' }
#' @export
WriteAnnotations <- function(object, file, format = NULL, key = NULL, sample.by = NULL,
                             overwrite = FALSE, verbose = TRUE, title = NULL, author = NULL) {
  check_text(file, "file")
  check_text(title, "title", null = TRUE)
  check_text(author, "author", null = TRUE)
  check_text(format, "format", null = TRUE)
  check_text(key, "key", null = TRUE)
  check_text(sample.by, "sample.by", null = TRUE)
  check_flag(overwrite, "overwrite")
  check_flag(verbose, "verbose")
  if (is_path(object)) {
    return(write_file(object, file, format, key, sample.by, overwrite, verbose, title, author))
  }
  outgoing <- new_outgoing()
  found <- annotations_to_write(object, key, "table to write")
  message <- c(found$message, list(
    file = json_text(path.expand(file)), format = json_text(format), key = json_text(found$key),
    overwrite = json_flag(overwrite), title = json_text(title), author = json_text(author)
  ))
  if (is_cell_object(object) && isTRUE(format %in% c("cellxgene", "cas"))) {
    levels <- paste0(found$key, "_", c("broad", "medium", "fine"))
    more <- c(levels, "cell_type", "author_cell_type")
    message$labelled <- json_label_columns(outgoing, object, found$key, more)
  }
  if (!is.null(sample.by)) {
    if (!is_cell_object(object)) {
      cellferry_stop(
        "unsupported_object", "The cells of samples are counted in an object, and this is a table.",
        "Give the object itself, or leave `sample.by` out."
      )
    }
    labels <- extract_groups(object, found$key)
    samples <- extract_groups(object, sample.by)
    message$sample_key <- json_text(sample.by)
    message$labels <- json_groups(outgoing, labels)
    message$samples <- json_groups(outgoing, samples)
  }
  answer <- bridge_call("write", message, outgoing)
  paths <- as.character(unlist(answer$value$files))
  if (verbose) cellferry_inform(paste0("Wrote ", paste(paths, collapse = "\n      ")))
  invisible(paths)
}

#' A paragraph for the methods section
#'
#' Says how labels were made, from the record that the object keeps: versions, the marker test with
#' its thresholds, the engine or the annotators that voted, numbers, and the decisions of persons.
#' Nothing is said that the record does not have.
#'
#' @inheritParams Annotations
#'
#' @return The text.
#' @family results
#' @examples
#' \dontrun{
#' cat(MethodsText(x))
#' }
#' @export
MethodsText <- function(object, key = NULL) {
  check_text(key, "key", null = TRUE)
  object <- labelled_of(object, key)
  found <- annotations_to_write(object, key, "table to tell of")
  bridge_call("methods", found$message)$value$text
}

# The table as it is counted now, and the message that takes it to Python.
annotations_to_write <- function(object, key, what) {
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) {
    labels_only_error(what)
  }
  table <- Annotations(object, stored$key)
  counts <- lapply(table$n_cells, function(n) if (is.na(n)) NULL else jsonlite::unbox(n))
  message <- list(
    json = json_text(stored$json), clusters = json_texts(table$cluster), n_cells = counts,
    note = json_text(paste(attr(table, "note"), collapse = " "))
  )
  others <- if (is.null(key) && is_cell_object(object)) {
    setdiff(whole_keys(extract_stored(object)), stored$key)
  }
  list(table = table, key = stored$key, message = message, others = others)
}

# What was chosen where nobody chose: the key and the embedding, if there are several.
written_of <- function(found, drawn) {
  chosen <- c(
    if (length(found$others)) {
      paste0("of the key \"", found$key, "\" (key = chooses ", listing(found$others), ")")
    },
    if (length(drawn$others)) {
      paste0(
        "with the embedding \"", drawn$coordinates$name, "\" (coordinates.key = chooses ",
        listing(drawn$others), ")"
      )
    }
  )
  if (length(chosen)) paste0(", ", paste(chosen, collapse = ", ")) else ""
}

embedding_to_draw <- function(object, wanted) {
  if (!is_cell_object(object)) {
    return(NULL)
  }
  coordinates <- extract_coordinates(object, wanted, newest = TRUE)
  others <- if (is.null(wanted)) {
    setdiff(names(Filter(is_drawable, extract_reductions(object))), coordinates$name)
  }
  list(coordinates = coordinates, others = grep("umap|tsne", others, TRUE, value = TRUE))
}

# The embedding with its clusters; nothing when there is none or the clusters were changed.
json_embedding <- function(outgoing, object, table, drawn) {
  if (is.null(drawn$coordinates)) {
    return(list())
  }
  groups <- stored_groups(object, table)
  if (is.null(groups)) {
    return(list())
  }
  c(
    list(coordinates = json_coordinates(outgoing, drawn$coordinates)),
    json_groups(outgoing, groups)
  )
}

# What each cell belongs to: codes from 0, -1 for none.
json_groups <- function(outgoing, groups) {
  codes <- groups$codes - 1L
  codes[is.na(codes)] <- -1L
  list(codes = pack_integer(outgoing, codes), names = json_texts(groups$names))
}
