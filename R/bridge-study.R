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
                        coordinates.key = NULL, progress = NULL,
                        outgoing = new_outgoing()) {
  how <- match.arg(how)
  force(assay)
  force(groups)
  measured <- measured_cells(object, assay, layers_of_parts(parts))
  warn_of_absent_cells(object, assay, measured, request$level)
  message$study <- json_study(
    outgoing, object, groups, assay, request, parts, measured, coordinates.key
  )
  cells <- of_measured(extract_cells(object), measured$cells)
  if (how == "shared") {
    shared <- shared_expression(object, assay, parts, cells)
    message$study$shared <- shared$message
    request$kept$mats <- shared$mats
  } else if (how == "on_demand") {
    message$study$on_demand <- json_on_demand(object, assay)
  }
  begun <- bridge_call(call, message, outgoing, verbose = isTRUE(request$verbose))$value
  request$kept$handles <- begun$handle
  begun$kept <- request$kept
  if (how == "on_demand") {
    begun$blocks <- wanted_blocks(begun, object, assay, cells)
  } else {
    send_expression(begun, object, assay, cells, progress)
  }
  begun
}

# The study of an object without an engine, to be looked at.
open_study <- function(object, group.by = "ident", assay = NULL, parts = study_parts,
                       kept = new_kept(), verbose = TRUE) {
  object <- check_object(object)
  request <- list(group.by = group.by, assay = assay, kept = kept, verbose = verbose)
  begin_study(object, "study_open", request, parts, message = list(parts = json_texts(parts)))
}

study_parts <- c("normalized", "counts", "obs", "var", "embeddings", "graph")

# The layers that an engine reads, the one that decides which cells are read first.
layers_of_parts <- function(parts) {
  needed <- attr(parts, "needed")
  counts_first <- "counts" %in% needed && !"normalized" %in% needed
  if (counts_first) c("counts", "data") else c("data", "counts")
}

# An assay may have fewer cells than the object, for example the sketch of a large one.
warn_of_absent_cells <- function(object, assay, measured, level) {
  if (is.null(measured$cells)) {
    return(invisible())
  }
  n <- length(extract_cells(object))
  n_there <- length(measured$cells)
  where <- if (is.null(assay)) "the assay" else paste0("the assay \"", assay, "\"")
  what <- switch(level %||% "figures",
    clusters = paste(
      "Markers and figures are of its", n_there, "cells; the label of a cluster goes to all cells",
      "of the cluster."
    ),
    cells = paste("Its", n_there, "cells get labels; the others have the status skipped."),
    paste("Files and figures are of its", n_there, "cells.")
  )
  cellferry_warn(
    "cells_without_expression",
    paste0(n - n_there, " of ", n, " cells have no values in ", where, ". ", what),
    "To read other cells, choose an assay that has them with `assay`."
  )
}

# The clusters of the cells that are read, and of a study without an engine no others.
groups_of_measured <- function(groups, cells, engine) {
  if (is.null(cells)) {
    return(groups)
  }
  groups$absent <- groups$codes[-cells]
  groups$codes <- groups$codes[cells]
  if (length(groups$names) && all(is.na(groups$codes))) {
    cellferry_stop(
      "group_empty",
      paste0("\"", groups$key, "\" names no cluster of the cells that the assay has."),
      "Choose another column with `group.by`, or another assay with `assay`."
    )
  }
  if (is.null(engine)) {
    kept <- sort(unique(groups$codes))
    groups$codes <- match(groups$codes, kept)
    groups$absent <- match(groups$absent, kept)
    groups$names <- groups$names[kept]
  }
  groups
}

# Positions from 0, -1 for none, as Python has them.
codes_from_zero <- function(codes) ifelse(is.na(codes), -1L, codes - 1L)

json_study <- function(outgoing, object, groups, assay, request, parts = request$parts,
                       measured = measured_cells(object, assay, layers_of_parts(parts)),
                       coordinates.key = NULL) {
  require_parts(object, assay, attr(parts, "needed"))
  at <- measured$cells
  cells <- of_measured(extract_cells(object), at)
  groups <- groups_of_measured(groups, at, request$engine)
  coordinates <- extract_coordinates(object, coordinates.key, at)
  reads <- function(layer) layer %in% measured$layers
  genes <- if (reads("data")) extract_genes(object, assay)
  wants <- function(part) part %in% parts
  frame <- function(frame, rows) {
    # Python knows the rows by their position; names would be sent twice.
    pack_frame(outgoing, frame, rows)
  }
  c(
    list(
      group_key = json_text(groups$key), group_column = json_text(groups$column),
      names = json_texts(groups$names),
      codes = pack_integer(outgoing, codes_from_zero(groups$codes)),
      cells = json_texts(cells), genes = json_texts(genes),
      absent = if (!is.null(at)) {
        list(
          cells = json_texts(extract_cells(object)[-at]),
          codes = pack_integer(outgoing, codes_from_zero(groups$absent))
        )
      },
      markers = json_text(request$markers),
      coordinates = json_coordinates(outgoing, coordinates),
      object = json_text(object_kind(object)), assay = json_text(assay),
      other_assays = json_other_assays(object, assay),
      counts_genes = if (wants("counts") && reads("counts")) {
        json_texts(extract_genes(object, assay, "counts"))
      },
      obs = if (wants("obs")) frame(metadata_of(object, at), cells),
      quality = if (!wants("obs") && !is.null(request$engine)) {
        frame(quality_of(metadata_of(object, at)), cells)
      },
      var = if (wants("var") && length(genes)) {
        frame(extract_feature_metadata(object, assay, genes), genes)
      },
      embeddings = if (wants("embeddings")) {
        json_embeddings(outgoing, extract_reductions(object, at))
      },
      graph = if (wants("graph")) json_graph(outgoing, extract_graph(object, assay, at))
    ),
    json_context(request)
  )
}

# The columns by which the quality of clusters is judged; those with a row for each cell only.
quality_of <- function(frame) {
  names <- tolower(names(frame))
  wanted <- names %in% quality_columns | startsWith(names, doublet_prefix)
  plain <- vapply(frame, function(x) is.null(dim(x)) && is.atomic(x), logical(1))
  frame[wanted & plain]
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
