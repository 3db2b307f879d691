test_that("a key that can't be written is refused", {
  skip_without_backend()
  local_home()
  for (key in c("RNA", "pca", "tsne", "RNA_snn", "a/b", "1a", "a b")) {
    expect_refused(small_object(), small_markers(), key = key, class = "invalid_key")
  }
  expect_messages(AnnotateClusters(small_object(), small_markers(), key = "RNA"), "key-assay")
  expect_messages(AnnotateClusters(small_object(), small_markers(), key = "a/b"), "key-name")
})

test_that("labels within those of ours take their key, unless somebody chose another", {
  object <- small_object()
  object@misc$cellferry <- list(
    type = "{\"provenance\": {\"level\": \"clusters\"}}",
    each = "{\"provenance\": {\"level\": \"cells\"}}", broken = "{"
  )
  key_of <- function(...) with_key(list(key = "cell_type", ...), object)$key
  expect_identical(key_of(within = "type"), "type")
  expect_identical(key_of(within = "type", key.given = TRUE), "cell_type")
  for (other in c("each", "broken", "foreign")) {
    expect_identical(key_of(within = other), "cell_type")
  }
  expect_identical(key_of(), "cell_type")
})
