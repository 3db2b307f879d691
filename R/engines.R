#' Choose an engine and its options
#'
#' `Engine()` makes any engine by its name; `LocalEngine()` is the one that needs no key and no
#' network; `CyteTypeEngine()` asks a service that speaks the CyteType protocol, the hosted one or
#' `cellferry serve` on your own machine. Pass the result to [AnnotateClusters()], or pass the
#' name and write the options beside it: `AnnotateClusters(x, engine = "local", n_genes = 20)`.
#'
#' Secrets (options whose names end in `key`, `token`, `secret` or `password`, also in a list) are
#' shown as `<hidden>` and kept by this R session alone: an engine that is saved and read again has
#' none. Better than an argument is an environment variable: `CYTETYPE_AUTH_TOKEN`, and for the keys
#' of models that of their provider, such as `OPENAI_API_KEY`. A resumed run looks there.
#'
#' @param name Name of an engine, for example `"local"`.
#' @param ... Options of the engine, by name.
#'
#' @return An object of class `cellferry_engine`.
#' @family annotation
#' @examples
#' Engine("local", n_genes = 20)
#' @export
Engine <- function(name, ...) {
  check_text(name, "name")
  options <- list(...)
  names <- names(options) %||% rep("", length(options))
  if (any(!nzchar(names))) {
    cellferry_stop(
      "unknown_option", "An option of an engine has no name.", "Write name = value."
    )
  }
  structure(list(name = name, options = hide_secrets(options)), class = "cellferry_engine")
}

#' @rdname Engine
#' @param n_genes How many of a cluster's strongest genes count in full; further down the ranking a
#'   gene counts less and less.
#' @param tissue_only Whether only types that occur in the `tissue` of the sample are considered.
#' @param knowledge Path of a marker table of your own, in the format of the packaged one
#'   (`system.file("python/cellferry/data/knowledge.tsv", package = "cellferry")`). It is merged
#'   with the packaged one; a type of the same name replaces ours.
#' @param knowledge_only Whether your table is used alone.
#' @export
LocalEngine <- function(n_genes = 50L, tissue_only = FALSE, knowledge = NULL,
                        knowledge_only = FALSE) {
  Engine(
    "local",
    n_genes = n_genes, tissue_only = tissue_only, knowledge = knowledge,
    knowledge_only = knowledge_only
  )
}

#' @export
format.cellferry_engine <- function(x, ...) {
  shown <- vapply(names(x$options), function(name) {
    paste0(name, " = ", shown_option(x$options[[name]]))
  }, "")
  paste0("<cellferry engine: ", paste(c(x$name, shown), collapse = ", "), ">")
}

shown_option <- function(value) {
  if (inherits(value, "cellferry_secret")) {
    return(format(value))
  }
  if (is.list(value)) {
    names <- names(value) %||% rep("", length(value))
    shown <- paste0(ifelse(nzchar(names), paste0(names, " = "), ""), vapply(
      value, shown_option, ""
    ))
    return(paste0("list(", paste(shown, collapse = ", "), ")"))
  }
  deparse(value)[1]
}

#' @export
print.cellferry_engine <- function(x, ...) {
  cat(format(x), "\n", sep = "")
  invisible(x)
}

#' @importFrom utils str
#' @export
str.cellferry_engine <- function(object, ...) {
  cat(" ", format(object), "\n", sep = "")
}

as_engine <- function(engine) {
  if (inherits(engine, "cellferry_engine")) {
    return(engine)
  }
  if (is.character(engine) && length(engine) == 1L && !is.na(engine)) {
    return(structure(list(name = engine, options = list()), class = "cellferry_engine"))
  }
  invalid_argument(engine, "engine", "the name of an engine, or an engine such as LocalEngine()")
}

json_engine <- function(engine) {
  list(name = json_text(engine$name), options = json_record(lapply(engine$options, json_value)))
}
