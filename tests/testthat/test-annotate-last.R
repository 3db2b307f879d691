test_that("the next line says what the object can draw", {
  object <- small_object()
  expect_identical(
    next_line(object, "pbmc", "type"), "DimPlot(pbmc, group.by = \"type\", label = TRUE)"
  )
  object@reductions <- list()
  expect_identical(next_line(object, "pbmc", "type"), "table(pbmc$type)")
  # Labels of cells are many; what most cells of a cluster are can be read.
  object$type_majority <- "T cell"
  expect_identical(next_line(object, "pbmc", "type"), "table(pbmc$type_majority)")
})

# The line that is printed after "Next:".
next_of <- function(code) {
  lines <- signalled_by(code)
  sub("^Next: ", "", grep("^Next: ", lines, value = TRUE))
}

test_that("the next line works when it is pasted, whatever the result is called", {
  skip_without_backend()
  skip_if_not_installed("Seurat")
  local_home()
  DimPlot <- function(object, group.by, label) table(object[[group.by]][, 1])
  paste_line <- function(line, envir) eval(parse(text = line), envir)
  counts <- c(36L, 25L, 19L)
  line <- next_of(other_name <- AnnotateClusters(small_object(), small_markers()))
  expect_setequal(as.vector(paste_line(line, environment())), counts)
  # In lapply() the object has no name at all.
  lines <- next_of(all <- lapply(list(a = small_object()), AnnotateClusters, small_markers()))
  rm(other_name)
  expect_setequal(as.vector(paste_line(lines, environment())), counts)
  expect_identical(LastAnnotated(), all$a)
  inside <- function() {
    suppressMessages(AnnotateClusters(small_object(), small_markers(), key = "of_function"))
  }
  result <- inside()
  expect_true("of_function" %in% names(LastAnnotated()[[]]))
})

test_that("the next line of cells is about their clusters", {
  skip_without_backend()
  local_home()
  line <- next_of(cells <- suppressWarnings(AnnotateCells(small_object(), tissue = "blood")))
  expect_identical(
    line, "DimPlot(LastAnnotated(), group.by = \"cell_type_cell_majority\", label = TRUE)"
  )
  expect_identical(LastAnnotated(), cells)
  expect_true("cell_type_cell_majority" %in% names(cells[[]]))
})

test_that("an object that was not kept is asked for", {
  last <- .globals$annotated
  withr::defer(.globals$annotated <- last)
  .globals$annotated <- list(run = "no such run", key = "cell_type")
  mine <- labelled_object()
  expect_messages(LastAnnotated(), "last-not-kept")
  .globals$annotated <- NULL
  expect_messages(LastAnnotated(), "last-none")
  expect_error(LastAnnotated(1), class = "cellferry_invalid_option_error")
  .globals$annotated <- list(run = "r1", key = "cell_type")
  expect_identical(LastAnnotated(), mine)
  # What would be computed first is left alone.
  makeActiveBinding("active", function() stop("looked at"), environment())
  delayedAssign("lazy", stop("looked at"))
  expect_identical(LastAnnotated(), mine)
})
