# Several labels of the same cells: what they agree on, and how two of them differ. Python judges
# (annotations/agreement); here metadata is sent, and what is answered is written.

#' What several annotators agree on
#'
#' Counts the labels of several annotators as votes over the Cell Ontology: "T cell" and "CD4 T
#' cell" agree on "T cell", "T cell" and "B cell" on "Lymphocyte". A term wins with more weight for
#' it (votes for it or a kind of it) than against it, two thirds of all weight for it or broader
#' than it, and two groups behind it; of those that win the most specific is the answer. Where
#' nothing wins, or only what is too general to be a label, the row is Unknown and the leaders are
#' its `alternatives`. Labels that say Unknown, and answers that failed, are no votes.
#'
#' Groups are families of annotators, and each has the weight 1, which its different answers share:
#' the engines of cellferry (models of one vendor are one family) and each other tool. Of several
#' levels of one tool, as `predicted.celltype.l1` and `.l2` of Azimuth, the finest that is a kind of
#' the broader one votes. Labels of cells vote for a cluster in proportion to its cells; less than
#' 5 % is dropped.
#'
#' The answer is an annotation like any other: [Annotations()], [AnnotationReport()], [SetLabels()]
#' and [WriteAnnotations()] work on it. `confidence` is the agreement: the weight for the answer, of
#' that for and against it. Who said what is in the record and in the report.
#'
#' @param object A Seurat object or a SingleCellExperiment with labels, or the path of an `.rds`,
#'   `.h5ad` or zarr folder with labels: the result is then a table, and the file stays as it is.
#' @param from Who votes: keys of annotations of cellferry (the labels in force), metadata columns,
#'   tools whose columns are known (`"azimuth"`, `"celltypist"`, `"singler"`, `"sctype"`, `"popv"`,
#'   `"scpred"`, `"cellranger"`, `"author"`), or the path of Cell Ranger's `cell_types.csv`. `NULL`
#'   changes nothing and returns what is found.
#' @param key Name of the label column; `<key>_confidence` and the others go beside it.
#' @param group.by Metadata column with the clusters that get an answer, `"ident"` for the active
#'   identity; `NULL`: the clusters of the first annotation in `from`, else each cell is answered.
#' @param weights Named numbers: the weight of annotators or groups, in place of 1.
#' @param groups Named text: the group of annotators, in place of their family.
#' @param mapping Named text: the term (id or name) of labels that are none by themselves.
#' @param levels Whether to write `<key>_broad`, `_medium` and `_fine` too.
#' @param overwrite Whether columns of these names that cellferry did not write, and the file
#'   `output`, may be replaced.
#' @param verbose Whether to show the table of labels.
#' @param output Of a path: where the labelled object goes, an `.rds` where that was read, else an
#'   `.h5ad`. `NULL` writes none.
#' @param scheduler Of the path of an `.h5ad`: a cluster of dask whose workers read the labels that
#'   vote, by ranges of cells; its address, or `"local"`. Votes are counted here, and the answer is
#'   the same.
#' @param resume Of a `scheduler`: the id of a run whose cluster was lost, which the error names.
#'
#' @return The object with the labels; of a path what [Annotations()] returns. With `from = NULL` a
#'   data frame of the annotators that are found: `name`, `group`, `columns`, how many different
#'   `labels` they have, how many of these are `unresolved` (no term), and how many `cells` have
#'   one.
#' @family results
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' x$SingleR.labels <- c("0" = "CD4+ T cells", "1" = "Monocytes", "2" = "B cells")[as.character(
#'   SeuratObject::Idents(x)
#' )]
#' x <- ConsensusLabels(x, from = c("cell_type", "SingleR.labels"), verbose = FALSE)
#' table(x$consensus)
#' @examples
#' \dontrun{
#' x <- ConsensusLabels(x, c("azimuth", "singler"), mapping = c("Mono2" = "CL:0000576"))
#' }
#' @export
ConsensusLabels <- function(object, from = NULL, key = "consensus", group.by = NULL, weights = NULL,
                            groups = NULL, mapping = NULL, levels = FALSE, overwrite = FALSE,
                            verbose = TRUE, output = NULL, scheduler = NULL, resume = NULL) {
  check_text(scheduler, "scheduler", null = TRUE)
  check_text(resume, "resume", null = TRUE)
  check_text(key, "key")
  check_text(group.by, "group.by", null = TRUE)
  check_flag(levels, "levels")
  check_flag(overwrite, "overwrite")
  check_flag(verbose, "verbose")
  check_output_of_path(output, object)
  from <- names_given(from, "from")
  weights <- named_values(weights, "weights", is.numeric, "c(cell_type = 2)")
  groups <- named_values(groups, "groups", is.character, "c(singler = \"reference\")")
  mapping <- named_values(mapping, "mapping", is.character, "c(\"Mono2\" = \"CL:0000576\")")
  asked <- consensus_asked(list(
    from = from, key = key, group_key = group.by, weights = weights, groups = groups,
    mapping = mapping, levels = levels, overwrite = overwrite
  ))
  if (is_path(object)) {
    far <- list(scheduler = json_text(scheduler), resume = json_text(resume))
    return(consensus_of_path(path.expand(object), asked, output, verbose, far))
  }
  check_no_cluster(scheduler, resume, "the memory of this session")
  consensus_of_object(check_object(object), asked, verbose)
}

# What Python is asked.
consensus_asked <- function(given) {
  list(
    from = if (!is.null(given$from)) json_texts(as.character(unlist(given$from))),
    key = json_text(given$key), group_key = json_text(given$group_key),
    weights = json_record(lapply(given$weights, function(x) json_number(as.double(x)))),
    groups = json_record(lapply(given$groups, json_text)),
    mapping = json_record(lapply(given$mapping, json_text)),
    levels = json_flag(given$levels), overwrite = json_flag(given$overwrite)
  )
}

# `asked` names who votes, and the columns that are read besides.
consensus_of_object <- function(object, asked, verbose) {
  key <- as.character(asked$key)
  outgoing <- new_outgoing()
  labels <- labels_as_votes(outgoing, object, asked$from, c(key, as.character(asked$group_key)))
  if (is.null(asked$from)) {
    return(votes_found(bridge_call("consensus", c(labels, asked["key"]), outgoing), verbose))
  }
  reserved <- lapply(extract_reserved(object), function(names) json_texts(as.character(names)))
  answer <- bridge_call("consensus", c(labels, asked, list(
    reserved = json_record(reserved),
    unrecorded = json_flag(
      is.null(extract_stored(object)[[key]]) && looks_written(extract_metadata(object), key)
    )
  )), outgoing, verbose = verbose)
  labelled <- deliver(object, answer, each_cell(object), key)
  show_annotations(answer, verbose)
  labelled
}

# An .rds is read here, all else by Python.
consensus_of_path <- function(path, asked, output, verbose, far = list()) {
  found <- object_of_path(path)
  if (is.null(found)) {
    asked$path <- json_text(path)
    if (is.null(asked$from)) {
      return(votes_found(bridge_call("consensus", asked[c("path", "key")]), verbose))
    }
    asked$output <- json_text(output)
    asked[names(far)] <- far
    return(return_table(bridge_call("consensus_file", asked, verbose = verbose), verbose))
  }
  check_no_cluster(far$scheduler, far$resume)
  check_output(output, isTRUE(as.logical(asked$overwrite)))
  labelled <- consensus_of_object(check_object(found), asked, verbose)
  if (is.null(asked$from)) {
    return(labelled)
  }
  if (!is.null(output)) write_rds(labelled, path.expand(output))
  table <- Annotations(labelled, as.character(asked$key))
  if (verbose) invisible(table) else table
}

votes_found <- function(answer, verbose) {
  found <- unpack_frame(answer$value$frame, answer$buffers)
  if (verbose) say_found(found)
  found
}

#' Labels beside other labels
#'
#' Says for each cluster and each cell how its label stands to another label of the same cells, over
#' the Cell Ontology: `exact`, `descendant` (narrower than the other), `ancestor`, `sibling` (of one
#' type, or with a parent in common), `other_lineage`, `no_term` (one is no term, and they are not
#' the same text), `none` (one has no label). [LabelComparisonPlot()] draws the table.
#'
#' @inheritParams ConsensusLabels
#' @param key Labels: the key of annotations, a metadata column, or a known tool; `NULL` is the
#'   newest annotation.
#' @param with Other labels, named alike.
#' @param verbose Whether to say the summary.
#'
#' @return A list: `clusters` (a data frame with one row per cluster: its label, the label that most
#'   of its cells have in the other, `relation`, `distance` in is-a steps, the part of its cells
#'   that is `agreeing`, and why it wants a `look`), `cells` (a factor with the relation of each
#'   cell), `confusion` (a matrix of cells, labels x other labels) and `adjusted_rand` (Hubert and
#'   Arabie 1985).
#' @family results
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' x$author <- c("0" = "T", "1" = "Mono", "2" = "B")[as.character(SeuratObject::Idents(x))]
#' found <- CompareLabels(x, "cell_type", with = "author", verbose = FALSE)
#' found$clusters
#' @export
CompareLabels <- function(object, key = NULL, with, mapping = NULL, verbose = TRUE) {
  check_text(key, "key", null = TRUE)
  check_text(with, "with")
  check_flag(verbose, "verbose")
  mapping <- named_values(mapping, "mapping", is.character, "c(\"Mono2\" = \"CL:0000576\")")
  outgoing <- new_outgoing()
  found <- if (is_path(object)) object_of_path(object) else object
  if (is.null(found)) {
    path <- path.expand(object)
    key <- key %||% labelled_of(path, of.clusters = TRUE)$key
    labels <- list(path = json_text(path))
  } else {
    found <- check_object(found)
    key <- key %||% stored_annotations(found, of.clusters = TRUE)$key
    labels <- labels_as_votes(outgoing, found, c(key, with))
  }
  answer <- bridge_call("compare", c(labels, list(
    key = json_text(key), with = json_text(with),
    mapping = json_record(lapply(mapping, json_text))
  )), outgoing)
  value <- answer$value
  counts <- unpack_frame(value$confusion, answer$buffers)
  names <- list(as.character(unlist(value$labels)), as.character(unlist(value$others)))
  cells <- unpack_frame(value$cells, answer$buffers)
  if (verbose) cellferry_inform(paste0("\"", key, "\" with \"", with, "\": ", value$summary))
  list(
    clusters = unpack_frame(value$rows, answer$buffers),
    cells = stats::setNames(cells$relation, cells$cell %||% extract_cells(found)),
    confusion = matrix(as.integer(unlist(counts)), nrow = length(names[[1]]), dimnames = names),
    adjusted_rand = value$adjusted_rand %||% NA_real_
  )
}

# The columns that are read for some annotators, which Python names: no other metadata is sent.
labels_as_votes <- function(outgoing, object, from, more = NULL) {
  stored <- json_record(lapply(extract_stored(object), json_text))
  metadata <- extract_metadata(object)
  asked <- bridge_call("agreement_columns", list(
    names = json_texts(names(metadata)), stored = stored, from = json_texts(from)
  ))$value
  written <- intersect(more, names(extract_stored(object)))
  keys <- unique(c(as.character(unlist(asked$keys)), written))
  columns <- c(as.character(unlist(asked$columns)), more)
  list(
    stored = stored, names = json_texts(names(metadata)),
    labelled = json_label_columns(outgoing, object, keys, columns)
  )
}

say_found <- function(found) {
  if (!nrow(found)) {
    cellferry_inform("No labels were found: annotate first, or name a column as `from`.")
    return(invisible())
  }
  names <- paste0("\"", found$name, "\"", collapse = ", ")
  cellferry_inform(paste0(
    paste(format_columns(found), collapse = "\n"),
    "\n\nNext: x <- ConsensusLabels(x, from = c(", names, "))"
  ))
}

named_values <- function(x, name, is_right, example) {
  if (is.null(x)) {
    return(list())
  }
  plain <- if (is.list(x)) unlist(x) else x
  if (!is_right(plain) || is.null(names(plain)) || !all(nzchar(names(plain))) || anyNA(plain)) {
    cellferry_stop(
      "invalid_option", paste0("`", name, "` must be a vector with names."),
      paste0("For example: ", name, " = ", example)
    )
  }
  as.list(plain)
}
