# A path in the place of an object. What is in the file is seen by its content, in Python: an .rds
# is read here, all else there. The result is the table; the object is written where `output` says.

# A path has one piece of text; all else that is text is refused as no object.
is_path <- function(object) rlang::is_string(object) && nzchar(object)

# Several paths of files that Python reads as one object.
is_several_paths <- function(object) {
  rlang::is_character(object) && length(object) > 1L && !anyNA(object) && all(nzchar(object))
}

# The object of an .rds. NULL for all other files and folders, and for several, which Python reads.
object_of_path <- function(path) {
  if (length(path) > 1L) {
    return(NULL)
  }
  path <- path.expand(path)
  kind <- bridge_call("file_kind", list(path = json_text(path)))$value
  if (isTRUE(kind$is_of_r)) read_rds(path)
}

# StudyReport() of a path.
report_of_file <- function(path, assay) {
  object <- object_of_path(path)
  if (!is.null(object)) {
    return(StudyReport(object, assay))
  }
  message <- list(path = json_text(path.expand(path)), assay = json_text(assay))
  answer <- bridge_call("study_report", message, verbose = FALSE)
  frame <- unpack_frame(answer$value$frame, answer$buffers)
  frame$action <- factor(frame$action, levels = c("taken", "coerced", "left"))
  frame
}

# What is labelled in a file: the object of an .rds, else the annotations that Python reads.
labelled_of <- function(object, key = NULL, of.clusters = FALSE) {
  if (!is_path(object)) {
    return(object)
  }
  found <- object_of_path(object)
  if (!is.null(found)) {
    return(found)
  }
  value <- bridge_call("annotations_file", list(
    path = json_text(path.expand(object)), key = json_text(key),
    of_clusters = json_flag(of.clusters)
  ))$value
  table <- new_annotations(value$json, value$key)
  attr(table, "note") <- value$note
  table
}

# AnnotationReport() and WriteAnnotations() of a path.
report_file <- function(given) {
  object <- object_of_path(given$object)
  if (!is.null(object)) {
    given$object <- object
    return(do.call(AnnotationReport, given))
  }
  written <- bridge_call("report", c(json_report(given), list(
    path = json_text(path.expand(given$object)), key = json_text(given$key),
    coordinates_key = json_text(given$coordinates.key),
    obs_columns = json_texts(given$obs.columns), expression = json_flag(given$expression)
  )))$value$file
  if (given$verbose) cellferry_inform(paste0("Wrote ", written))
  if (given$browse) utils::browseURL(normalizePath(written))
  invisible(written)
}

write_file <- function(path, file, format, key, sample.by, overwrite, verbose, title, author) {
  object <- object_of_path(path)
  if (!is.null(object)) {
    return(WriteAnnotations(
      object, file, format, key, sample.by, overwrite, verbose, title, author
    ))
  }
  answer <- bridge_call("write", list(
    path = json_text(path.expand(path)), file = json_text(path.expand(file)),
    format = json_text(format), key = json_text(key), sample_key = json_text(sample.by),
    overwrite = json_flag(overwrite), title = json_text(title), author = json_text(author)
  ))
  written <- as.character(unlist(answer$value$files))
  if (verbose) cellferry_inform(paste0("Wrote ", paste(written, collapse = "\n      ")))
  invisible(written)
}

annotate_file <- function(path, request, output = NULL, markers = NULL) {
  output <- if (!is.null(output)) path.expand(output)
  found <- object_of_path(path)
  if (!is.null(found)) {
    return(annotate_rds(found, request, output, markers))
  }
  request$kept <- new_kept()
  on.exit(discard(request$kept))
  request$source <- if (is.null(markers)) "none" else "given"
  if (!is.null(markers)) request$markers <- read_request_markers(request, markers)
  asked <- json_request(request)
  if (!is.null(request$within) && !request$key.given) asked$key <- NULL
  message <- c(
    asked, json_context(request),
    list(
      path = json_paths(path),
      within = json_text(request$within), markers = json_text(request$markers),
      group_key = if (request$group.by != "ident") json_text(request$group.by),
      output = json_text(output)
    )
  )
  if (isTRUE(request$dry.run)) {
    return(plan_annotation(request, message = message, name = "annotate_file"))
  }
  answer <- with_key_prompt(request$engine, {
    message[names(json_engine_part(request))] <- json_engine_part(request)
    run_annotation(request, "annotate_file", message)
  })
  return_table(answer, request$verbose)
}

# The engine as it is when it is asked: a key may have been typed since.
json_engine_part <- function(request) list(engine = json_engine(request$engine))

annotate_rds <- function(found, request, output, markers) {
  if (is_marker_source(found)) {
    check_table(request, markers, output)
    return(annotate_table(found, request))
  }
  check_output(output, request$overwrite)
  request <- with_key(request, found)
  labelled <- annotate_object(found, request, markers, following = FALSE)
  if (isTRUE(request$dry.run)) {
    return(labelled)
  }
  if (!is.null(output)) write_rds(labelled, output)
  table <- Annotations(labelled, request$key)
  if (request$verbose) invisible(table) else table
}

# A marker table has neither cells nor an object to be written, and is itself the markers.
check_table <- function(request, markers = NULL, output = NULL) {
  if (request$level == "cells") {
    cellferry_stop(
      "unsupported_object", "A marker table has no cells that could be annotated.",
      "Annotate its clusters: AnnotateClusters()"
    )
  }
  if (!is.null(request$within)) {
    cellferry_stop(
      "unsupported_object",
      "`within` names the earlier labels of cells, and here there are no cells.",
      "Pass the object itself, not its marker table."
    )
  }
  if (!is.null(markers)) {
    cellferry_stop(
      "invalid_option",
      "`object` is itself a marker table, so `markers` can't be given beside it.",
      "Pass a Seurat object as `object`, or leave `markers` out."
    )
  }
  if (!is.null(output)) {
    cellferry_stop(
      "invalid_option", "`output` is for the labelled object, and a marker table has none.",
      "Leave `output` out; the result is the table."
    )
  }
}

check_output_of_path <- function(output, object) {
  check_text(output, "output", null = TRUE)
  if (!is.null(output) && !is_path(object)) {
    cellferry_stop(
      "invalid_option", "`output` is for the object of a path, and `object` is none.",
      "Leave it out, and save what the function returns: saveRDS(x, \"labelled.rds\")"
    )
  }
}

check_output <- function(output, overwrite) {
  if (is.null(output)) {
    return(invisible())
  }
  if (!grepl("[.]rds$", output, ignore.case = TRUE)) {
    cellferry_stop(
      "invalid_option", paste0("`output` must end in .rds, and is \"", output, "\"."),
      paste0("For example output = \"", sub("[.][^./]*$", "", output), ".rds\"")
    )
  }
  if (file.exists(output) && !overwrite) {
    cellferry_stop(
      "output", paste0("The file \"", output, "\" exists, and is not replaced unasked."),
      "Choose another name, or pass overwrite = TRUE."
    )
  }
}

# Whole or not at all: under another name first, in the same folder.
write_rds <- function(object, path) {
  partial <- tempfile(paste0(".", basename(path), "-"), dirname(path))
  on.exit(unlink(partial))
  tryCatch(
    {
      saveRDS(object, partial)
      if (!file.rename(partial, path)) stop("it can't be renamed")
    },
    error = function(cnd) {
      cellferry_stop(
        "output", paste0("The file \"", path, "\" can't be written: ", conditionMessage(cnd), "."),
        "Choose another place."
      )
    }
  )
  invisible(path)
}
