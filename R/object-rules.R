# What Seurat's marker test reads of an object beside its values: the log of its commands, and the
# version that is installed.

# Whether fold changes are of expm1() of the values, as this Seurat decides it; `why` says it.
fold_change_scale <- function(object, assay, rules) {
  if (!is_seurat(object)) {
    base <- experiment_log_base(object, assay)
    why <- if (base == 2) "logarithms to base 2, as in Bioconductor" else "natural logarithms"
    return(list(expm1 = TRUE, log_base = base, why = paste("The values are read as", why)))
  }
  stored <- methods::slot(object, "assays")[[assay]]
  if (methods::is(stored, "SCTAssay")) {
    return(list(expm1 = TRUE, log_base = exp(1), why = "An SCT assay holds logarithms"))
  }
  method <- logged_normalization(object, assay)
  why <- if (is.null(method)) {
    paste0("The object has no log of NormalizeData(assay = \"", assay, "\")")
  } else {
    paste0("The log of the object says normalization.method = \"", method, "\"")
  }
  logged <- identical(method, "LogNormalize") || (is.null(method) && rules != "4.3")
  list(expm1 = logged, log_base = exp(1), why = why, is_missing = is.null(method))
}

# As FindMarkers() looks for it; NULL where there is no log.
logged_normalization <- function(object, assay) {
  commands <- methods::slot(object, "commands")
  anchors <- c("FindIntegrationAnchors", "FindTransferAnchors")
  found <- intersect(c(paste0("NormalizeData.", assay), anchors), names(commands))
  if (length(found)) methods::slot(commands[[found[1]]], "params")[["normalization.method"]]
}

# The base of the logarithms of an experiment: the one under which the values of a cell are a
# multiple of its counts. Without counts it is that of scuttle's logNormCounts().
experiment_log_base <- function(object, assay, most = 20L) {
  counts <- experiment_parts(object, NULL, "counts")
  values <- experiment_parts(object, assay, "data")
  if (!length(counts) || !length(values)) {
    return(2)
  }
  cells <- seq_len(min(most, ncol(object)))
  read <- function(part) as.matrix(part$mat[, cells, drop = FALSE])
  spread <- function(linear) {
    ratio <- linear / read(counts[[1]])
    stats::median(apply(ratio, 2, function(x) {
      x <- x[is.finite(x)]
      if (length(x) > 1L) stats::sd(x) / mean(x) else NA
    }), na.rm = TRUE)
  }
  logs <- read(values[[1]])
  two <- spread(2^logs - 1)
  natural <- spread(expm1(logs))
  if (isTRUE(natural < two)) exp(1) else 2
}

# The rules of the installed Seurat; the latest without one.
installed_rules <- function() {
  if (!nzchar(system.file(package = "Seurat"))) {
    return("5.0.1")
  }
  version <- utils::packageVersion("Seurat")
  begun <- c("4.4", "5.0.0", "5.0.1")
  begun <- begun[vapply(begun, function(name) version >= name, NA)]
  if (length(begun)) begun[length(begun)] else "4.3"
}

# All levels of the clusters, as Seurat keeps them in a table: of the identity also those without
# cells.
group_levels <- function(object, group.by, names) {
  if (!is_seurat(object) || group.by != "ident") {
    return(names)
  }
  union(enc2utf8(levels(methods::slot(object, "active.ident"))), names)
}
