# The live page of an object: built, started by Python as a process of its own, and waited for.

#' Look at the evidence and decide, on a live page
#'
#' Opens a page on this machine only: the table of clusters with the evidence of each label, a map
#' of all cells coloured by any gene and any column, tests between chosen cells, and a place to
#' decide. It shows what [AnnotationReport()] writes, of all cells, and more. Decisions are kept at
#' once, in a folder of their own; the object stays as it is until you apply them:
#' `object <- ApplyDecisions(object, review)`, as often as you want, also after the page has ended.
#'
#' The page runs as a process beside R, which goes on at once. It ends when R ends, or after eight
#' hours in which nobody used it. The same object gets the same page again.
#'
#' @inheritParams Annotations
#' @param object A Seurat object or a SingleCellExperiment that was annotated, or the path of a file
#'   with one (`.rds`, `.h5ad`, or a zarr folder). Log-normalised values are read from the active
#'   assay, or from another one whose are.
#' @param coordinates.key Name of the embedding that is shown first, with or without `X_`; `NULL`
#'   is the newest UMAP, else t-SNE, else PCA, else the first. The page has the others too.
#' @param wait Whether to wait until somebody says *Done* on the page, and return the object with
#'   the decisions applied. An interrupt ends the waiting only.
#' @param browse Whether to open the page: in the viewer of RStudio, else in the browser. The
#'   address is printed in any case.
#' @param verbose Whether to show messages and progress.
#'
#' @return A list of class `cellferry_review`: `folder`, `address`, `pid` and `key`; it prints the
#'   line to paste. With `wait = TRUE` the object.
#' @family decisions
#' @examples
#' \dontrun{
#' review <- ReviewAnnotation(x)
#' x <- ApplyDecisions(x, review)
#' x <- ReviewAnnotation(x, wait = TRUE)
#' }
#' @export
ReviewAnnotation <- function(object, key = NULL, coordinates.key = NULL, wait = FALSE,
                             browse = interactive(), verbose = TRUE) {
  check_text(key, "key", null = TRUE)
  check_text(coordinates.key, "coordinates.key", null = TRUE)
  check_flag(wait, "wait")
  check_flag(browse, "browse")
  check_flag(verbose, "verbose")
  # Before anything is read, whether the page can be served.
  bridge_call("review")
  found <- if (is_path(object)) object_of_path(object) else object
  if (is.null(found) || is_path(object)) check_not_waiting(wait)
  if (is.null(found)) {
    value <- bridge_call("review", list(
      path = json_text(path.expand(object)), key = json_text(key),
      coordinates_key = json_text(coordinates.key)
    ), verbose = verbose)$value
  } else {
    value <- review_object(check_object(found), key, coordinates.key, verbose)
  }
  review <- structure(
    list(folder = value$folder, address = value$address, pid = value$pid, key = value$key),
    class = "cellferry_review"
  )
  cellferry_inform(paste0("The page is at ", review$address))
  if (browse) open_page(review$address)
  if (wait) wait_for_decisions(object, review, verbose) else review
}

check_not_waiting <- function(wait) {
  if (wait) {
    cellferry_stop(
      "invalid_option",
      "`wait = TRUE` returns the object with the decisions, and a path is no object.",
      "Read it first: object <- readRDS(path)"
    )
  }
}

review_object <- function(object, key, coordinates.key, verbose) {
  found <- annotations_to_write(object, key, "table to look at")
  drawn <- embedding_to_draw(object, coordinates.key)
  kept <- new_kept()
  shown <- draws_progress(verbose)
  on.exit({
    if (shown) clear_progress()
    discard(kept)
  })
  sent <- function(done, total, part) draw_progress("Preparing the page", done, total, "blocks")
  begun <- begin_page(
    object, "review", found, drawn,
    columns = NULL, kept = kept, verbose = verbose, progress = if (shown) sent
  )
  if (is.null(begun)) {
    cellferry_stop(
      "unsupported_object",
      "Which cells the clusters of these labels have is not known any more.",
      "Annotate again, or write the table: AnnotationReport(object, \"report.html\")"
    )
  }
  finish_page(begun, verbose)
}

# In the viewer of RStudio or another program, else in the browser.
open_page <- function(address) {
  viewer <- getOption("viewer")
  if (is.function(viewer)) viewer(address) else utils::browseURL(address)
}

# Waits for *Done*; R sees interrupts here, as Python is not called.
wait_for_decisions <- function(object, review, verbose, every = 0.2) {
  done <- file.path(review$folder, "done.json")
  waiting <- file.path(review$folder, "waiting.json")
  unlink(done)
  writeLines("{}", waiting)
  on.exit(unlink(waiting))
  waited <- tryCatch(
    {
      looks <- 0L
      while (!file.exists(done) && (looks %% 10L > 0L || is_alive(review))) {
        Sys.sleep(every)
        looks <- looks + 1L
      }
      TRUE
    },
    interrupt = function(cnd) FALSE
  )
  if (!waited) {
    cellferry_inform(paste0(
      "No longer waiting; the page goes on at ", review$address, ".\n",
      "What is decided there: object <- ApplyDecisions(object, \"", review$folder, "\")"
    ))
    return(object)
  }
  ApplyDecisions(object, review, review$key, verbose)
}

# Whether the page is still served: its address is in the folder as long, and something listens.
is_alive <- function(review) {
  stored <- tryCatch(
    from_json(readLines(file.path(review$folder, "address.json"), warn = FALSE)),
    error = function(cnd) NULL, warning = function(cnd) NULL
  )
  identical(stored$address, review$address) && listens(stored$port)
}

listens <- function(port) {
  tryCatch(
    {
      close(socketConnection("127.0.0.1", port, open = "r+b", timeout = 2))
      TRUE
    },
    error = function(cnd) FALSE, warning = function(cnd) FALSE
  )
}

#' @export
format.cellferry_review <- function(x, ...) {
  state <- if (is_alive(x)) x$address else "the page has ended"
  c(
    paste0("<cellferry review of ", x$key, ": ", state, ">"),
    "object <- ApplyDecisions(object, review)"
  )
}

#' @export
print.cellferry_review <- function(x, ...) {
  cat(format(x), sep = "\n")
  invisible(x)
}
