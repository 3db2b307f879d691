# The colours of labels, which Python gives (annotations/palette.py).

#' The colours of labels
#'
#' A cell type has one colour, by its Cell Ontology term and lineage: the same in the report, in
#' plots, in R and Python, in other objects and after `subset()`. Up to 12 labels are told apart by
#' every colour vision, up to 40 by normal vision; where two of an object would look alike, one of
#' them has another colour, always the same one. "Unknown" is grey.
#'
#' @param object A Seurat object or a SingleCellExperiment.
#' @param key Key of the annotations; `NULL` is the newest. A metadata column that cellferry did not
#'   write has colours too: its labels are looked up in the Cell Ontology.
#' @param colors Own colours, `c("B cell" = "#123456")`; names of R's colours too. They are kept
#'   with the record, and when it is made anew under the same key.
#' @param dark For a dark background.
#'
#' @return A named vector of labels and colours, in lineage order, for `cols =` of `DimPlot()`,
#'   also with labels that no cell has any more. With `colors`, the object that keeps them.
#' @family plots
#' @examplesIf cellferry:::has_backend()
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' LabelColors(x)
#' x <- LabelColors(x, colors = c("Monocyte" = "#123456"))
#' @export
LabelColors <- function(object, key = NULL, colors = NULL, dark = FALSE) {
  check_text(key, "key", null = TRUE)
  check_flag(dark, "dark")
  if (is.null(colors)) {
    source <- label_source(object, key)
    return(colors_of_labels(source, dark = dark))
  }
  check_object(object)
  stored <- stored_annotations(object, key)
  if (is.null(stored$json)) labels_only_error("record that could keep colours")
  own <- own_colors(colors)
  answer <- bridge_call("label_colors", list(json = json_text(stored$json), own = own))
  attach_record(object, stored$key, answer$value$json)
}

# Names and colours as Python reads them; names of R's colours are its own.
own_colors <- function(colors) {
  named <- rlang::is_named(colors) && is.character(colors) && !anyNA(colors)
  if (!named) {
    invalid_argument(colors, "colors", "named by labels, as in c(\"B cell\" = \"#123456\")")
  }
  values <- vapply(names(colors), function(label) {
    tryCatch(
      {
        rgb <- grDevices::col2rgb(colors[[label]])
        grDevices::rgb(rgb[1], rgb[2], rgb[3], maxColorValue = 255)
      },
      error = function(cnd) {
        cellferry_stop(
          "invalid_option",
          paste0("The colour of \"", label, "\" is \"", colors[[label]], "\", which is no colour."),
          "Write it as \"#rrggbb\", for example \"#1b9e77\"."
        )
      }
    )
  }, "")
  list(labels = json_texts(names(colors)), colors = json_texts(unname(values)))
}

# Where labels are: the key, its record if there is one, and the labels of the cells, NA for none.
label_source <- function(object, key = NULL, of.clusters = FALSE) {
  check_object(object)
  metadata <- extract_metadata(object)
  if (!is.null(key) && !key %in% names(extract_stored(object))) {
    if (!key %in% names(metadata)) {
      cellferry_stop(
        "group_missing", paste0("The metadata has no column \"", key, "\"."),
        did_you_mean(key, names(metadata))
      )
    }
    stored <- list(key = key, json = NULL)
  } else {
    stored <- stored_annotations(object, key, of.clusters)
  }
  labels <- metadata[[stored$key]]
  if (is.null(labels)) labels <- rep(NA_character_, nrow(metadata))
  c(list(key = stored$key, labels = as.character(labels)), stored["json"])
}

# Labels in lineage order and their colours; all of the record and of the cells, if none are given.
colors_of_labels <- function(source, labels = NULL, dark = FALSE) {
  if (is.null(labels)) {
    rows <- if (!is.null(source$json)) new_annotations(source$json, source$key)$label
    labels <- unique(c(rows, source$labels))
  }
  answer <- bridge_call("label_colors", list(
    json = json_text(source$json), labels = json_texts(labels[!is.na(labels)]),
    dark = json_flag(dark)
  ))
  labels <- as.character(unlist(answer$value$labels))
  stats::setNames(as.character(unlist(answer$value$colors)), labels)
}

# A new record with the own colours of the one that it replaces.
with_kept_colors <- function(json, before) {
  if (is.null(before) || !grepl("\"colors\"", before, fixed = TRUE)) {
    return(json)
  }
  message <- list(json = json_text(json), before = json_text(before))
  bridge_call("label_colors", message)$value$json
}
