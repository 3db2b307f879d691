# Tokens and keys. An object never holds the value, only the number under which this session
# keeps it, so that nothing that is printed, saved or logged can show it.

# Options that end like a secret and are none.
plain_options <- c("coordinates_key", "group_key", "rank_key")

# Whether an option or a field of that name is a secret, written as in R or as in JSON.
is_secret <- function(name) {
  name <- gsub("([a-z0-9])([A-Z])", "\\1_\\2", name)
  pattern <- "(^|[._])(key|token|secret|password)([._]id)?$"
  grepl(pattern, name, ignore.case = TRUE) & !tolower(name) %in% plain_options
}

# Replaces the text of secrets in (nested) options by their numbers.
hide_secrets <- function(options) {
  names <- names(options) %||% rep("", length(options))
  for (i in seq_along(options)) {
    value <- options[[i]]
    if (is_secret(names[i]) && is.character(value) && length(value) == 1L && !is.na(value)) {
      options[[i]] <- hide_secret(value)
    } else if (is.list(value) && !inherits(value, "cellferry_secret")) {
      options[[i]] <- hide_secrets(value)
    }
  }
  options
}

hide_secret <- function(value) {
  if (is.null(.globals$secrets)) {
    .globals$secrets <- new.env(parent = emptyenv())
  }
  # Unique over sessions, so that a saved object never finds the secret of another one.
  number <- paste(
    Sys.getpid(), format(Sys.time(), "%Y%m%d%H%M%OS6"), length(.globals$secrets),
    sep = "-"
  )
  assign(number, value, envir = .globals$secrets)
  structure(list(number = number), class = "cellferry_secret")
}

# The value, for the message that carries it to Python and for nothing else.
reveal_secret <- function(secret) {
  value <- .globals$secrets[[secret$number]]
  if (is.null(value)) {
    cellferry_stop(
      "credentials_required",
      "This engine was saved or made in another R session, and a secret is never saved.",
      "Make the engine again with its token or key, or set the environment variable."
    )
  }
  value
}

#' @export
format.cellferry_secret <- function(x, ...) "<hidden>"

#' @export
print.cellferry_secret <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}

#' @importFrom utils str
#' @export
str.cellferry_secret <- function(object, ...) cat(" <hidden>\n")
