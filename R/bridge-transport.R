# Expression that Python asks for, a block at a time, whenever it reads it: neither end ever holds
# a copy of the matrix. Python asks by calling a function of R during one of our calls to it, in
# the thread that we called; an .rds child is asked by an answer instead (see rds.R).

# How many values the parts of an object store. Its presence says that nothing will be sent.
json_pulled <- function(object, assay) {
  stored <- function(layer) {
    json_text(stored_values(layer_parts(object, assay, layer, check = FALSE)))
  }
  json_record(list(normalized = stored("data"), counts = stored("counts")))
}

# A block as it crosses: JSON, then the arrays.
pack_block <- function(blocks, k) {
  block <- blocks$read(k)
  parcel <- new_parcel()
  message <- list(
    n_blocks = json_number(blocks$n), row_start = json_number(block$row_start),
    indptr = pack_whole(parcel, block$indptr), indices = pack_whole(parcel, block$indices),
    data = pack_real(parcel, block$data)
  )
  # R clears away late, the later the larger the object is.
  if (k %% 16L == 0L) gc(verbose = FALSE, full = FALSE)
  c(list(to_json_bytes(message)), parcel$buffers)
}

# Does `call(listen)`, where `listen` is what Python may call meanwhile: with an event, which goes
# to `on_event`, or with a question for a block. A condition that jumps out of a callback leaves
# Python in the middle of its work. So an error, or an interrupt while a block is read, is told to
# Python, which ends what it does. Then the error is signalled here, as it was; so are warnings and
# messages.
with_blocks <- function(blocks, on_event, call) {
  failed <- NULL
  told <- list()
  keep <- function(restart) {
    function(cnd) {
      told <<- c(told, list(cnd))
      invokeRestart(restart)
    }
  }
  read <- function(part, k) {
    allowInterrupts(withCallingHandlers(
      pack_block(blocks[[part]], k),
      warning = keep("muffleWarning"), message = keep("muffleMessage")
    ))
  }
  listen <- function(bytes) {
    tryCatch(
      {
        bytes <- from_callback(bytes)
        question <- from_json_bytes(bytes)
        if (identical(question$kind, "block")) {
          return(read(question$part, question$block))
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
  for (cnd in told) if (inherits(cnd, "warning")) warning(cnd) else message(cnd)
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

# What Python gives to a function of R is bytes, or with old reticulate a reference to bytes.
from_callback <- function(bytes) {
  if (is.raw(bytes)) bytes else reticulate::py_to_r(bytes)
}
