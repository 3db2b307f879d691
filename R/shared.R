# Expression that Python reads where R has it, in the memory of the process that both are in: no
# copy is made, and none is waited for. Python gets addresses, so R must hold the matrices until no
# thread of Python can read them any more; it gives them back too late at worst, never too early.

# Where the matrices of the wanted parts are, as a message, and the matrices, to be held. NULL if
# Python is another process; a part that is not stored as it is wanted is not in it.
shared_expression <- function(object, assay, parts) {
  if (is.function(backend())) {
    return(NULL)
  }
  cells <- extract_cells(object)
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

# What Python was told of is of no use any more; called when it may still read, and later again.
release <- function(mats, ended) {
  .globals$held <- if (!ended) c(.globals$held, if (length(mats)) list(mats))
}
