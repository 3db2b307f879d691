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
