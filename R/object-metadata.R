# Metadata of cells and genes, column by column and of every kind.

extract_metadata <- function(object) {
  if (is_seurat(object)) {
    return(methods::slot(object, "meta.data"))
  }
  as_plain_frame(SummarizedExperiment::colData(object))
}

# The rows of the cells that are read; see measured_cells().
metadata_of <- function(object, cells = NULL) {
  frame <- extract_metadata(object)
  if (is.null(cells)) {
    return(frame)
  }
  columns <- lapply(as.list(frame), function(x) {
    if (is.null(dim(x))) x[cells] else x[cells, , drop = FALSE]
  })
  structure(columns, names = names(frame), class = "data.frame", row.names = rownames(frame)[cells])
}

# as.data.frame() would unfold columns that are themselves frames or lists.
as_plain_frame <- function(frame) {
  columns <- as.list(frame)
  rows <- rownames(frame)
  if (is.null(rows)) rows <- .set_row_names(nrow(frame))
  structure(columns, names = names(frame), class = "data.frame", row.names = rows)
}

# Metadata of the genes of extract_genes(), in their order; its row names are the genes.
extract_feature_metadata <- function(object, assay = NULL, genes = extract_genes(object, assay)) {
  if (!is_seurat(object)) {
    frame <- as_plain_frame(SummarizedExperiment::rowData(object))
    from <- rownames(object)
  } else {
    stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
    if (is_layered(stored)) {
      # Without row names: its rows are those of the map.
      frame <- methods::slot(stored, "meta.data")
      from <- rownames(methods::slot(stored, "features"))
    } else {
      frame <- methods::slot(stored, "meta.features")
      from <- rownames(frame)
    }
  }
  rows <- match(genes, from)
  columns <- lapply(as.list(frame), function(x) if (is.null(dim(x))) x[rows] else x[rows, ])
  structure(columns, names = names(frame), class = "data.frame", row.names = as.character(genes))
}

extract_variable_features <- function(object, assay = NULL) {
  if (!is_seurat(object)) {
    return(character())
  }
  stored <- methods::slot(object, "assays")[[extract_assay(object, assay)]]
  if (!is_layered(stored)) {
    return(as.character(methods::slot(stored, "var.features")))
  }
  frame <- methods::slot(stored, "meta.data")
  if (!"var.features" %in% names(frame)) {
    return(character())
  }
  found <- which(!is.na(frame$var.features))
  rank <- frame$var.features.rank
  as.character(frame$var.features[if (is.null(rank)) found else found[order(rank[found])]])
}

# The columns of a data frame as plain vectors that cross to Python exactly. A column is a list of
# name, kind, values, action, why:
# kind     values                                          beside
# text     character
# real     double
# integer  integer
# logical  logical
# category codes from 0, -1 is NA                          levels, ordered
# date     double, days since 1970                         storage
# datetime double, seconds since 1970                      tz: NULL, "" or a name; storage
# integer64  double that has the bits of bit64::integer64
# left     NULL
# action   "taken", "coerced" or "left"; `why` says what is lost.
extract_metadata_columns <- function(object) {
  frame <- if (is.data.frame(object)) object else extract_metadata(object)
  lapply(seq_along(frame), function(i) {
    c(list(name = names(frame)[i]), column_of(frame[[i]]))
  })
}

column_of <- function(x) {
  taken <- function(kind, values, ..., why = "") {
    list(
      kind = kind, values = values, action = if (nzchar(why)) "coerced" else "taken", why = why, ...
    )
  }
  left <- function(why) list(kind = "left", values = NULL, action = "left", why = why)
  if (inherits(x, "POSIXlt")) {
    found <- column_of(as.POSIXct(x))
    return(utils::modifyList(found, list(action = "coerced", why = "POSIXlt becomes POSIXct.")))
  }
  if (inherits(x, "AsIs")) {
    class(x) <- setdiff(class(x), "AsIs")
    found <- column_of(x)
    if (found$kind != "left") {
      found$action <- "coerced"
      found$why <- "The class AsIs is dropped."
    }
    return(found)
  }
  if (is.factor(x)) {
    return(column_of_factor(x, taken))
  }
  if (inherits(x, "Date")) {
    return(taken("date", as.double(unclass(x)), storage = typeof(x), why = date_loss(x)))
  }
  if (inherits(x, "POSIXct")) {
    # POSIXlt has three names, of which the first is the zone.
    zone <- attr(x, "tzone")
    return(taken("datetime", as.double(unclass(x)),
      tz = zone[1], storage = typeof(x),
      why = moment_loss(x, zone)
    ))
  }
  if (inherits(x, "integer64")) {
    return(taken("integer64", as.double(unclass(x))))
  }
  if (inherits(x, "difftime")) {
    why <- paste0("A difference of times becomes its number of ", attr(x, "units"), ".")
    return(taken("real", as.double(unclass(x)), why = why))
  }
  if (is.list(x) || !is.null(dim(x))) {
    return(left(paste0("A column of class ", class(x)[1], " has more than one value per row.")))
  }
  kind <- c(
    character = "text", double = "real", integer = "integer", logical = "logical"
  )[typeof(x)]
  if (is.na(kind)) {
    return(left(paste0("A column of type ", typeof(x), " has no counterpart.")))
  }
  why <- if (is.object(x)) paste0("The class ", class(x)[1], " is dropped.") else ""
  taken(unname(kind), as.vector(unclass(x)), why = why)
}

# Python counts days, and moments to the nanosecond, and has no infinite ones.
date_loss <- function(x) {
  days <- as.double(unclass(x))
  present <- days[!is.na(days)]
  if (any(is.infinite(present))) {
    "Infinite dates become missing."
  } else if (any(present != floor(present))) {
    "The part of a day is dropped."
  } else {
    ""
  }
}

moment_loss <- function(x, zone) {
  seconds <- as.double(unclass(x))
  present <- seconds[is.finite(seconds)]
  # Beyond 2^24 seconds from 1970 a double is coarser than a nanosecond.
  fine <- present[present != floor(present) & abs(present) < 2^24]
  far <- any(abs(present) >= 9223372036 & present != floor(present))
  if (any(is.infinite(seconds))) {
    "Infinite times become missing."
  } else if (far || any(fine != round(fine * 1e9) / 1e9)) {
    "Times are rounded."
  } else if (length(zone) && nzchar(zone[1]) && !zone[1] %in% OlsonNames()) {
    "The time zone is not known by its name, and the times are in UTC."
  } else {
    ""
  }
}

column_of_factor <- function(x, taken) {
  levels <- levels(x)
  codes <- as.integer(unclass(x))
  why <- ""
  if (anyNA(levels)) {
    # addNA() makes a level of NA; a category in Python has none.
    codes <- match(levels[codes], levels[!is.na(levels)])
    levels <- levels[!is.na(levels)]
    why <- "The level NA becomes a missing value."
  }
  codes <- codes - 1L
  codes[is.na(codes)] <- -1L
  taken("category", codes, levels = levels, ordered = is.ordered(x), why = why)
}

# The other way: a plain column as an R vector.
vector_of <- function(column) {
  values <- column$values
  switch(column$kind,
    category = {
      codes <- values + 1L
      codes[codes < 1L] <- NA
      structure(codes,
        levels = column$levels, class = c(if (isTRUE(column$ordered)) "ordered", "factor")
      )
    },
    date = structure(stored_as(values, column$storage), class = "Date"),
    datetime = {
      made <- structure(stored_as(values, column$storage), class = c("POSIXct", "POSIXt"))
      attr(made, "tzone") <- column$tz
      made
    },
    integer64 = structure(values, class = "integer64"),
    values
  )
}

stored_as <- function(values, storage) {
  if (identical(storage, "integer")) as.integer(values) else values
}
