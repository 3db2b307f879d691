#' Put annotated parts into the whole
#'
#' Brings the labels of parts home: of subclusters, subsets and samples that were annotated by
#' themselves. Cells are joined by their exact names, and only those of the parts change: each gets
#' the label, confidence, status and decisions that it has in its part. A cell of which its part
#' says nothing, because it has no cluster there, keeps what it has.
#'
#' The table of [Annotations()] gets the rows of the parts as `<part>:<cluster>`. Rows whose cells a
#' part has taken stay, and `refined_by` names the part. The row of each cell is in the metadata
#' column `<key>_cluster`, by which cells are counted; the record of each part is kept whole, as
#' `Annotations(x, "<key>@<part>")`. The same part again replaces its rows, which changes nothing;
#' another one that is called alike gets a number. Where every cell was annotated by itself there is
#' one row per label, and no column of rows.
#'
#' What persons decided in the parts comes along and stays in force on exactly its cells, also
#' where the cells were renamed.
#'
#' @param object The whole, a Seurat object or a SingleCellExperiment: annotated, or as `merge()`
#'   and `cbind()` leave it.
#' @param ... The annotated parts, best with names: `MergeAnnotations(x, T = t_cells)`. A part
#'   without a name is called what its variable is called, else `part1`. Each is read under `key`
#'   where it has that, else its newest key of clusters, else of cells.
#' @param add.cell.ids What the names of cells got when the parts were put together, one for each
#'   part: `"A"` for `A_cell`, as `merge(add.cell.ids =)` writes it (or `cell_A`, `cell-A`), `"_1"`
#'   for `cell_1`, `""` for names as they are. It is applied only where it is given: an error names
#'   it where it is needed.
#' @param key Name of the label column of `object`; `NULL` is that of its newest labels of clusters,
#'   else the key of the parts.
#' @param verbose Whether to show the table of labels.
#'
#' @return The object with the labels of the parts.
#' @family results
#' @examples
#' \dontrun{
#' t_cells <- subset(x, cell_type == "T cell")
#' t_cells <- FindClusters(FindNeighbors(RunPCA(t_cells)))
#' t_cells <- AnnotateClusters(t_cells, key = "subtype")
#' x <- MergeAnnotations(x, T = t_cells)
#'
#' both <- merge(a, b, add.cell.ids = c("A", "B"))
#' both <- MergeAnnotations(both, a, b, add.cell.ids = c("A", "B"))
#' }
#' @export
MergeAnnotations <- function(object, ..., add.cell.ids = NULL, key = NULL, verbose = TRUE) {
  check_text(key, "key", null = TRUE)
  check_flag(verbose, "verbose")
  if (!is.null(add.cell.ids)) {
    add.cell.ids <- as.character(add.cell.ids)
    add.cell.ids[is.na(add.cell.ids)] <- ""
  }
  object <- check_object(object)
  parts <- lapply(list(...), check_object)
  names(parts) <- part_names(names(parts), as.list(substitute(list(...)))[-1])
  keys <- unique(unlist(lapply(c(list(object), parts), function(x) names(extract_stored(x)))))
  keys <- c(keys, key)
  outgoing <- new_outgoing()
  reserved <- lapply(extract_reserved(object), function(names) json_texts(as.character(names)))
  answer <- bridge_call("merge", list(
    whole = json_source(outgoing, object, keys),
    parts = unname(Map(function(part, name) {
      json_source(outgoing, part, names(extract_stored(part)), name)
    }, parts, names(parts))),
    ids = json_texts(add.cell.ids), key = json_text(key), reserved = json_record(reserved)
  ), outgoing, verbose = verbose)
  merged <- deliver(object, answer, each_cell(object), answer$value$key)
  beside <- answer$value$beside
  for (name in names(beside)) merged <- attach_record(merged, name, beside[[name]])
  show_annotations(answer, verbose)
  merged
}

# Of parts without a name that of the variable; else the number.
part_names <- function(given, expressions) {
  given <- given %||% rep("", length(expressions))
  for (i in which(!nzchar(given))) {
    is_variable <- is.symbol(expressions[[i]])
    given[i] <- if (is_variable) as.character(expressions[[i]]) else paste0("part", i)
  }
  given
}

json_source <- function(outgoing, object, keys, name = NULL) {
  stored <- json_record(lapply(extract_stored(object), json_text))
  c(list(name = json_text(name), stored = stored), json_label_columns(outgoing, object, keys))
}
