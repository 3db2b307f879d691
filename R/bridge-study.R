# An object as a study: its plain parts in one message; its expression goes as bridge-transport.R
# says.

# What Python keeps for a call until it ends: what was opened, by its handles, and the matrices that
# Python may read where R has them. A caller makes one, and on.exit(discard(kept)) gives all back.
new_kept <- function() {
  list2env(list(handles = character(), mats = NULL), parent = emptyenv())
}

# After an error or an interrupt, and when all is done: what is still open is of no use any more.
discard <- function(kept) {
  ended <- FALSE
  for (handle in kept$handles) {
    answer <- try(bridge_call("discard", list(handle = json_text(handle))), silent = TRUE)
    ended <- is.list(answer) && isTRUE(answer$value$ended)
  }
  if (length(kept$handles) || length(kept$mats)) release(kept$mats, ended)
  kept$handles <- character()
  kept$mats <- NULL
}

# Opens the study of an object by one of Python's calls, and brings the expression that it wants.
# The answer is Python's, with what is `kept` for it and, on demand, the `blocks` to be asked for.
#
# `request` says which assay and clusters, and what is known of the sample; `parts` are some of
# `study_parts`, with those that can't be missing as the attribute "needed"; `message` is what the
# call takes beside the study. `how` the expression gets there: "shared" is read in place where it
# can be and else sent, "sent" is sent, "on_demand" is asked for. `progress` is called with the
# blocks that were sent, of how many, and of what.
begin_study <- function(object, call, request, parts = request$parts,
                        how = c("shared", "sent", "on_demand"), message = list(),
                        assay = extract_assay(object, request$assay),
                        groups = extract_groups(object, request$group.by %||% "ident"),
                        coordinates = extract_coordinates(object), progress = NULL) {
  how <- match.arg(how)
  force(assay)
  force(groups)
  outgoing <- new_outgoing()
  message$study <- json_study(outgoing, object, groups, assay, request, parts, coordinates)
  if (how == "shared") {
    shared <- shared_expression(object, assay, parts)
    message$study$shared <- shared$message
    request$kept$mats <- shared$mats
  } else if (how == "on_demand") {
    message$study$on_demand <- json_on_demand(object, assay)
  }
  begun <- bridge_call(call, message, outgoing, verbose = isTRUE(request$verbose))$value
  request$kept$handles <- begun$handle
  begun$kept <- request$kept
  if (how == "on_demand") {
    begun$blocks <- wanted_blocks(begun, object, assay)
  } else {
    send_expression(begun, object, assay, progress)
  }
  begun
}

# The study of an object without an engine, to be looked at.
open_study <- function(object, group.by = "ident", assay = NULL, parts = study_parts,
                       kept = new_kept(), verbose = TRUE) {
  check_object(object)
  request <- list(group.by = group.by, assay = assay, kept = kept, verbose = verbose)
  begin_study(object, "study_open", request, parts, message = list(parts = json_texts(parts)))
}

study_parts <- c("normalized", "counts", "obs", "var", "embeddings", "graph")

json_study <- function(outgoing, object, groups, assay, request, parts = request$parts,
                       coordinates = extract_coordinates(object)) {
  require_parts(object, assay, attr(parts, "needed"))
  codes <- groups$codes - 1L
  codes[is.na(codes)] <- -1L
  genes <- extract_genes(object, assay)
  wants <- function(part) part %in% parts
  frame <- function(frame, rows) {
    # Python knows the rows by their position; names would be sent twice.
    pack_frame(outgoing, frame, rows)
  }
  c(
    list(
      group_key = json_text(groups$key), group_column = json_text(groups$column),
      names = json_texts(groups$names), codes = pack_integer(outgoing, codes),
      cells = json_texts(extract_cells(object)), genes = json_texts(genes),
      markers = json_text(request$markers),
      coordinates = json_coordinates(outgoing, coordinates),
      object = json_text(object_kind(object)), assay = json_text(assay),
      other_assays = json_other_assays(object, assay),
      counts_genes = if (wants("counts")) json_texts(extract_genes(object, assay, "counts")),
      obs = if (wants("obs")) frame(extract_metadata(object), extract_cells(object)),
      var = if (wants("var") && length(genes)) {
        frame(extract_feature_metadata(object, assay, genes), genes)
      },
      embeddings = if (wants("embeddings")) json_embeddings(outgoing, extract_reductions(object)),
      graph = if (wants("graph")) json_graph(outgoing, extract_graph(object, assay))
    ),
    json_context(request)
  )
}

# Of the other assays some features, by which Python sees where the genes are.
json_other_assays <- function(object, assay, most = 200) {
  features <- extract_other_features(object, assay)
  lapply(stats::setNames(nm = names(features)), function(name) {
    of_assay <- features[[name]]
    chosen <- unique(round(seq(1, length(of_assay), length.out = min(most, length(of_assay)))))
    list(name = json_text(name), features = json_texts(of_assay[chosen]))
  }) |> unname()
}

json_context <- function(request) {
  list(
    tissue = json_text(request$tissue), species = json_text(request$species),
    study_context = json_text(request$study.context %||% "")
  )
}

json_coordinates <- function(outgoing, coordinates) {
  if (!is.null(coordinates)) {
    list(name = json_text(coordinates$name), values = pack_real(outgoing, coordinates$values))
  }
}

json_embeddings <- function(outgoing, reductions) {
  lapply(unname(reductions), function(reduction) {
    list(
      name = json_text(reduction$name), n = jsonlite::unbox(ncol(reduction$values)),
      values = pack_real(outgoing, reduction$values)
    )
  })
}

json_graph <- function(outgoing, graph) {
  if (!is.null(graph)) {
    stored <- sparse_slots(graph$mat)
    list(
      name = json_text(graph$name), indptr = pack_integer(outgoing, stored$p),
      indices = pack_integer(outgoing, stored$i), data = pack_real(outgoing, stored$x)
    )
  }
}

# Refuses an object without the expression that the engine can't do without.
require_parts <- function(object, assay, needed) {
  if ("normalized" %in% needed) require_normalized(object, assay)
  if ("counts" %in% needed) require_layer(object, assay, "counts")
}
