# Reading Seurat and SingleCellExperiment objects. With attach.R the only code that knows them;
# every branch on a version of Seurat is here. rpy2 and Rscript source these two files with
# conditions.R alone, so they use base R, methods and SeuratObject and nothing else of ours.

object_kind <- function(object) {
  if (inherits(object, "Seurat")) "Seurat" else "SingleCellExperiment"
}

is_seurat <- function(object) object_kind(object) == "Seurat"

extract_metadata <- function(object) {
  if (is_seurat(object)) {
    return(methods::slot(object, "meta.data"))
  }
  as.data.frame(SummarizedExperiment::colData(object), optional = TRUE)
}

extract_cells <- function(object) {
  names <- colnames(object)
  if (is.null(names)) as.character(seq_len(ncol(object))) else names
}

# Names that a metadata column must not take, by kind.
extract_reserved <- function(object) {
  if (!is_seurat(object)) {
    return(list())
  }
  list(
    assay = names(methods::slot(object, "assays")),
    reduction = names(methods::slot(object, "reductions")),
    graph = names(methods::slot(object, "graphs"))
  )
}

# key -> JSON text of the annotations that the object holds.
extract_stored <- function(object) {
  stored <- if (is_seurat(object)) {
    methods::slot(object, "misc")[["cellferry"]]
  } else {
    S4Vectors::metadata(object)[["cellferry"]]
  }
  Filter(function(json) is.character(json) && length(json) == 1L, as.list(stored))
}

# The clusters of the cells: `names` in the user's order, only those with cells; `codes` one per
# cell, position in `names` from 1, NA for a cell without a cluster; `column` the metadata column
# that holds them, NULL if none does.
extract_groups <- function(object, group.by = "ident") {
  metadata <- extract_metadata(object)
  values <- group_values(object, metadata, group.by)
  if (is.list(values) || length(values) != ncol(object)) {
    cellferry_stop(
      "invalid_object",
      paste0("`group.by` names \"", group.by, "\", which is not one value per cell.")
    )
  }
  texts <- cluster_texts(values)
  order <- cluster_order(values, texts)
  if (!length(order)) {
    cellferry_stop(
      "group_empty",
      paste0("\"", group.by, "\" names no cluster: every value is missing or there are no cells."),
      "Cluster the cells first, or choose another column with group.by."
    )
  }
  column <- group.by
  if (!group.by %in% names(metadata)) {
    same <- vapply(metadata, function(x) !is.list(x) && identical(cluster_texts(x), texts), NA)
    column <- if (any(same)) names(metadata)[same][1]
  }
  list(key = group.by, names = order, codes = match(texts, order), column = column)
}

group_values <- function(object, metadata, group.by) {
  if (is_seurat(object) && group.by == "ident") {
    return(unname(SeuratObject::Idents(object)))
  }
  if (group.by == "ident" && !"ident" %in% names(metadata) && "label" %in% names(metadata)) {
    # The column of SingleCellExperiment::colLabels().
    group.by <- "label"
  }
  if (!group.by %in% names(metadata)) {
    cellferry_stop(
      "group_missing",
      paste0("The metadata has no column \"", group.by, "\"."),
      c(
        did_you_mean(group.by, names(metadata)),
        candidates_hint(cluster_columns(metadata))
      ),
      list(columns = names(metadata))
    )
  }
  metadata[[group.by]]
}

# Columns that could be a clustering: few different values, and not Seurat's counts per cell.
cluster_columns <- function(metadata) {
  could_be <- vapply(metadata, function(x) {
    is_name <- is.factor(x) || is.character(x) || is.logical(x) || is.integer(x)
    n <- length(unique(x[!is.na(x)]))
    is_name && n >= 2L && n <= 200L
  }, NA)
  grep("^n(Count|Feature)_", names(metadata)[could_be], value = TRUE, invert = TRUE)
}

candidates_hint <- function(columns) {
  if (length(columns)) {
    paste0("Columns that can be clusters: ", listing(columns), ".")
  } else {
    "Cluster the cells first, or pass the column of clusters."
  }
}

# The exact text of each value, NA where there is none. Whole numbers have no decimals and no
# exponent, because R makes doubles of integers as soon as a file was read.
cluster_texts <- function(x) {
  if (is.numeric(x) && !is.factor(x)) {
    texts <- as.character(x)
    whole <- is.finite(x) & x == trunc(x) & abs(x) < 1e15
    texts[whole] <- sprintf("%.0f", x[whole])
    texts[is.na(x)] <- NA
    return(texts)
  }
  enc2utf8(as.character(x))
}

# Factor levels that have cells, else increasing numbers, else natural order.
cluster_order <- function(x, texts) {
  present <- unique(texts[!is.na(texts)])
  if (is.factor(x)) {
    return(intersect(enc2utf8(levels(x)), present))
  }
  if (is.numeric(x)) {
    return(cluster_texts(sort(unique(x))))
  }
  natural_sort(present)
}

# "2" before "10", "a2" before "a10": the order of natural_key() in study.py. Numbers get their
# length in front, so that text order is the order of the numbers.
natural_sort <- function(x) {
  parts <- regmatches(x, gregexpr("[0-9]+|[^0-9]+", x))
  keys <- vapply(parts, function(part) {
    is_number <- grepl("^[0-9]", part)
    value <- sub("^0+(?=.)", "", part, perl = TRUE)
    number <- paste0("\001", sprintf("%05d", nchar(value)), value, "\001", part)
    paste(ifelse(is_number, number, paste0("\002", part)), collapse = "")
  }, "")
  x[order(enc2utf8(keys), method = "radix")]
}

extract_assay <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    return(assay)
  }
  assays <- names(methods::slot(object, "assays"))
  assay <- if (is.null(assay)) SeuratObject::DefaultAssay(object) else assay
  if (!assay %in% assays) {
    cellferry_stop(
      "invalid_option",
      paste0("The object has no assay \"", assay, "\"."),
      paste0("Its assays: ", listing(assays), ".")
    )
  }
  assay
}

# Log-normalised values as parts `list(mat, genes, cells)` with genes in rows, no copy made. One
# part for an assay of Seurat 3 or 4 and for a joined one of Seurat 5, one per layer for a split
# one. An empty list when there are none.
normalized_parts <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    wanted <- if (is.null(assay)) "logcounts" else assay
    if (!wanted %in% SummarizedExperiment::assayNames(object)) {
      return(list())
    }
    values <- SummarizedExperiment::assay(object, wanted, withDimnames = FALSE)
    return(list(list(mat = values, genes = rownames(object), cells = extract_cells(object))))
  }
  stored <- methods::slot(object, "assays")[[assay]]
  if (!methods::.hasSlot(stored, "layers")) {
    values <- methods::slot(stored, "data")
    parts <- list(list(mat = values, genes = rownames(values), cells = colnames(values)))
    return(if (length(values)) parts else list())
  }
  # Seurat 5 keeps layers without names; LayerData("data") would copy, and on split layers
  # answer with the first only.
  layers <- methods::slot(stored, "layers")
  features <- getExportedValue("SeuratObject", "Features")
  cells <- getExportedValue("SeuratObject", "Cells")
  lapply(data_layers(stored), function(layer) {
    list(
      mat = layers[[layer]], genes = features(stored, layer = layer),
      cells = cells(stored, layer = layer)
    )
  })
}

data_layers <- function(stored) {
  names <- names(methods::slot(stored, "layers"))
  names[names == "data" | startsWith(names, "data.")]
}

extract_genes <- function(object, assay = NULL) {
  genes <- lapply(normalized_parts(object, assay), function(part) part$genes)
  if (length(genes)) unique(unlist(genes))
}

# Rows of some genes for all cells, as CSR blocks of cells x genes of at most `most` values. The
# slots of a dgCMatrix of genes x cells are that CSR; nothing is transposed.
extract_blocks <- function(object, assay, genes, most = 4e6) {
  parts <- lapply(normalized_parts(object, assay), function(part) gene_rows(part, genes))
  rows <- if (length(parts) > 1L) do.call(cbind, parts) else parts[[1]]
  cells <- extract_cells(object)
  if (!identical(colnames(rows), cells)) {
    rows <- rows[, match(cells, colnames(rows)), drop = FALSE]
  }
  pointers <- rows@p
  starts <- block_starts(pointers, most)
  ends <- c(starts[-1], ncol(rows))
  lapply(seq_along(starts), function(k) {
    first <- starts[k]
    last <- ends[k]
    inside <- seq_len(pointers[last + 1L] - pointers[first + 1L]) + pointers[first + 1L]
    list(
      row_start = first, n_rows = last - first,
      indptr = pointers[(first + 1L):(last + 1L)] - pointers[first + 1L],
      indices = rows@i[inside], data = rows@x[inside]
    )
  })
}

# Some rows of one part as a dgCMatrix; a gene that this layer does not have is a row of zeros.
gene_rows <- function(part, genes) {
  found <- match(genes, part$genes)
  rows <- methods::as(part$mat[found[!is.na(found)], , drop = FALSE], "CsparseMatrix")
  rows <- methods::as(methods::as(rows, "generalMatrix"), "dMatrix")
  methods::new(
    "dgCMatrix",
    i = which(!is.na(found))[rows@i + 1L] - 1L, p = rows@p, x = rows@x,
    Dim = c(length(genes), ncol(rows)), Dimnames = list(genes, part$cells)
  )
}

# First cell (from 0) of each block.
block_starts <- function(pointers, most) {
  n <- length(pointers) - 1L
  starts <- 0L
  repeat {
    first <- starts[length(starts)]
    fits <- findInterval(pointers[first + 1L] + most, pointers) - 1L
    following <- max(first + 1L, fits)
    if (following >= n) {
      return(starts)
    }
    starts <- c(starts, as.integer(following))
  }
}

# The embedding to draw: UMAP, else t-SNE, else the first with two dimensions; NULL if none.
extract_coordinates <- function(object) {
  if (is_seurat(object)) {
    reductions <- methods::slot(object, "reductions")
    values <- lapply(reductions, function(r) methods::slot(r, "cell.embeddings"))
  } else {
    values <- as.list(SingleCellExperiment::reducedDims(object))
  }
  values <- Filter(function(x) ncol(x) >= 2L && nrow(x) == ncol(object), values)
  if (!length(values)) {
    return(NULL)
  }
  names <- tolower(names(values))
  best <- c(grep("umap", names), grep("tsne|t-sne", names), 1L)[1]
  list(name = names(values)[best], values = as.matrix(values[[best]][, 1:2]))
}
