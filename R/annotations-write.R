# The table in files: the report for a browser, and tables for other programs.

#' Write a report of the annotations
#'
#' Writes one HTML file that opens from disk, without a network: the labels and their evidence, a
#' map of the cells, mean and share of every gene in every cluster, and how it was made. Names of
#' cells are not in it. Cells are counted as [Annotations()] counts them. [ReviewAnnotation()] shows
#' the same page with any gene in every cell.
#'
#' @inheritParams Annotations
#' @param file Path of the HTML file to write. A report of cellferry is replaced, another file is
#'   not.
#' @param coordinates.key Name of the embedding to draw, with or without `X_`; `NULL` is the newest
#'   UMAP, else t-SNE, else PCA, else the first.
#' @param obs.columns Metadata columns that the page may show, beside those that cellferry wrote.
#' @param expression Whether the expression is read; without it the page has no figures of genes.
#' @param cell.values Whether it has values in each cell of the genes of the evidence.
#' @param report.mb Megabytes that its data may take. What does not fit is left out in this order,
#'   and said on the page: values of genes, columns, cells.
#' @param overwrite Whether a file that is no report of cellferry may be replaced.
#' @param browse Whether to open the report in the browser.
#' @param verbose Whether to say what was written.
#'
#' @return The path, invisibly.
#' @family results
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' AnnotationReport(x, file.path(tempdir(), "report.html"), browse = FALSE)
#' @export
AnnotationReport <- function(object, file, key = NULL, coordinates.key = NULL, obs.columns = NULL,
                             expression = TRUE, cell.values = TRUE, report.mb = 15,
                             overwrite = FALSE, browse = interactive(), verbose = TRUE) {
  given <- as.list(environment())
  check_text(file, "file")
  check_text(key, "key", null = TRUE)
  check_text(coordinates.key, "coordinates.key", null = TRUE)
  check_texts(obs.columns, "obs.columns", null = TRUE)
  for (name in c("expression", "cell.values", "overwrite", "browse", "verbose")) {
    check_flag(given[[name]], name)
  }
  check_size(report.mb, "report.mb")
  if (is_path(object)) {
    return(report_file(given))
  }
  found <- annotations_to_write(object, key, "table to report")
  drawn <- embedding_to_draw(object, coordinates.key)
  options <- json_report(given)
  path <- if (is_cell_object(object)) {
    report_object(object, found, drawn, obs.columns, expression, options, verbose)
  }
  path <- path %||% bridge_call("report", c(found$message, options))$value$file
  if (verbose) cellferry_inform(paste0("Wrote ", path, written_of(found, drawn)))
  if (browse) utils::browseURL(normalizePath(path))
  invisible(path)
}

json_report <- function(given) {
  list(
    file = json_text(path.expand(given$file)), overwrite = json_flag(given$overwrite),
    cell_values = json_flag(given$cell.values), report_mb = json_number(given$report.mb)
  )
}

# The path of the report of an object; NULL where the cells of its rows are not known any more.
report_object <- function(object, found, drawn, columns, expression, options, verbose) {
  kept <- new_kept()
  on.exit(discard(kept))
  begun <- begin_page(
    object, "report", found, drawn,
    columns = as.character(columns), more = options, expression = expression, kept = kept,
    verbose = verbose
  )
  if (!is.null(begun)) finish_page(begun, verbose)$file
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
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' folder <- tempfile()
#' dir.create(folder)
#' WriteAnnotations(x, file.path(folder, "labels.xlsx"), sample.by = "orig.ident")
#' WriteAnnotations(x, file.path(folder, "labels.csv"))
#' WriteAnnotations(x, file.path(folder, "deposit.csv"), format = "cellxgene")
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
  answer <- bridge_call("write", message, outgoing, verbose = verbose)
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
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' cat(MethodsText(x))
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

# What each cell belongs to: codes from 0, -1 for none.
json_groups <- function(outgoing, groups) {
  codes <- groups$codes - 1L
  codes[is.na(codes)] <- -1L
  list(codes = pack_integer(outgoing, codes), names = json_texts(groups$names))
}
