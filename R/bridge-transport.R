# How expression gets to Python, in one of three ways that end in the same values: Python reads it
# where R has it, or R sends it block by block, or Python asks for a block whenever it reads one.
# Which of them it is says begin_study() in bridge-study.R.

# Read in place, in the memory of the process that both are in: no copy is made, and none is waited
# for. Python gets addresses, so R must keep the matrices until no thread of Python can read them
# any more; it gives them back too late at worst, never too early.

# Where the matrices of the wanted parts are, as a message, and the matrices, to be kept. NULL if
# Python is another process; a part that is not stored as it is wanted is not in it.
shared_expression <- function(object, assay, parts, cells = extract_cells(object)) {
  if (is.function(backend())) {
    return(NULL)
  }
  layers <- c(normalized = "data", counts = "counts")
  layers <- layers[names(layers) %in% parts]
  mats <- lapply(layers, function(layer) {
    stored <- layer_parts(object, assay, layer)
    genes <- extract_genes(object, assay, layer)
    if (length(stored) && are_as_wanted(stored, cells, genes)) {
      lapply(stored, function(part) part$mat)
    }
  })
  mats <- Filter(Negate(is.null), mats)
  if (length(mats)) {
    process <- json_text(as.character(Sys.getpid()))
    list(mats = mats, message = c(list(process = process), lapply(mats, json_places)))
  }
}

json_places <- function(mats) {
  count <- function(of) as.integer(unname(vapply(mats, of, 0)))
  address <- function(name) {
    unname(vapply(mats, function(mat) rlang::obj_address(sparse_slots(mat)[[name]]), ""))
  }
  list(
    cells = count(ncol), values = count(function(mat) length(sparse_slots(mat)$x)),
    x = address("x"), i = address("i"), p = address("p")
  )
}

# Matrices that Python knows are of no use any more; called when it may still read, and later again.
release <- function(mats, ended) {
  .globals$kept_mats <- if (!ended) c(.globals$kept_mats, if (length(mats)) list(mats))
}

# Sent: what can't be read in place, while the study is opened.

# What Python asked for when the study was begun; `progress` as begin_study() has it.
send_expression <- function(begun, object, assay, cells = extract_cells(object),
                            progress = NULL) {
  blocks <- wanted_blocks(begun, object, assay, cells)
  for (part in names(blocks)) {
    single <- part == "normalized" && isTRUE(begun$single)
    send_blocks(begun$handle, part, blocks[[part]], progress, single)
  }
}

# The parts that Python wants, by its answer when the study was begun, as blocks that are read when
# they are needed.
wanted_blocks <- function(begun, object, assay, cells = extract_cells(object)) {
  blocks_of <- function(layer, genes) {
    layer_blocks(layer_parts(object, assay, layer), cells, genes)
  }
  genes <- as.character(unlist(begun$normalized))
  Filter(Negate(is.null), list(
    normalized = if (length(genes)) blocks_of("data", genes),
    counts = if (isTRUE(begun$counts)) {
      blocks_of("counts", extract_genes(object, assay, "counts"))
    }
  ))
}

# The values go as float32 where the build that takes them writes float32.
send_blocks <- function(handle, part, blocks, progress = NULL, single = FALSE) {
  pack_values <- if (single) pack_single else pack_real
  # The same message again and again, so that it is not worth a JSON writer and reader.
  form <- paste0(
    "{\"handle\":\"", handle, "\",\"part\":\"", part, "\",\"row_start\":%d,\"n_rows\":%d,",
    "\"indptr\":{\"$buffer\":0,\"type\":\"<i4\"},\"indices\":{\"$buffer\":1,\"type\":\"<i4\"},",
    "\"data\":{\"$buffer\":2,\"type\":\"", if (single) "<f4" else "<f8", "\"}}"
  )
  taken <- charToRaw("{\"ok\": true")
  bridge <- backend()
  for (k in seq_len(blocks$n)) {
    block <- blocks$read(k)
    outgoing <- new_outgoing()
    pack_whole(outgoing, block$indptr)
    pack_whole(outgoing, block$indices)
    pack_values(outgoing, block$data)
    message <- charToRaw(sprintf(form, as.integer(block$row_start), as.integer(block$n_rows)))
    answer <- bridge_answer(bridge, "block", message, outgoing)
    if (!identical(utils::head(answer[[1]], length(taken)), taken)) read_answer(answer)
    # R clears away late, the later the larger the object is.
    if (k %% 16L == 0L) {
      gc(verbose = FALSE, full = FALSE)
      if (!is.null(progress)) progress(k, blocks$n, part)
    }
  }
}

# On demand, a block at a time, whenever Python reads it: neither end ever has a copy of the
# matrix. Python asks by calling a function of R during one of our calls to it, in the thread that
# we called; an .rds child is asked by an answer instead (see bridge-rscript.R).

# How many values the parts of an object store. Its presence says that nothing will be sent.
json_on_demand <- function(object, assay) {
  stored <- function(layer) {
    json_text(stored_values(layer_parts(object, assay, layer, check = FALSE)))
  }
  json_record(list(normalized = stored("data"), counts = stored("counts")))
}

# A block as it crosses: JSON, then the arrays.
pack_block <- function(blocks, k) {
  block <- blocks$read(k)
  outgoing <- new_outgoing()
  message <- list(
    n_blocks = json_number(blocks$n), row_start = json_number(block$row_start),
    indptr = pack_whole(outgoing, block$indptr), indices = pack_whole(outgoing, block$indices),
    data = pack_real(outgoing, block$data)
  )
  # R clears away late, the later the larger the object is.
  if (k %% 16L == 0L) gc(verbose = FALSE, full = FALSE)
  c(list(to_json_bytes(message)), outgoing$buffers)
}

# Does `call(listen)`, where `listen` is what Python may call meanwhile: with an event, which goes
# to `on_event`, or with a question, for a block or for what SingleR says of one. A condition that
# jumps out of a callback leaves Python in the middle of its work. So an error, or an interrupt
# while a question is answered, is Python's answer, which ends what it does. Then the error is
# signalled here, as it was; so are warnings and messages.
with_blocks <- function(blocks, on_event, call) {
  failed <- NULL
  later <- list()
  keep <- function(restart) {
    function(cnd) {
      later <<- c(later, list(cnd))
      invokeRestart(restart)
    }
  }
  answered <- function(code) {
    allowInterrupts(withCallingHandlers(
      code,
      warning = keep("muffleWarning"), message = keep("muffleMessage")
    ))
  }
  listen <- function(bytes) {
    tryCatch(
      {
        bytes <- from_callback(bytes)
        question <- from_json_bytes(bytes)
        if (identical(question$kind, "block")) {
          return(answered(pack_block(blocks[[question$part]], question$block)))
        }
        if (identical(question$kind, "singler")) {
          return(answered(answer_singler(question)))
        }
        if (!is.null(on_event)) on_event(bytes)
        NULL
      },
      error = function(cnd) {
        failed <<- cnd
        list(failure(class(cnd)[1], conditionMessage(cnd)))
      },
      interrupt = function(cnd) list(failure("interrupt"))
    )
  }
  answer <- tryCatch(call(listen), error = identity)
  for (cnd in later) if (inherits(cnd, "warning")) warning(cnd) else message(cnd)
  if (inherits(answer, "error")) {
    stop(if (is.null(failed)) answer else with_run(failed, answer$data$run))
  }
  answer
}

# The run that an error stopped, if the error is one of ours.
with_run <- function(cnd, run) {
  if (inherits(cnd, "cellferry_error") && !is.null(run)) cnd$data$run <- run
  cnd
}
