# The second half of annotating: the answer in, onto the object.

# A study that was begun and not annotated, because of an error, is of no use any more. `mats` are
# the matrices that Python may have read where they are.
discard <- function(handle, mats = NULL) {
  answer <- try(bridge_call("discard", list(handle = json_text(handle))), silent = TRUE)
  release(mats, ended = is.list(answer) && isTRUE(answer$value$ended))
}

# `blocks` are what Python may ask for meanwhile; see pull.R.
run_annotation <- function(name, message, verbose, parcel = new_parcel(), blocks = NULL) {
  progress <- if (verbose && interactive()) progress_line
  on.exit(if (!is.null(progress)) clear_progress())
  call <- function(on_event) {
    bridge_call(name, message, parcel, on_event = on_event, verbose = verbose)
  }
  if (is.null(blocks)) call(progress) else with_blocks(blocks, progress, call)
}

progress_line <- function(bytes) {
  tell_event(bytes, function(event) {
    draw_progress("Annotating", event$done, event$total, "clusters")
  })
}

# Called from Python: it draws and never signals, because a condition that jumps out of a
# callback leaves Python in the middle of its work.
tell_event <- function(bytes, draw) {
  tryCatch(
    {
      event <- from_json_bytes(from_callback(bytes))
      if (event$total > 0) draw(event)
    },
    error = function(cnd) NULL
  )
  invisible(NULL)
}

draw_progress <- function(doing, done, total, unit) {
  cat("\r\033[K", doing, ": ", done, " of ", total, " ", unit, file = stderr(), sep = "")
}

clear_progress <- function() cat("\r\033[K", file = stderr())

deliver <- function(object, answer, groups, key) {
  delivery <- unpack_frame(answer$value$delivery, answer$buffers)
  # `cluster` names the rows; a metadata column of that name is the user's own.
  columns <- setdiff(names(delivery), "cluster")
  replaced <- intersect(columns, names(extract_metadata(object)))
  attach_annotations(object, delivery, groups, key, answer$value$json, replaced)
}

show_annotations <- function(answer, verbose, following = NULL) {
  if (!verbose) {
    return(invisible())
  }
  table <- new_annotations(answer$value$json, answer$value$key)
  lines <- c(format(table), if (!is.null(following)) c("", paste("Next:", following)))
  cellferry_inform(paste(lines, collapse = "\n"), class = "cellferry_table_message")
}

# A table that was shown is returned invisibly, or it would be shown twice.
return_table <- function(answer, verbose) {
  show_annotations(answer, verbose)
  table <- new_annotations(answer$value$json, answer$value$key)
  if (verbose) invisible(table) else table
}

# What to paste next. The object's own name is used when it was given by name.
next_line <- function(object, name, key) {
  if (is_seurat(object) && !is.null(extract_coordinates(object))) {
    return(paste0("DimPlot(", name, ", group.by = \"", key, "\", label = TRUE)"))
  }
  paste0("table(", name, "$", key, ")")
}

object_name <- function(expression) {
  if (is.symbol(expression)) as.character(expression) else "x"
}
