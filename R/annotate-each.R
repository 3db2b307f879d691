# A named list of objects, each annotated by itself.

is_list_of_objects <- function(x) {
  rlang::is_bare_list(x) && length(x) > 0L && all(vapply(x, is_cell_object, NA))
}

# `annotate(object, markers)` for each; `markers` are those of all, by the names of the objects.
annotate_each <- function(objects, markers, verbose, annotate) {
  check_names_of_objects(objects)
  check_markers_of_each(markers, names(objects))
  for (name in names(objects)) {
    if (isTRUE(verbose)) cellferry_inform(paste0("== ", name))
    answer <- tryCatch(
      annotate(objects[[name]], markers[[name]]),
      cellferry_error = function(cnd) {
        # The class stays, and the reader learns which object it was.
        cnd$message <- paste0("Object \"", name, "\": ", conditionMessage(cnd))
        stop(cnd)
      }
    )
    objects[[name]] <- answer
  }
  objects
}

check_names_of_objects <- function(objects) {
  names <- names(objects)
  if (is.null(names) || anyNA(names) || !all(nzchar(names)) || anyDuplicated(names)) {
    cellferry_stop(
      "invalid_option", "The objects of a list must each have a name of their own.",
      "For example: AnnotateClusters(list(control = a, treated = b))"
    )
  }
}

check_markers_of_each <- function(markers, names) {
  if (is.null(markers)) {
    return(invisible())
  }
  if (is.data.frame(markers) || !is.list(markers) || !setequal(names(markers), names)) {
    cellferry_stop(
      "invalid_option",
      paste0("`markers` of a list of objects is a list with the same names: ", listing(names), "."),
      "Name the tables as the objects, or leave `markers` out: they are computed for each."
    )
  }
}
