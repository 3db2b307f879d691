#' The genes that support each label
#'
#' @inheritParams Annotations
#' @param n Most genes per label.
#'
#' @return A named list, label -> genes, in the order of the clusters and with no gene twice,
#'   under the names that the object has for them (Ensembl identifiers, if that is what they are):
#'   ready for `DotPlot(x, features = SupportingMarkers(x), group.by = "cell_type")`. Clusters
#'   without a label are left out.
#' @family results
#' @examples
#' \dontrun{
#' SupportingMarkers(x)
#' }
#' @export
SupportingMarkers <- function(object, key = NULL, n = 3) {
  check_text(key, "key", null = TRUE)
  check_count(n, "n")
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) {
    labels_only_error("supporting genes")
  }
  table <- new_annotations(stored$json, stored$key)
  table <- table[table$status == "ok", ]
  used <- character()
  found <- list()
  # The table is read by people and has symbols; the object may know its genes by other names.
  names <- unlist(attr(table, "provenance")$gene_names)
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
#' Writes one HTML file that holds everything it shows: the labels, the evidence, the embedding
#' coloured by label, and how it was made.
#'
#' @inheritParams Annotations
#' @param file Path of the file to write.
#'
#' @return The path, invisibly.
#' @family results
#' @examples
#' \dontrun{
#' AnnotationReport(x, "report.html")
#' }
#' @export
AnnotationReport <- function(object, file, key = NULL) {
  check_text(file, "file")
  check_text(key, "key", null = TRUE)
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) {
    labels_only_error("table to report")
  }
  parcel <- new_parcel()
  message <- list(json = json_text(stored$json), file = json_text(path.expand(file)))
  message <- c(message, json_embedding(parcel, object, new_annotations(stored$json, stored$key)))
  answer <- bridge_call("report", message, parcel)
  invisible(answer$value$file)
}

# The embedding with its clusters; nothing when there is none or the clusters were changed.
json_embedding <- function(parcel, object, table) {
  if (inherits(object, "cellferry_annotations")) {
    return(list())
  }
  coordinates <- extract_coordinates(object)
  groups <- stored_groups(object, table)
  if (is.null(coordinates) || is.null(groups)) {
    return(list())
  }
  codes <- groups$codes - 1L
  codes[is.na(codes)] <- -1L
  list(
    coordinates = json_coordinates(parcel, coordinates), codes = pack_integer(parcel, codes),
    names = json_texts(groups$names)
  )
}
