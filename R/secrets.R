# Keys and tokens: kept outside of the objects, shown nowhere, asked for where they are missing.

# Keys of this session by handle. Objects have only handles, so that saveRDS(), dput() and a
# workspace image reveal nothing.
.secrets <- new.env(parent = emptyenv())

new_handle <- function() {
  paste0("h", length(ls(.secrets)), "-", basename(tempfile("")))
}

keep_secret <- function(handle, value) {
  if (exists(handle, envir = .secrets, inherits = FALSE)) rm(list = handle, envir = .secrets)
  assign(handle, value, envir = .secrets)
  lockBinding(handle, .secrets)
}

hide_secrets <- function(options) {
  for (i in seq_along(options)) {
    value <- options[[i]]
    if (names_secret(names(options)[i]) && is.character(value)) {
      handle <- new_handle()
      keep_secret(handle, value)
      options[[i]] <- structure(list(handle = handle), class = "cellferry_secret")
    } else if (is.list(value) && !is_secret(value)) {
      options[[i]] <- hide_secrets(value)
    }
  }
  options
}

# NULL in another session than the one that was given the key.
reveal_secrets <- function(options) {
  for (i in seq_along(options)) {
    value <- options[[i]]
    if (is_secret(value)) {
      options[i] <- list(.secrets[[value$handle]])
    } else if (is.list(value)) {
      options[[i]] <- reveal_secrets(value)
    }
  }
  options
}

is_secret <- function(value) inherits(value, "cellferry_secret")

# Options that end like a secret and are none.
plain_options <- c("coordinates_key", "group_key", "rank_key")

# Whether an option or a field of that name is a secret, written as in R or as in JSON.
names_secret <- function(name) {
  if (is.null(name)) {
    return(FALSE)
  }
  name <- gsub("([a-z0-9])([A-Z])", "\\1_\\2", name)
  pattern <- "(^|[._]|api)(key|token|secret|password)([._]id)?$"
  grepl(pattern, name, ignore.case = TRUE) & !tolower(name) %in% plain_options
}

#' @export
format.cellferry_secret <- function(x, ...) "<hidden>"

#' @export
print.cellferry_secret <- function(x, ...) {
  cat("<hidden>\n")
  invisible(x)
}

#' @export
str.cellferry_secret <- function(object, ...) cat(" <hidden>\n")

# The variables that contain keys of an engine, as they are now; see share_variables().
share_keys <- function(engine, more = NULL) {
  # Python may be the parent of this process and have its environment already; see
  # bridge-rscript.R.
  if (is.function(backend())) {
    return(invisible())
  }
  levels <- c("clusters", "cells")
  # Those of which the engine was asked before, else both.
  asked <- levels[paste(levels, engine) %in% names(.globals$engines)]
  variables <- lapply(if (length(asked)) asked else levels, function(level) {
    unlist(describe_engine(engine, level)$variables)
  })
  names <- unique(c(unlist(variables), more))
  share_variables(names[nzchar(names)])
}

# Evaluates `code` once more with a key, where one is missing and somebody is there to be asked.
with_key_prompt <- function(engine, code) {
  again <- substitute(code)
  frame <- parent.frame()
  tryCatch(code, cellferry_credentials_required_error = function(cnd) {
    option <- unlist(cnd$data$option) %||% "api_key"
    where <- unlist(cnd$data$provider)
    what <- if (is.null(where)) paste0("`", option, "`") else paste("Key for", where)
    key <- ask_for_key(paste(what, "(not stored): "))
    if (is.null(key) || !nzchar(key)) stop(cnd)
    keep_secret(engine$handle, stats::setNames(list(key), option))
    eval(again, frame)
  })
}

# Keys that the user was asked for, by the option that they are.
prompted_keys <- function(engine) .secrets[[engine$handle %||% ""]]

# The option is for front ends that ask in their own way, and for tests.
ask_for_key <- function(prompt) {
  ask <- getOption("cellferry.ask_key")
  if (is.function(ask)) {
    return(ask(prompt))
  }
  if (!interactive()) {
    return(NULL)
  }
  if (requireNamespace("askpass", quietly = TRUE)) askpass::askpass(prompt) else readline(prompt)
}
