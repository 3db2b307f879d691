# Checks of the verbs' own arguments. What an engine accepts is checked by the core.

check_text <- function(x, name, null = FALSE) {
  if (null && is.null(x)) {
    return(invisible())
  }
  if (!is.character(x) || length(x) != 1L || is.na(x) || !nzchar(x)) {
    invalid_argument(x, name, "one piece of text", if (null) "or NULL")
  }
}

check_flag <- function(x, name) {
  if (!is.logical(x) || length(x) != 1L || is.na(x)) {
    invalid_argument(x, name, "TRUE or FALSE")
  }
}

check_texts <- function(x, name, null = FALSE) {
  if (null && is.null(x)) {
    return(invisible())
  }
  if (!is.character(x) || anyNA(x) || !all(nzchar(x))) {
    invalid_argument(x, name, "pieces of text", if (null) "or NULL")
  }
}

check_count <- function(x, name, least = 1) {
  if (!is.numeric(x) || length(x) != 1L || is.na(x) || x < least || x != trunc(x)) {
    invalid_argument(x, name, paste("a whole number of at least", least))
  }
}

# Says what kind of thing was given, not its value: it may be long, or a secret.
invalid_argument <- function(x, name, ...) {
  given <- if (is.null(x)) {
    "NULL"
  } else if (is.atomic(x) && length(x) == 1L && is.na(x)) {
    "NA"
  } else if (is.character(x) && length(x) == 1L && !nzchar(x)) {
    "empty"
  } else {
    paste0(class(x)[1], " of length ", length(x))
  }
  cellferry_stop(
    "invalid_option",
    paste0("`", name, "` must be ", paste(c(...), collapse = " "), ", and is ", given, ".")
  )
}

# Names in `...` must be options of the chosen engine. `group_by` must never be swallowed, so the
# verb's own arguments are among those that may have been meant.
check_dots <- function(options, engine, valid, verb) {
  names <- names(options) %||% rep("", length(options))
  if (any(!nzchar(names))) {
    cellferry_stop(
      "unknown_option",
      "An argument in `...` has no name.",
      "Write name = value; options are never matched by position."
    )
  }
  twice <- names[duplicated(names)]
  if (length(twice)) {
    cellferry_stop("invalid_option", paste0("`", twice[1], "` is given more than once."))
  }
  for (name in setdiff(names, valid)) {
    guess <- did_you_mean(name, c(verb, valid), quote = "`")
    known <- if (length(valid)) {
      paste0("Options of the engine \"", engine, "\": ", listing(valid, 20, "`"), ".")
    } else {
      "Give options when the engine is made, not beside it."
    }
    cellferry_stop(
      "unknown_option",
      paste0("`", name, "` is neither an argument nor an option of the engine \"", engine, "\"."),
      paste(c(guess[nzchar(guess)], known), collapse = " "),
      list(option = name)
    )
  }
}

# For verbs whose methods need `...` and take nothing from it.
check_empty_dots <- function(options, verb) {
  if (!length(options)) {
    return(invisible())
  }
  arguments <- setdiff(names(formals(verb)), "...")
  name <- c(names(options), "")[1]
  if (!nzchar(name)) {
    cellferry_stop(
      "unknown_option", paste0("`", verb, "()` was given an argument too many, without a name."),
      "Write name = value."
    )
  }
  guess <- did_you_mean(name, arguments, quote = "`")
  cellferry_stop(
    "unknown_option", paste0("`", name, "` is no argument of `", verb, "()`."),
    paste(c(guess[nzchar(guess)], paste0("It has ", listing(arguments, 30, "`"), ".")),
      collapse = " "
    ),
    list(option = name)
  )
}
