#' Choose an engine and its options
#'
#' `Engine()` makes any engine by its name; `LocalEngine()` is the one that needs no key and no
#' network. Pass the result to [AnnotateClusters()], or pass the name and write the options beside
#' it: `AnnotateClusters(x, engine = "local", n_genes = 20)`.
#'
#' Options whose names end in `key`, `token`, `secret` or `password` are shown as `<hidden>`.
#'
#' @param name Name of an engine, for example `"local"`.
#' @param ... Options of the engine, by name.
#'
#' @return An object of class `cellferry_engine`.
#' @family annotation
#' @examples
#' Engine("local", n_genes = 20)
#' LocalEngine(knowledge = list("My B cell" = c("CD79A", "MS4A1", "CD19")))
#' @seealso `vignette("how-the-local-engine-decides")`
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
  structure(list(name = name, options = options), class = "cellferry_engine")
}

#' @rdname Engine
#' @param n_genes How many of a cluster's strongest genes count in full; further down the ranking a
#'   gene counts less and less.
#' @param tissue_only Whether only types that occur in the `tissue` of the sample are considered.
#'   Without it a tissue that is given makes types of other tissues less likely.
#' @param knowledge Cell types of your own: the path of a table in the format of the packaged ones
#'   (`system.file("python/cellferry/data/knowledge", package = "cellferry")`) or of gene sets
#'   (`.gmt`), a data frame with the same columns (`name` and `positive` are enough), or a named
#'   list of genes by type. They are merged with the packaged ones; a type of the same name
#'   replaces ours, and yours win where both fit alike.
#' @param knowledge_only Whether your types are used alone.
#' @export
LocalEngine <- function(n_genes = 50L, tissue_only = FALSE, knowledge = NULL,
                        knowledge_only = FALSE) {
  Engine(
    "local",
    n_genes = n_genes, tissue_only = tissue_only, knowledge = knowledge,
    knowledge_only = knowledge_only
  )
}

#' @rdname Engine
#' @param api_url Whole address of the annotation endpoint; `NULL` is the environment variable
#'   `CELLATLAS_API_URL`, else the hosted service.
#' @param model,reference_atlas As the service knows them.
#' @param timeout Seconds: longest silence of the service, and longest time of one request.
#' @param chunk_size,chunk_bytes Most cells of a request (at most 100,000), and about how many bytes
#'   it may have.
#' @param parallel Requests at once.
#' @param compress Whether requests are gzipped; `NULL`: once the service has said that it takes
#'   that, by the response header `Accept-Encoding`.
#' @param values `"auto"`: raw counts where the object has them, else log-normalised values;
#'   `"counts"` or `"normalized"` insists, and reads only those.
#' @param qc What is done about empty droplets, dying cells and doublets: `"warn"`, `"filter"` (they
#'   are not sent and get no label) or `"off"`.
#' @param min_counts,max_mitochondrial A cell with fewer counts is an empty droplet; one with a
#'   larger share of mitochondrial counts is dying.
#' @examples
#' CellAtlasEngine(qc = "filter")
#' @section The key of the Cell Atlas service:
#' It is read from the environment variable `CELLATLAS_API_KEY` and never stored.
#' @export
CellAtlasEngine <- function(api_url = NULL, model = "geneformer",
                            reference_atlas = "human-core-2026", timeout = 300,
                            chunk_size = 50000L, chunk_bytes = 24 * 1024^2, parallel = 2L,
                            compress = NULL, values = "auto", qc = "warn", min_counts = 200L,
                            max_mitochondrial = 0.2) {
  Engine(
    "cellatlas",
    api_url = api_url, model = model, reference_atlas = reference_atlas, timeout = timeout,
    chunk_size = chunk_size, chunk_bytes = chunk_bytes, parallel = parallel, compress = compress,
    values = values, qc = qc, min_counts = min_counts, max_mitochondrial = max_mitochondrial
  )
}

#' @export
format.cellferry_engine <- function(x, ...) {
  shown <- vapply(names(x$options), function(name) {
    paste0(name, " = ", if (is_secret(name)) "<hidden>" else deparse(x$options[[name]])[1])
  }, "")
  paste0("<cellferry engine: ", paste(c(x$name, shown), collapse = ", "), ">")
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

is_secret <- function(name) {
  grepl("(^|[._])(key|token|secret|password)$", name, ignore.case = TRUE)
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
