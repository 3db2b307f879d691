#' What the embedded engine knows
#'
#' `KnownTissues()` lists the tissues that `tissue` of [AnnotateClusters()] understands, with their
#' other names; `KnownCellTypes()` the cell types that [LocalEngine()] can name. Other engines get
#' the tissue as it is written.
#'
#' @param tissue Only types that occur in it, or anywhere; words as for [AnnotateClusters()].
#' @param species Only types with markers that are read for this species.
#'
#' @return A data frame. `KnownTissues()`: `tissue`, `other_names` and `part_of` (text, several
#'   names separated by `"; "`), `ontology_id` in UBERON, and `cell_types`, the number of types that
#'   are known from it. `KnownCellTypes()`: `cell_type`, `ontology_id` and `ontology_label` in the
#'   Cell Ontology, `parent`, `tissues` and `species`.
#' @family annotation
#' @examplesIf cellferry:::has_backend()
#' head(KnownTissues())
#' head(KnownCellTypes("lung"))
#' @export
KnownTissues <- function() known_frame("tissues")

#' @rdname KnownTissues
#' @export
KnownCellTypes <- function(tissue = NULL, species = NULL) {
  check_text(tissue, "tissue", null = TRUE)
  check_text(species, "species", null = TRUE)
  known_frame("cell_types", tissue, species)
}

#' The engines that there are
#'
#' Those of cellferry, and those of other packages that are installed in cellferry's Python. Each is
#' used by its name, with its options beside it or by [Engine()].
#'
#' @param name Name of an engine; `NULL` lists them all.
#'
#' @return A data frame. Without a name: `engine`, `answers` (an engine of cells answers clusters by
#'   what most of their cells are), `package` with its version, `description`, and `problem`, which
#'   says why one can't be used. With a name, its options: what each `answers`, `option`, and
#'   `default` as JSON.
#' @family annotation
#' @examplesIf cellferry:::has_backend()
#' KnownEngines()
#' KnownEngines("local")
#' @export
KnownEngines <- function(name = NULL) {
  check_text(name, "name", null = TRUE)
  if (is.null(name)) known_frame("engines") else known_frame("options", engine = name)
}

known_frame <- function(what, tissue = NULL, species = NULL, engine = NULL) {
  message <- list(
    what = json_text(what), tissue = json_text(tissue), species = json_text(species),
    engine = json_text(engine)
  )
  answer <- bridge_call("known", message)
  unpack_frame(answer$value$frame, answer$buffers)
}
