# The add-ins of RStudio (inst/rstudio/addins.dcf): of the object that is selected in the editor
# they write the line that one would type, and run it in the console. Only rstudio_editor() knows
# RStudio.

addin_annotate <- function(editor = rstudio_editor()) run_line("annotate", editor)

addin_review <- function(editor = rstudio_editor()) run_line("review", editor)

addin_report <- function(editor = rstudio_editor()) run_line("report", editor)

# `editor` has `selected()`, the selected text; `insert(line)`, which writes below it where there is
# a document; `run(line)`, which is done in the console.
run_line <- function(what, editor, envir = globalenv()) {
  line <- addin_line(what, editor$selected(), envir)
  editor$insert(line)
  editor$run(line)
  invisible(line)
}

# The line for a selected text. A name, and what lies in it (`x$y`, `x[["y"]]`), is looked at: what
# can't be annotated is refused before anything runs. Other code runs once, in the line itself.
addin_line <- function(what, text, envir = globalenv()) {
  code <- selected_code(text, envir)
  written <- paste(deparse(code, width.cutoff = 500L), collapse = " ")
  is_place <- is_place_of(code)
  if (is_place) check_selected(what, place_value(code, written, envir), written, envir)
  # Objects come back labelled; a table and a path don't.
  labelled <- is_place && holds_cells(place_value(code, written, envir))
  switch(what,
    annotate = paste0(
      if (labelled) written else free_name("annotated", envir),
      " <- AnnotateClusters(", written, ")"
    ),
    review = paste0(free_name("review", envir), " <- ReviewAnnotation(", written, ")"),
    report = paste0("AnnotationReport(", written, ", \"", report_name(code), "\")")
  )
}

selected_code <- function(text, envir) {
  text <- trimws(text %||% "")
  parsed <- tryCatch(as.list(parse(text = text, keep.source = FALSE)), error = function(cnd) NULL)
  if (length(parsed) == 1L) {
    # Of a whole line, what it makes.
    code <- parsed[[1]]
    is_assigned <- is.call(code) && as.character(code[[1]])[1] %in% c("<-", "=", "<<-")
    return(if (is_assigned) code[[2]] else code)
  }
  cellferry_stop(
    "input",
    if (nzchar(text)) "The selected text is not one object." else "Nothing is selected.",
    c(
      "Select the name of an object in the editor, then choose the add-in again.",
      objects_hint(envir)
    )
  )
}

is_place_of <- function(code) {
  if (is.symbol(code)) {
    return(TRUE)
  }
  is_inside <- is.call(code) && as.character(code[[1]])[1] %in% c("$", "[[", "@")
  is_inside && is_place_of(code[[2]]) &&
    (length(code) == 3L && (is.atomic(code[[3]]) || is.symbol(code[[3]])))
}

place_value <- function(code, written, envir) {
  tryCatch(
    eval(code, envir),
    error = function(cnd) {
      cellferry_stop(
        "input", paste0("There is no object `", written, "` in this session."),
        c("Run the line that makes it first.", objects_hint(envir))
      )
    }
  )
}

# An object, or a list of them, each of which is annotated.
holds_cells <- function(value) {
  is_cell_object(value) ||
    (rlang::is_bare_list(value) && length(value) && all(vapply(value, is_cell_object, NA)))
}

check_selected <- function(what, value, written, envir) {
  fits <- is_path(value) || switch(what,
    annotate = holds_cells(value) || is.data.frame(value),
    review = is_cell_object(value),
    report = is_cell_object(value) || inherits(value, "cellferry_annotations")
  )
  if (fits) {
    return(invisible())
  }
  valid <- switch(what,
    annotate = "a Seurat object, a SingleCellExperiment, a table of markers, or a path",
    review = "an annotated Seurat object or SingleCellExperiment, or a path",
    report = "an annotated Seurat object or SingleCellExperiment, annotations, or a path"
  )
  cellferry_stop(
    "unsupported_object",
    paste0("`", written, "` is of class ", class(value)[1], "; the add-in takes ", valid, "."),
    objects_hint(envir)
  )
}

# What could be selected: objects with cells among the variables of the session. Promises and active
# bindings are left alone.
objects_hint <- function(envir) {
  names <- ls(envir)
  if (length(names)) {
    computed <- rlang::env_binding_are_lazy(envir, names) |
      rlang::env_binding_are_active(envir, names)
    names <- names[!computed]
  }
  found <- Filter(function(name) is_cell_object(get(name, envir)), names)
  if (length(found)) paste0("Objects of this session: ", listing(found, quote = "`"), ".") else ""
}

# A name that hides nothing of the session.
free_name <- function(name, envir) {
  taken <- ls(envir, all.names = TRUE)
  utils::tail(make.unique(c(taken, name), sep = "_"), 1L)
}

report_name <- function(code) {
  name <- gsub("[^[:alnum:]]+", "_", paste(all.vars(code), collapse = "_"))
  paste0(if (nzchar(name)) paste0(name, "_"), "report.html")
}

rstudio_editor <- function() {
  if (!requireNamespace("rstudioapi", quietly = TRUE)) {
    cellferry_stop(
      "input", "The add-ins need the package rstudioapi, which is not installed.",
      "install.packages(\"rstudioapi\")"
    )
  }
  if (!rstudioapi::isAvailable()) {
    cellferry_stop(
      "input", "The add-ins run in RStudio, and this is no RStudio.",
      "Type the line instead: x <- AnnotateClusters(x)"
    )
  }
  list(
    selected = function() rstudioapi::getActiveDocumentContext()$selection[[1]]$text,
    insert = function(line) {
      context <- rstudioapi::getActiveDocumentContext()
      # The console has no document to write into.
      if (identical(context$id, "#console")) {
        return(invisible())
      }
      end <- context$selection[[1]]$range$end
      after <- rstudioapi::document_position(end[["row"]], Inf)
      rstudioapi::insertText(after, paste0("\n", line), id = context$id)
    },
    run = function(line) rstudioapi::sendToConsole(line, execute = TRUE)
  )
}
