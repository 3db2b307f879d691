test_that("a fault of Python is an internal error with the place to report it", {
  skip_without_backend()
  expect_error(bridge_call("no_such_call"), class = "cellferry_internal_error")
})

test_that("another CELLFERRY_HOME is seen after Python has started", {
  skip_without_backend()
  home <- local_home()
  suppressMessages(AnnotateClusters(small_markers()))
  expect_identical(list.files(home), "runs")
  local_home()
  expect_identical(nrow(ListRuns()), 0L)
})

test_that("names and labels survive the C locale", {
  skip_without_backend()
  home <- local_home()
  out <- run_r(
    c(
      "library(cellferry)",
      "genes <- list(c('CD79A', 'MS4A1', 'CD79B', 'CD19'), c('CD3E', 'CD3D', 'IL7R', 'TRAC'))",
      "names(genes) <- c('\\u00e9t\\u00e9', '\\u4e2d')",
      "found <- ReadMarkers(genes)",
      "cat(identical(levels(found$cluster), names(genes)), Encoding(levels(found$cluster)), '\\n')",
      "table <- AnnotateClusters(found, verbose = FALSE)",
      "cat(identical(table$cluster, names(genes)))"
    ),
    c("LC_ALL=C", paste0("CELLFERRY_HOME=", home))
  )
  expect_identical(utils::tail(out, 2), c("TRUE UTF-8 UTF-8 ", "TRUE"))
})

test_that("an interrupt does not jump out of a call to Python, which ends what it does", {
  skip_without_backend()
  local_home()
  request <- open_request(new_request(
    "local", list(), "ident", "cell_type", NULL, "human", NULL, NULL, FALSE, FALSE, FALSE
  ))
  markers <- open_markers(list(a = c("CD79A", "MS4A1"), b = c("CD3D", "CD3E")), verbose = FALSE)
  message <- list(
    handle = json_text(request$handle), study = list(markers = json_text(markers$handle))
  )
  bridge_call("study_begin", message)
  finished <- 0
  on_event <- function(bytes) {
    tools::pskill(Sys.getpid(), tools::SIGINT)
    for (i in 1:1e5) NULL
    finished <<- finished + 1
  }
  expect_error(
    bridge_call("annotate", handle_of(request), callback = on_event),
    class = "cellferry_interrupted_error"
  )
  expect_gt(finished, 0)
  # It is seen once, and Python goes on.
  for (i in 1:1e5) NULL
  expect_identical(ListRuns()$status, "interrupted")
})
