# Looking at the code of the package itself: its functions as they are in the namespace, and the
# files that they come from. An installed package does not have its files; R CMD check keeps them
# beside the tests.

# The calls of some functions in an expression, wherever they are.
find_calls <- function(expression, names) {
  if (!is.call(expression)) {
    return(list())
  }
  here <- is.symbol(expression[[1]]) && as.character(expression[[1]]) %in% names
  inside <- lapply(as.list(expression), function(part) {
    if (!missing(part)) find_calls(part, names)
  })
  c(if (here) list(expression), unlist(inside, recursive = FALSE))
}

namespace_names <- function() {
  found <- ls(asNamespace("cellferry"), all.names = TRUE)
  grep("^[.](__|packageName$)", found, value = TRUE, invert = TRUE)
}

source_files <- function() {
  places <- c(
    testthat::test_path("..", "..", "R"),
    testthat::test_path("..", "..", "00_pkg_src", "cellferry", "R")
  )
  there <- places[file.exists(file.path(places, "conditions.R"))]
  testthat::skip_if_not(length(there) > 0, "The sources of the package are not beside its tests")
  list.files(there[1], full.names = TRUE)
}

# Name of what is defined at the top of a file -> the file; a name that is there twice is twice.
definitions <- function() {
  unlist(lapply(source_files(), function(file) {
    is_definition <- function(x) is.call(x) && identical(x[[1]], as.name("<-"))
    found <- Filter(is_definition, as.list(parse(file)))
    names <- vapply(found, function(x) as.character(x[[2]]), "")
    stats::setNames(rep(basename(file), length(names)), names)
  }))
}

# What the files consist of: `file`, `line1`, `token` and `text`, without comments.
source_tokens <- function() {
  found <- lapply(source_files(), function(file) {
    tokens <- utils::getParseData(parse(file, keep.source = TRUE))
    tokens <- tokens[tokens$terminal & tokens$token != "COMMENT", c("line1", "token", "text")]
    if (nrow(tokens)) cbind(file = basename(file), tokens)
  })
  do.call(rbind, found)
}
