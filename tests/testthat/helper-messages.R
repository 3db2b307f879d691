# Every message that a user sees is pinned, with its class, in tests/testthat/messages. The files
# are compared by this one helper, so that testthat 3.1 and 3.2 agree, and a file that does not
# exist is a failure. To write them: CELLFERRY_UPDATE_MESSAGES=1.

# The conditions of ours that `code` signals, as lines of text; other conditions pass.
signalled_by <- function(code) {
  found <- character()
  keep <- function(cnd) {
    call <- if (is.null(conditionCall(cnd))) "" else paste0(" ", deparse(conditionCall(cnd)))
    lines <- strsplit(conditionMessage(cnd), "\n", fixed = TRUE)[[1]]
    found <<- c(found, paste0("<", class(cnd)[1], ">", call), lines)
  }
  tryCatch(
    withCallingHandlers(
      code,
      cellferry_warning = function(cnd) {
        keep(cnd)
        invokeRestart("muffleWarning")
      },
      cellferry_message = function(cnd) {
        keep(cnd)
        invokeRestart("muffleMessage")
      }
    ),
    cellferry_error = keep
  )
  found
}

# `change` replaces what differs from run to run: a named vector, pattern -> text.
expect_messages <- function(code, name, change = NULL) {
  withr::local_options(cli.unicode = FALSE, cli.num_colors = 1L)
  found <- sub("^ℹ ", "i ", signalled_by(code))
  for (pattern in names(change)) {
    found <- gsub(pattern, change[[pattern]], found)
  }
  file <- testthat::test_path("messages", paste0(name, ".txt"))
  if (nzchar(Sys.getenv("CELLFERRY_UPDATE_MESSAGES"))) {
    writeLines(enc2utf8(found), file, useBytes = TRUE)
  }
  if (!file.exists(file)) {
    testthat::fail(paste0("No pinned messages \"", name, "\". They would be:\n", toString(found)))
    return(invisible())
  }
  testthat::expect_identical(found, readLines(file, encoding = "UTF-8"))
}

# The error, its class, and that the object is what it was.
expect_refused <- function(object, ..., class) {
  before <- object
  expect_error(
    suppressMessages(suppressWarnings(AnnotateClusters(object, ...))),
    class = paste0("cellferry_", class, "_error")
  )
  expect_identical(object, before)
}
