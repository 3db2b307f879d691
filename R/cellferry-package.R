#' cellferry: labels for Seurat clusters, brought home exactly
#'
#' Start with [AnnotateClusters()]. The engines run in Python, which is looked for when it is
#' first needed; `library(cellferry)` works without it. [InstallBackend()] makes the
#' environment and [BackendInfo()] says what is in use.
#'
#' @keywords internal
#' @importFrom rlang %||%
"_PACKAGE"

# What is found once per session: the bridge, why this Python was chosen, and what it describes.
# Nothing happens on load: the first call that needs Python fills it.
.globals <- new.env(parent = emptyenv())
