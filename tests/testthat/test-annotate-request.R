test_that("the next line names the user's object and what it can draw", {
  object <- small_object()
  expect_identical(
    next_line(object, "pbmc", "type"), "DimPlot(pbmc, group.by = \"type\", label = TRUE)"
  )
  object@reductions <- list()
  expect_identical(next_line(object, "pbmc", "type"), "table(pbmc$type)")
  expect_identical(object_name(quote(pbmc)), "pbmc")
  expect_identical(object_name(quote(readRDS("x.rds"))), "x")
})

test_that("a metadata column named like the table's column of clusters is left alone", {
  object <- small_object()
  object$cluster <- as.character(SeuratObject::Idents(object))
  groups <- extract_groups(object, "cluster")
  outgoing <- new_outgoing()
  frame <- pack_frame(outgoing, own_delivery(groups$names))
  answer <- list(
    value = list(delivery = from_json_bytes(to_json_bytes(frame)), json = small_json()),
    buffers = outgoing$buffers
  )
  labelled <- deliver(object, answer, groups, "cell_type")
  expect_identical(labelled$cluster, object$cluster)
  expect_identical(as.character(labelled$cell_type), paste("is", object$cluster))
})
