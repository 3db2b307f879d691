# Every message that a user sees is pinned, with its class, in tests/testthat/messages. The files
# are compared by this one helper, so that testthat 3.1 and 3.2 agree, and a file that does not
# exist is a failure. To write them: CELLFERRY_UPDATE_MESSAGES=1.

# The conditions of ours that `code` signals, as lines of text; other conditions pass.
told_by <- function(code) {
  told <- character()
  tell <- function(cnd) {
    call <- if (is.null(conditionCall(cnd))) "" else paste0(" ", deparse(conditionCall(cnd)))
    lines <- strsplit(conditionMessage(cnd), "\n", fixed = TRUE)[[1]]
    told <<- c(told, paste0("<", class(cnd)[1], ">", call), lines)
  }
  tryCatch(
    withCallingHandlers(
      code,
      cellferry_warning = function(cnd) {
        tell(cnd)
        invokeRestart("muffleWarning")
      },
      cellferry_message = function(cnd) {
        tell(cnd)
        invokeRestart("muffleMessage")
      }
    ),
    cellferry_error = tell
  )
  told
}

# `change` replaces what differs from run to run: a named vector, pattern -> text.
expect_messages <- function(code, name, change = NULL) {
  withr::local_options(cli.unicode = FALSE, cli.num_colors = 1L)
  told <- sub("^ℹ ", "i ", told_by(code))
  for (pattern in names(change)) {
    told <- gsub(pattern, change[[pattern]], told)
  }
  file <- testthat::test_path("messages", paste0(name, ".txt"))
  if (nzchar(Sys.getenv("CELLFERRY_UPDATE_MESSAGES"))) {
    writeLines(enc2utf8(told), file, useBytes = TRUE)
  }
  if (!file.exists(file)) {
    testthat::fail(paste0("No pinned messages \"", name, "\". They would be:\n", toString(told)))
    return(invisible())
  }
  testthat::expect_identical(told, readLines(file, encoding = "UTF-8"))
}
