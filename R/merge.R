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
#'   and `cbind()` leave it. Or its path (`.rds`, `.h5ad` or a zarr folder): the file stays as it
#'   is, see `output`.
#' @param ... The annotated parts, or their paths, best with names: `MergeAnnotations(x, T =
#'   t_cells)`. A part without a name is called what its variable is called, a path what the file
#'   is called, else `part1`. Each is read under `key` where it has that, else its newest key of
#'   clusters, else of cells.
#' @param add.cell.ids What the names of cells got when the parts were put together, one for each
#'   part: `"A"` for `A_cell`, as `merge(add.cell.ids =)` writes it (or `cell_A`, `cell-A`), `"_1"`
#'   for `cell_1`, `""` for names as they are. It is applied only where it is given: an error names
#'   it where it is needed.
#' @param key Name of the label column of `object`; `NULL` is that of its newest labels of clusters,
#'   else the key of the parts.
#' @param verbose Whether to show the table of labels.
#' @param output Where the whole of a path is written with its labels: an `.rds`, or an `.h5ad` for
#'   what Python reads. `NULL` writes nothing.
#' @param overwrite Whether to replace `output` if it exists.
#'
#' @return The object with the labels of the parts; of a path what [Annotations()] returns.
#' @family results
#' @examplesIf cellferry:::has_backend() && requireNamespace("Seurat", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' t_cells <- subset(x, cell_type == "T cell")
#' t_cells <- Seurat::FindNeighbors(t_cells, dims = 1:5, k.param = 5, verbose = FALSE)
#' t_cells <- Seurat::FindClusters(t_cells, verbose = FALSE)
#' t_cells <- AnnotateClusters(t_cells, key = "subtype", verbose = FALSE)
#' x <- MergeAnnotations(x, T = t_cells, verbose = FALSE)
#' @examples
#' \dontrun{
#' both <- merge(a, b, add.cell.ids = c("A", "B"))
#' both <- MergeAnnotations(both, a, b, add.cell.ids = c("A", "B"))
#' }
#' @export
MergeAnnotations <- function(object, ..., add.cell.ids = NULL, key = NULL, verbose = TRUE,
                             output = NULL, overwrite = FALSE) {
  check_text(key, "key", null = TRUE)
  check_flag(verbose, "verbose")
  check_text(output, "output", null = TRUE)
  check_flag(overwrite, "overwrite")
  if (!is.null(add.cell.ids)) {
    add.cell.ids <- as.character(add.cell.ids)
    add.cell.ids[is.na(add.cell.ids)] <- ""
  }
  parts <- list(...)
  names(parts) <- part_names(names(parts), as.list(substitute(list(...)))[-1], parts)
  if (is_path(object)) {
    return(merge_file(object, parts, add.cell.ids, key, verbose, output, overwrite))
  }
  if (!is.null(output)) {
    cellferry_stop(
      "invalid_option", "`output` is for the whole of a path, and `object` is none.",
      "Leave it out, and save what the function returns: saveRDS(x, \"merged.rds\")"
    )
  }
  merged <- merge_into(check_object(object), lapply(parts, part_of), add.cell.ids, key, verbose)
  show_annotations(merged$answer, verbose)
  merged$object
}

# Parts into a whole that is in memory; parts that Python reads are paths.
merge_into <- function(object, parts, add.cell.ids, key, verbose) {
  keys <- unique(c(unlist(lapply(c(list(object), parts), part_keys)), key))
  outgoing <- new_outgoing()
  reserved <- lapply(extract_reserved(object), function(names) json_texts(as.character(names)))
  answer <- bridge_call("merge", list(
    whole = json_source(outgoing, object, keys), parts = json_parts(outgoing, parts),
    ids = json_texts(add.cell.ids), key = json_text(key), reserved = json_record(reserved)
  ), outgoing, verbose = verbose)
  merged <- deliver(object, answer, each_cell(object), answer$value$key)
  beside <- answer$value$beside
  for (name in names(beside)) merged <- attach_record(merged, name, beside[[name]])
  list(object = merged, answer = answer)
}

# The whole of a path: an .rds is merged here, all else in Python.
merge_file <- function(path, parts, add.cell.ids, key, verbose, output, overwrite) {
  output <- if (!is.null(output)) path.expand(output)
  whole <- object_of_path(path)
  if (!is.null(whole)) {
    check_output(output, overwrite)
    merged <- merge_into(check_object(whole), lapply(parts, part_of), add.cell.ids, key, verbose)
    if (!is.null(output)) write_rds(merged$object, output)
    return(return_table(merged$answer, verbose))
  }
  outgoing <- new_outgoing()
  answer <- bridge_call("merge_file", list(
    path = json_text(path.expand(path)), parts = json_parts(outgoing, lapply(parts, part_of)),
    ids = json_texts(add.cell.ids), key = json_text(key), output = json_text(output),
    overwrite = json_flag(overwrite)
  ), outgoing, verbose = verbose)
  return_table(answer, verbose)
}

# A part, that of an .rds too; the path of what Python reads.
part_of <- function(part) {
  if (!is_path(part)) {
    return(check_object(part))
  }
  found <- object_of_path(part)
  if (is.null(found)) path.expand(part) else check_object(found)
}

part_keys <- function(part) {
  if (!is_path(part)) {
    return(names(extract_stored(part)))
  }
  as.character(unlist(bridge_call("stored_keys", list(path = json_text(part)))$value$keys))
}

# Of parts without a name that of the file, or of the variable; else the number.
part_names <- function(given, expressions, parts) {
  given <- given %||% rep("", length(expressions))
  files <- vapply(parts, function(part) if (is_path(part)) basename(part) else "", "")
  files <- sub("[.].*", "", files)
  for (i in which(!nzchar(given))) {
    is_file <- nzchar(files[i]) && sum(files == files[i]) == 1
    is_variable <- is.symbol(expressions[[i]])
    given[i] <- if (is_file) {
      files[i]
    } else if (is_variable) {
      as.character(expressions[[i]])
    } else {
      paste0("part", i)
    }
  }
  given
}

json_parts <- function(outgoing, parts) {
  unname(Map(function(part, name) {
    if (is_path(part)) {
      return(list(name = json_text(name), path = json_text(part)))
    }
    json_source(outgoing, part, names(extract_stored(part)), name)
  }, parts, names(parts)))
}

json_source <- function(outgoing, object, keys, name = NULL) {
  stored <- json_record(lapply(extract_stored(object), json_text))
  c(list(name = json_text(name), stored = stored), json_label_columns(outgoing, object, keys))
}
