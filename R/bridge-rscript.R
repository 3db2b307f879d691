# Work on an .rds file for the command line: Rscript runs what a session runs, and the
# bridge to Python is a folder of files instead of reticulate. Nothing is embedded.
#
# A request is `request_<k>`, an answer `answer_<k>`; both are the number of their buffers and the
# length of each as 32-bit integers, and then the buffers. Python says on standard input that an
# answer is there, and closes it to end this. An answer may be a question instead (`{"kind": `),
# which is answered by the request "answered" before the answer comes.

# `folder` is the exchange. R says what it is; what is to be done is the answer to the call "task".
work_on_rds <- function(folder) {
  .globals$bridge <- folder_bridge(folder)
  bridge_call("session", session_versions())
  tryCatch(
    withCallingHandlers(do_task(bridge_call("task")$value), warning = function(cnd) {
      bridge_call("warned", condition_message(cnd))
      invokeRestart("muffleWarning")
    }),
    error = function(cnd) bridge_call("failed", condition_message(cnd))
  )
}

condition_message <- function(cnd) {
  list(class = json_text(class(cnd)[1]), text = json_text(conditionMessage(cnd)))
}

do_task <- function(task) {
  if (identical(task$verb, "singler")) {
    # Python asks until it has no more to ask.
    return(invisible(bridge_call("singler", callback = function(bytes) {
      answer_singler(from_json_bytes(bytes))
    })))
  }
  object <- read_rds(task$input)
  if (task$verb == "annotate") {
    return(annotate_by_task(object, task))
  }
  rds_tasks[[task$verb]](check_object(object), task)
  invisible()
}

# What is done with an object besides annotating it, by the verb of the task.
rds_tasks <- list(
  agree = function(object, task) {
    keys <- paste0(task$key, "_", names(task$tables))
    save_where_asked(agreed(
      object, task$tables, task$failed, task$key, keys,
      verbose = FALSE, levels = isTRUE(task$levels)
    ))
  },
  artifacts = function(object, task) {
    begun <- begin_build(object, task$group_by, task$assay, task$coordinates_key, task$options)
    bridge_call("artifacts_finish", list(handle = json_text(begun$handle)))
  },
  companion = function(object, task) companion_of_object(object, task),
  consensus = function(object, task) {
    save_where_asked(consensus_of_object(object, consensus_asked(task), verbose = FALSE))
  },
  decide = function(object, task) decide_on_object(object, task$column),
  markers = function(object, task) {
    compared <- lapply(task$compared, function(x) if (!is.null(x)) as.character(unlist(x)))
    task$options$rules <- task$options$rules %||% installed_rules()
    begun <- begin_markers(object, task$group_by, task$assay, task$options, compared)
    bridge_call("markers_finish", list(handle = json_text(begun$handle)))
  },
  page = function(object, task) page_of_object(object, task),
  pseudobulk = function(object, task) values_of_object(object, task, pseudobulk_parts),
  report = function(object, task) {
    bridge_call("reported", lapply(StudyReport(object, task$assay), json_texts))
  },
  stored = function(object, task) {
    outgoing <- new_outgoing()
    bridge_call("stored", json_stored(outgoing, object, task$coordinates_key), outgoing)
  },
  train_reference = function(object, task) values_of_object(object, task, labelled_parts)
)

annotate_by_task <- function(object, task) {
  is_table <- is_marker_source(object)
  if (!is_table) object <- check_object(object)
  request <- list(
    engine = as_engine(task$engine), group.by = task$group_by,
    key = task$key %||% if (identical(task$level, "cells")) "cell_type_cell" else "cell_type",
    key.given = !is.null(task$key), within = task$within, earlier.key = task$earlier_key,
    levels = isTRUE(task$levels), tissue = task$tissue, species = task$species,
    study.context = task$study_context, assay = task$assay, overwrite = isTRUE(task$overwrite),
    allow.upload = isTRUE(task$allow_upload), verbose = FALSE, level = task$level,
    dry.run = isTRUE(task$dry_run)
  )
  if (is_table) {
    request$cluster.column <- task$cluster_column
    request$gene.column <- task$gene_column
    check_table(request, task$markers)
    annotate_table(object, request)
    return(invisible())
  }
  save_where_asked(annotate_object(object, request, task$markers))
}

# The values of an object, of which Python makes the rest.
values_of_object <- function(object, task, parts) {
  opened <- open_study(object, task$group_by, task$assay, parts, verbose = FALSE)
  bridge_call(task$verb, list(handle = json_text(opened$handle)))
}

# The page of an object, which Python writes or serves.
page_of_object <- function(object, task) {
  found <- annotations_to_write(object, task$key, "table to show")
  drawn <- embedding_to_draw(object, task$coordinates_key)
  begun <- begin_page(
    object, task$what, found, drawn,
    columns = if (task$what == "report") as.character(unlist(task$obs_columns))
  )
  if (is.null(begun)) bridge_call("cells_unknown")
  bridge_call("page_finish", list(handle = json_text(begun$handle)))
  invisible()
}

# What a person decided about the labels that an object has: Python says under which key they are,
# decides, and R writes. `column` is one of metadata that it reads besides.
decide_on_object <- function(object, column = NULL) {
  stored <- list(stored = json_record(lapply(extract_stored(object), json_text)))
  key <- bridge_call("stored", stored)$value$key
  outgoing <- new_outgoing()
  labelled <- json_labelled(outgoing, object, key, column)
  answer <- bridge_call("decide", c(stored, list(key = json_text(key)), labelled), outgoing)
  save_where_asked(deliver(object, answer, NULL, key))
}

save_where_asked <- function(labelled) {
  force(labelled)
  output <- bridge_call("save")$value
  tryCatch(
    saveRDS(labelled, output$path),
    error = function(cnd) {
      cellferry_stop(
        "output", paste0("The file can't be written: ", conditionMessage(cnd), "."),
        "Choose another place with `output_name`."
      )
    }
  )
  bridge_call("saved")
  invisible()
}

# What an object has of its annotations. The active identity is no column of the metadata, and it
# may be the clusters that were annotated.
json_stored <- function(outgoing, object, coordinates_key) {
  metadata <- extract_metadata(object)
  if (is_seurat(object) && !"ident" %in% names(metadata)) {
    metadata$ident <- group_values(object, metadata, "ident")
  }
  coordinates <- extract_coordinates(object, coordinates_key, newest = TRUE)
  list(
    obs = pack_frame(outgoing, metadata, extract_cells(object)),
    stored = json_record(lapply(extract_stored(object), json_text)),
    coordinates = json_coordinates(outgoing, coordinates)
  )
}

read_rds <- function(path) {
  object <- tryCatch(
    suppressWarnings(readRDS(path)),
    error = function(cnd) {
      cellferry_stop(
        "input", paste0("\"", path, "\" can't be read as .rds: ", conditionMessage(cnd), "."),
        "Write the object with saveRDS(x, \"x.rds\") in R; save() makes another kind of file."
      )
    }
  )
  load_classes(object)
  object
}

# Methods of a class are there once its package is loaded; readRDS() does not do that.
load_classes <- function(object) {
  package <- attr(class(object), "package")
  if (is.null(package) || package == ".GlobalEnv") {
    return(invisible())
  }
  if (!requireNamespace(package, quietly = TRUE)) {
    cellferry_stop(
      "dependency_missing",
      paste0("The object is of a class of the R package ", package, ", which is not installed."),
      paste0("In R: install.packages(\"", package, "\"), or BiocManager::install().")
    )
  }
}

# Called in place of Python's bridge; see bridge_answer().
folder_bridge <- function(folder) {
  input <- file("stdin", open = "r")
  k <- 0L
  ask <- function(name, message, buffers) {
    k <<- k + 1L
    part <- file.path(folder, "part")
    write_buffers(part, c(list(charToRaw(name), message), buffers))
    file.rename(part, file.path(folder, paste0("request_", k)))
    if (!length(readLines(input, n = 1L))) {
      # Python has ended, or does not want an answer any more. Of a Python that was killed the
      # folder is still there.
      unlink(folder, recursive = TRUE)
      quit(save = "no", status = 0L)
    }
    answer <- file.path(folder, paste0("answer_", k))
    on.exit(unlink(answer))
    read_buffers(answer)
  }
  question <- charToRaw("{\"kind\": ")
  function(name, message, buffers, callback = NULL) {
    answer <- ask(name, message, buffers)
    while (identical(utils::head(answer[[1]], length(question)), question)) {
      reply <- callback(answer[[1]])
      answer <- ask("answered", reply[[1]], reply[-1])
    }
    answer
  }
}

write_buffers <- function(path, buffers) {
  connection <- file(path, "wb")
  on.exit(close(connection))
  writeBin(c(length(buffers), lengths(buffers)), connection, size = 4L, endian = "little")
  for (buffer in buffers) writeBin(buffer, connection)
}

read_buffers <- function(path) {
  connection <- file(path, "rb")
  on.exit(close(connection))
  n <- readBin(connection, "integer", 1L, size = 4L, endian = "little")
  sizes <- readBin(connection, "integer", n, size = 4L, endian = "little")
  lapply(sizes, function(size) readBin(connection, "raw", size))
}
