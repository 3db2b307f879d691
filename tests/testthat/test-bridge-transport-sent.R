test_that("who sends a large object is told how far it is", {
  skip_without_backend()
  object <- small_object()
  parcel <- new_parcel()
  study <- json_study(parcel, object, extract_groups(object), "RNA", NULL, list(), "normalized")
  message <- list(study = study, parts = json_texts("normalized"))
  opened <- bridge_call("study_open", message, parcel, verbose = FALSE)$value
  withr::defer(discard(opened$handle))
  parts <- layer_parts(object, "RNA", "data")
  blocks <- layer_blocks(parts, extract_cells(object), unlist(opened$normalized), most = 100)
  told <- list()
  send_blocks(opened$handle, "normalized", blocks, function(done, total, part) {
    told <<- c(told, list(c(done, total)))
  })
  expect_identical(
    do.call(rbind, told)[, 1], seq(16L, blocks$n, by = 16L)
  )
  expect_identical(unique(do.call(rbind, told)[, 2]), blocks$n)
})
