# The encoding of the bridge to Python: what crosses is JSON text and raw bytes, never an R vector
# through reticulate's converters, which lose NA, factors and large integers in silence.

# Collects the buffers of one message; `add()` returns the reference that goes into the JSON.
new_outgoing <- function() {
  outgoing <- new.env(parent = emptyenv())
  outgoing$buffers <- list()
  outgoing
}

add_buffer <- function(outgoing, bytes, type) {
  outgoing$buffers[[length(outgoing$buffers) + 1L]] <- bytes
  list("$buffer" = jsonlite::unbox(length(outgoing$buffers) - 1L), type = jsonlite::unbox(type))
}

pack_real <- function(outgoing, x) {
  add_buffer(outgoing, writeBin(as.double(x), raw(), endian = "little"), "<f8")
}

# Rounded to float32, where the receiver keeps no more.
pack_single <- function(outgoing, x) {
  add_buffer(outgoing, writeBin(as.double(x), raw(), size = 4L, endian = "little"), "<f4")
}

pack_integer <- function(outgoing, x) {
  x <- as.integer(x)
  x[is.na(x)] <- 0L
  pack_whole(outgoing, x)
}

# Integers that are known to have no NA.
pack_whole <- function(outgoing, x) {
  add_buffer(outgoing, writeBin(x, raw(), size = 4L, endian = "little"), "<i4")
}

pack_flags <- function(outgoing, x) {
  add_buffer(outgoing, as.raw(as.integer(x %in% TRUE)), "|u1")
}

# In the C locale text that was read from a file has no mark; it is taken as UTF-8 if it is valid.
as_utf8 <- function(x) {
  x <- as.character(x)
  locale <- l10n_info()
  if (!locale[["UTF-8"]] && !locale[["Latin-1"]]) {
    unmarked <- !is.na(x) & Encoding(x) == "unknown" & validUTF8(x)
    Encoding(x[unmarked]) <- "UTF-8"
  }
  enc2utf8(x)
}

json_text <- function(x) {
  if (is.null(x)) NULL else jsonlite::unbox(as_utf8(x))
}

# A path, or several that are read as one object.
json_paths <- function(x) if (length(x) > 1L) json_texts(x) else json_text(x)

json_flag <- function(x) jsonlite::unbox(as.logical(x))

json_texts <- function(x) {
  if (is.null(x)) NULL else unname(as_utf8(x))
}

# Whole numbers go as integers because R users write 30 where Python means an integer; all other
# doubles go as text, because R's JSON rounds them to 15 digits.
json_number <- function(x) {
  if (is.integer(x) || (is.finite(x) && x == trunc(x) && abs(x) < .Machine$integer.max)) {
    return(jsonlite::unbox(as.integer(x)))
  }
  text <- if (is.nan(x)) "NaN" else if (is.infinite(x)) sub("inf", "Inf", format(x), fixed = TRUE)
  list("$double" = jsonlite::unbox(text %||% sprintf("%.17g", x)))
}

# One option of an engine, or one parameter of the record. `I("a")` is a list of one.
json_value <- function(x) {
  if (is.factor(x)) x <- as.character(x)
  if (is.null(x)) {
    return(NULL)
  }
  if (!(is.character(x) || is.logical(x) || is.numeric(x) || is.list(x))) {
    cellferry_stop(
      "invalid_option",
      paste0("An option can't be of class ", class(x)[1], "."),
      "Valid: text, numbers, TRUE or FALSE, NULL, and lists of these."
    )
  }
  is_scalar <- is.atomic(x) && length(x) == 1L && is.null(names(x)) && !inherits(x, "AsIs")
  if (is_scalar) {
    return(json_scalar(x))
  }
  values <- lapply(as.list(unclass(x)), json_value)
  if (is.null(names(x))) unname(values) else json_record(values)
}

json_scalar <- function(x) {
  if (is.na(x) && !is.nan(x)) {
    jsonlite::unbox(NA)
  } else if (is.numeric(x)) {
    json_number(x)
  } else if (is.character(x)) {
    json_text(x)
  } else {
    json_flag(x)
  }
}

# A list that stays a JSON object even when it is empty.
json_record <- function(x) {
  if (length(x)) stats::setNames(x, as_utf8(names(x))) else stats::setNames(list(), character())
}

# Columns are taken by position, so that duplicated names reach Python, which reports them. Columns
# that can't cross stay behind; extract_metadata_columns() says which and why. In a marker table
# a list column of text is a column of its own kind.
pack_frame <- function(outgoing, frame, index = NULL, lists = FALSE) {
  columns <- extract_metadata_columns(frame)
  if (lists) {
    is_list <- vapply(frame, function(x) is.list(x) && !is.data.frame(x), NA)
    columns[is_list] <- lapply(which(unname(is_list)), function(i) {
      list(name = names(frame)[i], kind = "texts", values = frame[[i]])
    })
  }
  columns <- Filter(function(column) column$kind != "left", columns)
  list(
    n = jsonlite::unbox(nrow(frame)), columns = lapply(columns, pack_column, outgoing = outgoing),
    index = json_texts(index)
  )
}

pack_column <- function(column, outgoing) {
  values <- column$values
  c(
    list(name = json_text(column$name), kind = json_text(column$kind)),
    switch(column$kind,
      text = list(values = json_texts(values)),
      texts = list(values = unname(lapply(values, json_texts))),
      category = list(
        codes = pack_integer(outgoing, values), levels = json_texts(column$levels),
        ordered = json_flag(column$ordered)
      ),
      logical = list(
        values = pack_flags(outgoing, values), mask = pack_flags(outgoing, is.na(values))
      ),
      integer = list(
        values = pack_integer(outgoing, values), mask = pack_flags(outgoing, is.na(values))
      ),
      # NA is a NaN of certain bits, which cross.
      list(
        values = pack_real(outgoing, values), storage = json_text(column$storage),
        tz = json_text(column$tz)
      )
    )
  )
}

unpack_frame <- function(frame, buffers) {
  columns <- lapply(frame$columns, unpack_column, buffers = buffers)
  names(columns) <- vapply(frame$columns, function(column) column$name, "")
  rows <- if (is.null(frame$index)) .set_row_names(as.integer(frame$n)) else unlist(frame$index)
  structure(columns, class = "data.frame", row.names = rows)
}

unpack_column <- function(column, buffers) {
  masked <- function(x) {
    if (!is.null(column$mask)) x[unpack_buffer(column$mask, buffers) != 0L] <- NA
    x
  }
  values <- column$values
  column$values <- switch(column$kind,
    text = null_to_na(values, NA_character_),
    texts = lapply(values, null_to_na, missing = NA_character_),
    category = unpack_buffer(column$codes, buffers),
    logical = masked(unpack_buffer(values, buffers) != 0L),
    masked(unpack_buffer(values, buffers))
  )
  if (column$kind == "category") column$levels <- null_to_na(column$levels, NA_character_)
  vector_of(column)
}

unpack_buffer <- function(reference, buffers) {
  bytes <- buffers[[reference[["$buffer"]] + 1L]]
  switch(reference$type,
    "<f8" = readBin(bytes, "double", length(bytes) %/% 8L, size = 8L, endian = "little"),
    "<i4" = readBin(bytes, "integer", length(bytes) %/% 4L, size = 4L, endian = "little"),
    "|u1" = as.integer(bytes)
  )
}

null_to_na <- function(values, missing) {
  values[vapply(values, is.null, NA)] <- list(missing)
  unlist(values, use.names = FALSE) %||% missing[0]
}

# Names as a JSON array of text even when there is one, an object of `[]` is never wanted.
to_json_bytes <- function(message) {
  text <- jsonlite::toJSON(
    json_record(message),
    auto_unbox = FALSE, null = "null", na = "null", digits = NA
  )
  charToRaw(enc2utf8(as.character(text)))
}

from_json_bytes <- function(bytes) {
  text <- rawToChar(bytes)
  Encoding(text) <- "UTF-8"
  from_json(text)
}

from_json <- function(text) {
  jsonlite::parse_json(text, simplifyVector = FALSE)
}
