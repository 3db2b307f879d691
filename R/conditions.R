# Errors, warnings and messages, in this package and where rpy2 calls object-*.R, hence base R only
# (see object-read.R); rlang is used where it is installed.

#' Conditions that cellferry signals
#'
#' Every error has the classes `cellferry_<code>_error` and `cellferry_error`, every warning
#' `cellferry_<code>_warning` and `cellferry_warning`, every message `cellferry_message`. The
#' codes are those of the Python package. `cnd$data` holds machine-readable details, for example
#' `cnd$data$run`, the id of the run that an error or an interrupt stopped.
#'
#' @section Error codes:
#' `r rd_codes(c(error_codes, r_error_codes))`
#'
#' @section Warning codes:
#' `r rd_codes(warning_codes)`
#'
#' @examples
#' tryCatch(
#'   AnnotateClusters("not an object"),
#'   cellferry_unsupported_object_error = function(cnd) conditionMessage(cnd)
#' )
#' @name cellferry_conditions
NULL

# Code -> meaning, the same table as the package errors; a test compares the two.
error_codes <- c(
  annotations = "Stored annotations cannot be read.",
  annotations_format = "Stored annotations are of an unknown schema or damaged.",
  annotations_missing = "The object holds no annotations under that key.",
  artifact = "An artifact, vars.h5 or obs.duckdb, cannot be built or read.",
  artifact_build = "An artifact could not be built; nothing is left under its name.",
  artifact_format = "The file is not an artifact, is damaged, or is not safe to read.",
  artifact_values = "The matrix holds values that are not finite numbers.",
  column_exists = "A target column exists and cellferry did not write it.",
  credentials_required = "A run needs a key or token, and none is stored by design.",
  data_in_use = "Another server uses the data folder.",
  delivery = "The labels cannot be written where they were asked for.",
  dependency_missing = "An optional package is needed and not installed.",
  embedding = "R cannot be run inside this Python process.",
  engine = "An engine cannot do what was asked.",
  engine_needs = "The engine needs a part that the study does not have.",
  error = "Anything that stops cellferry.",
  gene_identifiers = "The genes are identifiers where symbols are needed.",
  group_empty = "The column of clusters names no cluster at all.",
  group_missing = "The metadata has no such column of clusters.",
  input = "What was given cannot be used.",
  internal = "A fault in cellferry itself; the hint says where to report it.",
  interrupted = "The run was stopped by the user and can be resumed.",
  invalid_key = "The key is not a name under which columns can be written.",
  invalid_object = "The object is of a known class but its content contradicts itself.",
  invalid_option = "The argument exists, its value is not valid.",
  knowledge = "A table of marker knowledge is not valid.",
  layer_missing = "The assay does not have the counts or the normalised values that are needed.",
  markers = "A marker table cannot be used.",
  markers_clusters = "The clusters of the table are not the clusters of the object.",
  markers_empty = "The table has no rows.",
  markers_format = "The columns are none of the known formats, or are ambiguous.",
  markers_mismatch = "The table was computed for another clustering that uses the same names.",
  markers_required = "No markers were given and none can be computed from the object.",
  markers_statistic = "The table lacks the statistic that ranking needs.",
  markers_unreadable = "The file does not exist, cannot be opened, or is not text.",
  not_normalized = "Scaled values or raw counts are where log-normalised ones are needed.",
  object_outdated = "The object is of another generation of Seurat and must be converted first.",
  option = "An argument cannot be used.",
  output = "An output file cannot be written.",
  run = "A run cannot be read or continued.",
  run_damaged = "The files of a run cannot be read.",
  run_mismatch = "The object is not the one that the run was made from.",
  run_not_found = "No run of that id.",
  service = "A remote service did not do what was asked.",
  service_answer = "The answer is not what the protocol says.",
  service_credentials = "The service wants another token or key (HTTP 401).",
  service_failed = "The service has a fault of its own (HTTP 5xx).",
  service_forbidden = "The service knows the token and refuses all the same (HTTP 403).",
  service_job = "The service gave up on the job.",
  service_limit = "The service has had enough requests for now (HTTP 429).",
  service_not_found = "The service has no such thing, or no longer (HTTP 404 or 410).",
  service_page = "A web page came where data were expected, of a proxy or a sign-in page.",
  service_redirect = "The service points to another address, which is not followed.",
  service_rejected = "The service finds the request invalid (HTTP 422 and other 4xx).",
  service_timeout = "The service did not answer, or did not finish, in the time allowed.",
  service_too_large = "What was sent is larger than the service takes (HTTP 413).",
  service_unreachable = "No connection to the service, or it broke off again and again.",
  unknown_engine = "No engine of that name is registered.",
  unknown_option = "No such argument; the message names the nearest valid one.",
  unsupported_object = "The object is of a class that cellferry does not read.",
  upload_not_allowed = "The engine would send data off the machine and nobody allowed it."
)

# Errors that only R can meet.
r_error_codes <- c(
  backend_missing = "Python, or a package that the core needs, was not found."
)

warning_codes <- c(
  cells_diagnosis = "The answers for the cells look wrong as a whole.",
  cells_quality = "Some cells look empty, dying or doubled.",
  cells_without_cluster = "Some cells have no cluster and get no label.",
  cells_without_expression = "Some cells of the object are not in the assay that is read.",
  clusters_without_markers = "Some clusters of the object have no row in the marker table.",
  columns_renamed = "Columns were renamed because a database does not distinguish their names.",
  coordinates = "There is no usable embedding, or another one is used.",
  counts = "Values that looked like raw counts are not, and are left out.",
  genes_unrecognised = "Few of the genes are known to the engine.",
  markers_computed = "No markers were given, so they are computed, which may take long.",
  markers_unknown_clusters = "Some clusters of the marker table are not in the object.",
  normalisation = "The expression values do not look log-normalised.",
  species = "The stated species contradicts the gene names, or none can be recognised.",
  warning = "Something the user should know and that does not stop the work."
)

rd_codes <- function(codes) {
  paste0("- `", names(codes), "`: ", codes, collapse = "\n")
}

public_verbs <- c(
  "AnnotateCells", "AnnotateClusters", "AnnotationReport", "Annotations", "BackendInfo",
  "BuildArtifacts", "CellAtlasEngine", "CyteTypeEngine", "Engine", "InstallBackend", "LLMEngine",
  "ListRuns", "LocalEngine", "Markers", "ReadMarkers", "ResumeAnnotation", "StudyReport",
  "SupportingMarkers"
)

# The innermost public verb on the stack as `Verb()`. Arguments are left out on purpose: they
# may hold secrets, and conditions are printed, logged and saved.
verb_call <- function() {
  for (frame in rev(sys.calls())) {
    head <- frame[[1]]
    if (is.call(head) && length(head) == 3L) head <- head[[3]]
    if (is.symbol(head) && as.character(head) %in% public_verbs) {
      return(as.call(list(head)))
    }
  }
  NULL
}

# `stop()` and not `rlang::abort()`: abort records a backtrace with every call as it was written,
# arguments included.
cellferry_stop <- function(code, message, hint = "", data = list()) {
  class <- c(paste0("cellferry_", code, "_error"), "cellferry_error")
  stop(cellferry_condition("error", class, message, hint, data))
}

cellferry_warn <- function(code, message, hint = "", data = list()) {
  class <- c(paste0("cellferry_", code, "_warning"), "cellferry_warning")
  warning(cellferry_condition("warning", class, message, hint, data))
}

cellferry_inform <- function(message, class = NULL) {
  class <- c(class, "cellferry_message")
  if (requireNamespace("rlang", quietly = TRUE)) {
    rlang::inform(message, class = class)
  } else {
    message(structure(
      class = c(class, "message", "condition"),
      list(message = paste0(message, "\n"), call = NULL)
    ))
  }
}

cellferry_condition <- function(kind, class, message, hint, data) {
  hint <- paste(hint[nzchar(hint)], collapse = "\n")
  call <- verb_call()
  if (requireNamespace("rlang", quietly = TRUE)) {
    bullet <- if (nzchar(hint)) rlang::format_error_bullets(c(i = hint))
    text <- paste(c(message, bullet), collapse = "\n")
    make <- if (kind == "error") rlang::error_cnd else rlang::warning_cnd
    return(make(class, message = text, call = call, data = data))
  }
  text <- if (nzchar(hint)) paste0(message, "\ni ", hint) else message
  structure(
    class = c(class, kind, "condition"),
    list(message = text, call = call, data = data)
  )
}

# The valid name that `name` was most likely meant to be, or NULL. Dots, underscores and case do
# not count, so that `group_by` finds `group.by`.
nearest_name <- function(name, valid) {
  if (!length(valid)) {
    return(NULL)
  }
  plain <- function(x) tolower(gsub("[._]", "", x))
  distance <- utils::adist(plain(name), plain(valid))[1, ]
  best <- which.min(distance)
  allowed <- max(1, floor(0.4 * max(nchar(plain(name)), nchar(plain(valid[best])))))
  if (distance[best] <= allowed) valid[best]
}

did_you_mean <- function(name, valid, quote = "\"") {
  guess <- nearest_name(name, valid)
  if (is.null(guess)) "" else paste0("Did you mean ", quote, guess, quote, "?")
}

# "a", "b" and 3 more
listing <- function(names, most = 10, quote = "\"") {
  shown <- paste0(quote, utils::head(names, most), quote, collapse = ", ")
  rest <- length(names) - most
  if (rest > 0) paste(shown, "and", rest, "more") else shown
}
