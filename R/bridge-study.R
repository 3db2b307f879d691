# An object as a study: its plain parts in one message; its expression goes as bridge-transport.R
# says.

# Opens a study without an engine; the answer has its handle, and the matrices to hold. `parts` are
# "normalized", "counts", "obs", "var", "embeddings" and "graph". discard() it.
open_study <- function(object, group.by = "ident", assay = NULL, parts = study_parts,
                       verbose = TRUE) {
  check_object(object)
  assay <- extract_assay(object, assay)
  groups <- extract_groups(object, group.by)
  parcel <- new_parcel()
  shared <- shared_expression(object, assay, parts)
  message <- list(
    study = json_study(parcel, object, groups, assay, NULL, list(), parts),
    parts = json_texts(parts)
  )
  message$study$shared <- shared$message
  opened <- bridge_call("study_open", message, parcel, verbose = verbose)$value
  send_expression(opened, object, assay)
  c(opened, list(held = shared$mats))
}

# A study that was begun and not annotated, because of an error, is of no use any more. `mats` are
# the matrices that Python may have read where they are.
discard <- function(handle, mats = NULL) {
  answer <- try(bridge_call("discard", list(handle = json_text(handle))), silent = TRUE)
  release(mats, ended = is.list(answer) && isTRUE(answer$value$ended))
}

study_parts <- c("normalized", "counts", "obs", "var", "embeddings", "graph")

# What an engine reads, from the answer to check_request; `needed` are those it can't do without.
wanted_parts <- function(answer) {
  needed <- as.character(unlist(answer$needs))
  structure(union(needed, as.character(unlist(answer$uses))), needed = needed)
}

json_study <- function(parcel, object, groups, assay, table, request, parts = request$parts,
                       coordinates = extract_coordinates(object)) {
  require_parts(object, assay, attr(parts, "needed"))
  codes <- groups$codes - 1L
  codes[is.na(codes)] <- -1L
  genes <- extract_genes(object, assay)
  wants <- function(part) part %in% parts
  frame <- function(frame, rows) {
    # Python knows the rows by their position; names would be sent twice.
    pack_frame(parcel, frame, rows)
  }
  c(
    list(
      group_key = json_text(groups$key), group_column = json_text(groups$column),
      names = json_texts(groups$names), codes = pack_integer(parcel, codes),
      cells = json_texts(extract_cells(object)), genes = json_texts(genes),
      markers = if (!is.null(table)) pack_frame(parcel, table, lists = TRUE),
      coordinates = json_coordinates(parcel, coordinates),
      object = json_text(object_kind(object)),
      counts_genes = if (wants("counts")) json_texts(extract_genes(object, assay, "counts")),
      obs = if (wants("obs")) frame(extract_metadata(object), extract_cells(object)),
      var = if (wants("var") && length(genes)) {
        frame(extract_feature_metadata(object, assay, genes), genes)
      },
      embeddings = if (wants("embeddings")) json_embeddings(parcel, extract_reductions(object)),
      graph = if (wants("graph")) json_graph(parcel, extract_graph(object, assay))
    ),
    json_context(request)
  )
}

json_context <- function(request) {
  list(
    tissue = json_text(request$tissue), species = json_text(request$species),
    study_context = json_text(request$study.context %||% "")
  )
}

json_coordinates <- function(parcel, coordinates) {
  if (!is.null(coordinates)) {
    list(name = json_text(coordinates$name), values = pack_real(parcel, coordinates$values))
  }
}

json_embeddings <- function(parcel, reductions) {
  lapply(unname(reductions), function(reduction) {
    list(
      name = json_text(reduction$name), n = jsonlite::unbox(ncol(reduction$values)),
      values = pack_real(parcel, reduction$values)
    )
  })
}

json_graph <- function(parcel, graph) {
  if (!is.null(graph)) {
    stored <- sparse_slots(graph$mat)
    list(
      name = json_text(graph$name), indptr = pack_integer(parcel, stored$p),
      indices = pack_integer(parcel, stored$i), data = pack_real(parcel, stored$x)
    )
  }
}

# Refuses an object without the expression that the engine can't do without.
require_parts <- function(object, assay, needed) {
  if ("normalized" %in% needed) require_normalized(object, assay)
  if ("counts" %in% needed) require_layer(object, assay, "counts")
}
