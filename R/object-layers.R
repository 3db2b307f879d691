# Reading expression layer by layer, a block of cells at a time.
#
# A *part* is one stored matrix, `list(mat, genes, cells)` with genes in rows: the matrix is the
# object's own, not a copy. A Seurat 3 or 4 assay and a joined Seurat 5 assay have one part for a
# layer, a split Seurat 5 assay one for each of `counts.1`, `counts.2`, ...

# The parts of "counts", "data" or "scale.data"; an empty list when there is no such layer. In a
# SingleCellExperiment "data" is `assay`, or logcounts.
layer_parts <- function(object, assay = NULL, layer = "data", check = TRUE) {
  parts <- if (!is_seurat(object)) {
    experiment_parts(object, assay, layer)
  } else {
    stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
    if (is_layered(stored)) layered_parts(stored, layer) else slot_parts(stored, layer)
  }
  if (check) lapply(parts, check_part) else parts
}

normalized_parts <- function(object, assay = NULL) layer_parts(object, assay, "data")

# Assay5 and its kin, recognised by their storage and not by their class.
is_layered <- function(stored) methods::.hasSlot(stored, "layers")

experiment_parts <- function(object, assay, layer) {
  usual <- c(counts = "counts", data = "logcounts", scale.data = "scaledata")
  wanted <- if (layer == "data" && !is.null(assay)) assay else usual[[layer]]
  if (!wanted %in% SummarizedExperiment::assayNames(object)) {
    return(list())
  }
  values <- SummarizedExperiment::assay(object, wanted, withDimnames = FALSE)
  genes <- rownames(object)
  if (is.null(genes)) genes <- as.character(seq_len(nrow(object)))
  list(list(mat = values, genes = genes, cells = extract_cells(object), layer = wanted))
}

slot_parts <- function(stored, layer) {
  values <- methods::slot(stored, layer)
  if (!length(values)) {
    return(list())
  }
  list(list(mat = values, genes = rownames(values), cells = colnames(values), layer = layer))
}

# Seurat 5 keeps layers without names. Its own LayerData("data") copies, takes the name for a
# pattern, and on split layers answers with the first only; JoinLayers() makes a second matrix.
layered_parts <- function(stored, layer) {
  layers <- methods::slot(stored, "layers")
  parts <- lapply(layer_names(names(layers), layer), function(name) {
    list(
      mat = layers[[name]], genes = mapped(methods::slot(stored, "features"), name),
      cells = mapped(methods::slot(stored, "cells"), name), layer = name
    )
  })
  parts <- Filter(function(part) length(part$cells) > 0L, parts)
  check_apart(parts, layer)
  parts
}

# "counts", or where there is none "counts.1", "counts.sample"; never a pattern.
layer_names <- function(names, layer) {
  if (layer %in% names) layer else names[startsWith(names, paste0(layer, "."))]
}

# Names in a LogMap (a logical matrix, one column for each layer) are in the order of the assay.
mapped <- function(map, layer) rownames(map)[map[, layer]]

check_apart <- function(parts, layer) {
  cells <- unlist(lapply(parts, function(part) part$cells))
  if (anyDuplicated(cells)) {
    layers <- vapply(parts, function(part) part$layer, "")
    cellferry_stop(
      "invalid_object",
      paste0(
        "The cell \"", cells[duplicated(cells)][1], "\" is in more than one layer of \"", layer,
        "\": ", listing(layers), "."
      ),
      paste0("Remove the layer that is too many: x[[\"RNA\"]][[\"", layers[1], "\"]] <- NULL")
    )
  }
}

# A damaged matrix would be read beyond its end, or put values on other genes.
check_part <- function(part) {
  mat <- part$mat
  fits <- identical(dim(mat), c(length(part$genes), length(part$cells)))
  problem <- if (!fits) {
    paste0(
      "it is ", paste(dim(mat), collapse = " x "), " for ", length(part$genes), " genes and ",
      length(part$cells), " cells"
    )
  } else if (inherits(mat, "sparseMatrix")) {
    valid <- methods::validObject(mat, test = TRUE)
    if (!isTRUE(valid)) valid[1]
  }
  if (!is.null(problem)) {
    cellferry_stop(
      "invalid_object",
      paste0("The matrix of \"", part$layer, "\" is damaged: ", problem, "."),
      paste(
        "Make it anew from its source; entries out of order are put right by",
        "Matrix::sparseMatrix(i = m@i + 1L, p = m@p, x = m@x, dims = dim(m))."
      ),
      list(layer = part$layer)
    )
  }
  part
}

# Which cells are read: the layer that is read first decides it, `data` or else `counts`, and
# another one is only read where it has all of these. An assay may have fewer cells than the object
# has, as the sketch of a large one: the others were not measured, so that they are no zeros and in
# no figure. `cells` are positions among all cells, NULL for all; `layers` can be read.
measured_cells <- function(object, assay = NULL, layers = c("data", "counts")) {
  all_cells <- extract_cells(object)
  stored <- lapply(stats::setNames(layers, layers), function(layer) {
    parts <- layer_parts(object, assay, layer, check = FALSE)
    unlist(lapply(parts, function(part) part$cells))
  })
  stored <- Filter(length, stored)
  if (!length(stored)) {
    return(list(cells = NULL, layers = layers))
  }
  there <- if (identical(all_cells, stored[[1]])) TRUE else all_cells %in% stored[[1]]
  cells <- if (!all(there)) which(there)
  wanted <- if (is.null(cells)) all_cells else all_cells[cells]
  reads <- vapply(stored, function(x) identical(x, wanted) || all(wanted %in% x), NA)
  list(cells = cells, layers = names(stored)[reads])
}

# What `cells` of measured_cells() chooses of a vector.
of_measured <- function(x, cells) if (is.null(cells)) x else x[cells]

# Genes of the parts in the order of the assay.
part_genes <- function(parts) {
  unlisted <- lapply(parts, function(part) part$genes)
  if (length(unlisted) == 1L) unlisted[[1]] else unique(unlist(unlisted))
}

# Without an `assay`: the genes of the parts, those of the first part first.
extract_genes <- function(object, assay = NULL, layer = "data") {
  genes <- part_genes(layer_parts(object, assay, layer, check = FALSE))
  if (is_seurat(object)) {
    stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
    if (is_layered(stored)) {
      genes <- intersect(rownames(methods::slot(stored, "features")), genes)
    }
  }
  if (length(genes)) genes
}

# Genes of the assay in its order, whatever layers have them.
extract_all_genes <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    genes <- rownames(object)
    return(if (is.null(genes)) as.character(seq_len(nrow(object))) else genes)
  }
  stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
  if (is_layered(stored)) rownames(methods::slot(stored, "features")) else rownames(stored)
}

# Blocks of cells x genes in CSR form, in the order of `cells`, whatever the order and the number
# of the parts; a cell or a gene that no part has is a row or a column of nothing. `read(k)` makes
# the block `k` of `n`: `list(row_start, n_rows, indptr, indices, data)`, with an indptr of its
# own from 0, so that all blocks together may have more than 2^31 values. A block of a sparse
# matrix has at most `most` values, 3 MB: so small that the memory of one serves the next. The
# slots of a dgCMatrix of genes x cells are that CSR: nothing is transposed.
layer_blocks <- function(parts, cells, genes = NULL, most = 2.5e5) {
  if (is.null(genes)) genes <- part_genes(parts)
  readers <- lapply(parts, part_reader, cells = cells, genes = genes)
  weights <- rep(1, length(cells))
  for (reader in readers) {
    here <- !is.na(reader$at)
    weights[here] <- weights[here] + reader$sizes[reader$at[here]]
  }
  starts <- block_starts(cumsum(c(0, weights)), most)
  ends <- c(starts[-1], length(cells))
  read <- function(k) {
    rows <- seq.int(starts[k] + 1L, length.out = ends[k] - starts[k])
    read_block(readers, rows)
  }
  list(n = length(starts), genes = genes, read = read)
}

# First cell (from 0) of each block. The pointers are doubles: they may pass 2^31.
block_starts <- function(pointers, most) {
  n <- length(pointers) - 1L
  starts <- 0L
  while (n > 0L) {
    first <- starts[length(starts)]
    fits <- findInterval(pointers[first + 1L] + most, pointers) - 1L
    following <- as.integer(max(first + 1L, fits))
    if (following >= n) break
    starts <- c(starts, following)
  }
  starts
}

part_reader <- function(part, cells, genes) {
  at <- if (identical(part$cells, cells)) seq_along(cells) else match(cells, part$cells)
  list(
    mat = part$mat, at = at, sizes = column_sizes(part$mat), genes = gene_map(part$genes, genes)
  )
}

# Column of the block (from 0) for each row of the matrix, NA where it is not wanted; NULL when
# they are the same. Of genes of one name the first is taken, as match() does.
gene_map <- function(from, to) {
  if (identical(from, to)) {
    return(NULL)
  }
  map <- rep(NA_integer_, length(from))
  found <- match(to, from)
  map[found[!is.na(found)]] <- which(!is.na(found)) - 1L
  map
}

read_block <- function(readers, rows) {
  pieces <- lapply(readers, function(reader) {
    inside <- which(!is.na(reader$at[rows]))
    if (!length(inside)) {
      return(NULL)
    }
    piece <- read_columns(reader$mat, reader$at[rows][inside])
    c(with_genes(piece, reader$genes), list(inside = inside))
  })
  pieces <- Filter(Negate(is.null), pieces)
  whole <- length(pieces) == 1L && length(pieces[[1]]$inside) == length(rows)
  block <- if (whole) pieces[[1]] else interleaved(pieces, length(rows))
  list(
    row_start = rows[1] - 1L, n_rows = length(rows),
    indptr = c(0L, as.integer(cumsum(block$lengths))), indices = block$i, data = block$x
  )
}

with_genes <- function(piece, map) {
  if (is.null(map)) {
    return(piece)
  }
  i <- map[piece$i + 1L]
  row <- rep.int(seq_along(piece$lengths), piece$lengths)
  order <- if (is.unsorted(map, na.rm = TRUE)) order(row, i, na.last = NA) else which(!is.na(i))
  order <- order[!is.na(i[order])]
  list(lengths = tabulate(row[order], length(piece$lengths)), i = i[order], x = piece$x[order])
}

# The rows of all parts, each at its place among the cells.
interleaved <- function(pieces, n) {
  lengths <- integer(n)
  for (piece in pieces) lengths[piece$inside] <- piece$lengths
  starts <- cumsum(c(1L, lengths))
  i <- integer(sum(lengths))
  x <- double(length(i))
  for (piece in pieces) {
    to <- sequence(piece$lengths, from = starts[piece$inside])
    i[to] <- piece$i
    x[to] <- piece$x
  }
  list(lengths = lengths, i = i, x = x)
}

# Values of a few genes, cells x genes; of normalised values, or of a layer. NULL where there are
# none of them. A cell that no part has is a row of NA.
extract_values <- function(object, genes, assay = NULL, layer = "data") {
  parts <- layer_parts(object, assay, layer)
  genes <- genes[genes %in% unlist(lapply(parts, function(part) part$genes))]
  if (!length(genes)) {
    return(NULL)
  }
  cells <- extract_cells(object)
  values <- matrix(NA_real_, length(cells), length(genes), dimnames = list(NULL, genes))
  for (part in parts) {
    values[match(part$cells, cells), ] <- 0
  }
  blocks <- layer_blocks(parts, cells, genes)
  for (k in seq_len(blocks$n)) {
    block <- blocks$read(k)
    row <- rep.int(block$row_start + seq_len(block$n_rows), diff(block$indptr))
    values[cbind(row, block$indices + 1L)] <- block$data
  }
  values
}

# Names of everything that an assay stores, filled or not.
stored_layers <- function(object, assay) {
  if (!is_seurat(object)) {
    return(SummarizedExperiment::assayNames(object))
  }
  stored <- methods::slot(object, "assays")[[assay]]
  if (is_layered(stored)) {
    return(names(methods::slot(stored, "layers")))
  }
  Filter(function(name) length(methods::slot(stored, name)) > 0L, c("counts", "data", "scale.data"))
}

# Names of the layers of an assay without the suffix of a split, for layer_parts(). In a
# SingleCellExperiment the names of its assays.
extract_layer_names <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    return(SummarizedExperiment::assayNames(object))
  }
  stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
  usual <- c("counts", "data", "scale.data")
  if (!is_layered(stored)) {
    return(usual[vapply(usual, function(name) length(methods::slot(stored, name)) > 0L, NA)])
  }
  names <- names(methods::slot(stored, "layers"))
  for (name in usual) {
    names[startsWith(names, paste0(name, ".")) & !name %in% names] <- name
  }
  unique(names)
}

# The parts of a layer that can't be done without.
require_layer <- function(object, assay, layer) {
  parts <- layer_parts(object, assay, layer)
  if (length(parts)) {
    return(parts)
  }
  there <- stored_layers(object, assay)
  what <- c(counts = "raw counts", data = "normalised values")[[layer]]
  recipe <- if (!is_seurat(object)) {
    paste0("Put them there: assay(x, \"", c(counts = "counts", data = "logcounts")[[layer]], "\")")
  } else if (layer == "data") {
    value_recipe(object, assay, "missing")
  } else {
    paste0(
      "Put them there: x <- SetAssayData(x, \"counts\", new.data = counts, assay = \"", assay,
      "\")"
    )
  }
  where <- if (is.null(assay)) "The object" else paste0("The assay \"", assay, "\"")
  has <- if (length(there)) paste0("has ", listing(there)) else "is empty"
  cellferry_stop(
    "layer_missing", paste0(where, " has no ", what, "; it ", has, "."), recipe,
    list(layers = there)
  )
}

require_normalized <- function(object, assay) {
  parts <- require_layer(object, assay, "data")
  found <- value_kind(parts)
  # What is wrong with damaged and linear values, whoever reads all of them says with an example.
  if (found %in% c("normalized", "linear", "damaged")) {
    return(parts)
  }
  what <- c(
    counts = "raw counts (all are whole numbers)", scaled = "scaled values (some are negative)",
    empty = "nothing but zeros"
  )
  recipe <- if (is_seurat(object)) {
    value_recipe(object, assay, found)
  } else {
    "Normalise the counts again: x <- scuttle::logNormCounts(x)"
  }
  cellferry_stop(
    "not_normalized",
    paste0(
      "Log-normalised values are needed, and \"", parts[[1]]$layer, "\" holds ", what[[found]], "."
    ),
    recipe
  )
}
