# Checks of the public functions' own arguments. What an engine accepts is checked by the core.

check_text <- function(x, name, null = FALSE) {
  if (null && is.null(x)) {
    return(invisible())
  }
  if (!rlang::is_string(x) || !nzchar(x)) {
    invalid_argument(x, name, "one piece of text", if (null) "or NULL")
  }
}

# A path, or several that are read as one object.
check_paths <- function(x, name) {
  if (rlang::is_character(x) && length(x) > 1L) check_texts(x, name) else check_text(x, name)
}

check_flag <- function(x, name) {
  if (!rlang::is_bool(x)) {
    invalid_argument(x, name, "TRUE or FALSE")
  }
}

check_texts <- function(x, name, null = FALSE) {
  if (null && is.null(x)) {
    return(invisible())
  }
  if (!rlang::is_character(x) || anyNA(x) || !all(nzchar(x))) {
    invalid_argument(x, name, "pieces of text", if (null) "or NULL")
  }
}

# Inf is a whole number here: as many as there are.
check_count <- function(x, name, least = 1) {
  if (!is.numeric(x) || !rlang::is_scalar_integerish(x) || is.na(x) || x < least) {
    invalid_argument(x, name, paste("a whole number of at least", least))
  }
}

check_size <- function(x, name) {
  if (!rlang::is_bare_numeric(x, 1L) || !is.finite(x) || x <= 0) {
    invalid_argument(x, name, "one number above 0")
  }
}

# Says what kind of thing was given, not its value: it may be long, or a secret.
invalid_argument <- function(x, name, ...) {
  given <- if (is.null(x)) {
    "NULL"
  } else if (is.atomic(x) && length(x) == 1L && is.na(x)) {
    "NA"
  } else if (identical(x, "")) {
    "empty"
  } else {
    paste0(class(x)[1], " of length ", length(x))
  }
  cellferry_stop(
    "invalid_option",
    paste0("`", name, "` must be ", paste(c(...), collapse = " "), ", and is ", given, ".")
  )
}

# Names in `...` must be options of the engine that was chosen, or none where `...` is only there
# for its methods. `group_by` must never be swallowed, so a function's own arguments are among those
# that may have been meant. `valid` is empty when the engine was made with its options before.
check_dots <- function(options, caller, engine = NULL, valid = character()) {
  names <- names(options) %||% rep("", length(options))
  alone <- is.null(engine)
  if (!all(nzchar(names))) {
    cellferry_stop(
      "unknown_option",
      if (alone) {
        paste0("`", caller, "()` was given an argument too many, without a name.")
      } else {
        "An argument in `...` has no name."
      },
      paste0("Write name = value", if (!alone) "; options are never matched by position", ".")
    )
  }
  twice <- names[duplicated(names)]
  if (length(twice)) {
    cellferry_stop("invalid_option", paste0("`", twice[1], "` is given more than once."))
  }
  arguments <- setdiff(names(formals(caller)), "...")
  for (name in setdiff(names, valid)) {
    guess <- did_you_mean(name, c(arguments, valid), quote = "`")
    known <- if (alone) {
      paste0("It has ", listing(arguments, 30, "`"), ".")
    } else if (length(valid)) {
      paste0("Options of the engine \"", engine, "\": ", listing(valid, 20, "`"), ".")
    } else {
      "Give options when the engine is made, not beside it."
    }
    cellferry_stop(
      "unknown_option",
      if (alone) {
        paste0("`", name, "` is no argument of `", caller, "()`.")
      } else {
        paste0("`", name, "` is neither an argument nor an option of the engine \"", engine, "\".")
      },
      paste(c(guess[nzchar(guess)], known), collapse = " "),
      list(option = name)
    )
  }
}
