# Errors, warnings and messages, in this package and where rpy2 calls object-*.R, hence base R only
# (see object-read.R); rlang is used where it is installed.

#' Conditions that cellferry signals
#'
#' Every error has the classes `cellferry_<code>_error` and `cellferry_error`, every warning
#' `cellferry_<code>_warning` and `cellferry_warning`, every message `cellferry_message`. The
#' codes are those of the Python package. `cnd$data` has machine-readable details, for example
#' `cnd$data$run`, the id of the run that an error or an interrupt stopped; `cnd$page` is the
#' address of what is written about the code: its cause and what to do.
#'
#' @section Error codes:
#' `r rd_codes(c(error_codes, r_error_codes))`
#'
#' @section Warning codes:
#' `r rd_codes(warning_codes)`
#'
#' @examples
#' tryCatch(
#'   AnnotateClusters(mean),
#'   cellferry_unsupported_object_error = function(cnd) conditionMessage(cnd)
#' )
#' @name cellferry_conditions
NULL

# Errors that only R can meet.
r_error_codes <- c(
  backend_missing = "Python, or a package that the core needs, was not found."
)

rd_codes <- function(codes) {
  paste0("- `", names(codes), "`: ", codes, collapse = "\n")
}

public_verbs <- c(
  "AnnotateCells", "AnnotateClusters", "AnnotationReport", "Annotations", "ApplyDecisions",
  "BackendInfo", "BuildArtifacts", "CarryDecisions", "CellAtlasEngine", "CompositionPlot",
  "ConfidencePlot", "CyteTypeEngine", "Decisions", "Engine", "InstallBackend", "LLMEngine",
  "LabelColors", "LabelComparisonPlot", "LabelPlot", "LastAnnotated", "ListRuns", "LocalEngine",
  "Markers", "MergeAnnotations", "ReadMarkers", "ResumeAnnotation", "ReviewAnnotation", "SetLabels",
  "StudyReport", "SupportingMarkers", "SupportingMarkersPlot", "WithdrawDecision",
  "WriteAnnotations"
)

# The innermost public function on the stack as `Name()`. Arguments are left out on purpose: they
# may contain secrets, and conditions are printed, logged and saved.
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

# Also where rpy2 calls object-*.R, hence without the field URL of DESCRIPTION.
page_of_code <- function(class) {
  code <- sub("_(error|warning)$", "", sub("^cellferry_", "", class))
  paste0("https://github.com/cellferry/cellferry/blob/main/docs/errors.md#", code)
}

cellferry_condition <- function(kind, class, message, hint, data) {
  hint <- paste(hint[nzchar(hint)], collapse = "\n")
  call <- verb_call()
  if (requireNamespace("rlang", quietly = TRUE)) {
    bullet <- if (nzchar(hint)) rlang::format_error_bullets(c(i = hint))
    text <- paste(c(message, bullet), collapse = "\n")
    make <- if (kind == "error") rlang::error_cnd else rlang::warning_cnd
    return(make(class, message = text, call = call, data = data, page = page_of_code(class[1])))
  }
  text <- if (nzchar(hint)) paste0(message, "\ni ", hint) else message
  structure(
    class = c(class, kind, "condition"),
    list(message = text, call = call, data = data, page = page_of_code(class[1]))
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
