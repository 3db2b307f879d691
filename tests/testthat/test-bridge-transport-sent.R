test_that("who sends a large object learns how far it is", {
  skip_without_backend()
  object <- small_object()
  outgoing <- new_outgoing()
  study <- json_study(outgoing, object, extract_groups(object), "RNA", list(), "normalized")
  message <- list(study = study, parts = json_texts("normalized"))
  opened <- bridge_call("study_open", message, outgoing, verbose = FALSE)$value
  kept <- new_kept()
  kept$handles <- opened$handle
  withr::defer(discard(kept))
  parts <- layer_parts(object, "RNA", "data")
  blocks <- layer_blocks(parts, extract_cells(object), unlist(opened$normalized), most = 100)
  seen <- list()
  send_blocks(opened$handle, "normalized", blocks, function(done, total, part) {
    seen <<- c(seen, list(c(done, total)))
  })
  expect_identical(
    do.call(rbind, seen)[, 1], seq(16L, blocks$n, by = 16L)
  )
  expect_identical(unique(do.call(rbind, seen)[, 2]), blocks$n)
})

test_that("a study that is sent is the one that is read in place", {
  skip_without_backend()
  object <- small_object()
  request <- list(group.by = "ident", kept = new_kept(), verbose = FALSE)
  withr::defer(discard(request$kept))
  parts <- c("normalized", "counts")
  opened <- begin_study(
    object, "study_open", request, parts,
    how = "sent", message = list(parts = json_texts(parts))
  )
  expect_length(opened$normalized, 230)
  answer <- bridge_call("study_parts", list(handle = json_text(opened$handle)))
  sums <- unpack_buffer(answer$value$counts$sums$cells, answer$buffers)
  expect_identical(sums, arrived(object, parts = parts)$counts$sums$cells)
})

test_that("an error while a study is sent leaves nothing open", {
  skip_without_backend()
  object <- small_object()
  kept <- new_kept()
  request <- list(group.by = "ident", kept = kept, verbose = FALSE)
  fail <- function() {
    on.exit(discard(kept))
    begin_study(
      object, "study_open", request, "normalized",
      how = "sent", message = list(parts = json_texts("normalized"))
    )
    handle <<- kept$handles
    stop("gone")
  }
  handle <- NULL
  expect_error(fail(), "gone")
  expect_identical(kept$handles, character())
  answer <- bridge_call("discard", list(handle = json_text(handle)))
  expect_false(answer$value$discarded)
})
