test_that("five columns and a summary are printed", {
  withr::local_options(cli.num_colors = 1L)
  found <- Annotations(labelled_object())
  expect_identical(capture.output(print(found)), c(
    "cluster  n_cells  label   confidence  status",
    "0             36  type 0        0.50  ok",
    "1             25  type 1        0.50  ok",
    "2             19  type 2        0.50  ok",
    "# 3 clusters: 3 ok"
  ))
  expect_match(capture.output(print(found["label"]))[2], "type 0")
})

test_that("wide labels are aligned by their width on the screen", {
  frame <- data.frame(label = c("\u4e2d\u6587", "T"), status = "ok")
  shown <- format_columns(frame)
  expect_identical(shown[2:3], c("\u4e2d\u6587   ok", "T      ok"))
})

test_that("write.csv() writes the table, with lists as text", {
  json <- gsub("type 1", "CD4-positive, alpha-beta T cell", as.character(small_json()))
  found <- Annotations(labelled_object(json = json))
  file <- withr::local_tempfile()
  utils::write.csv(found, file, row.names = FALSE)
  back <- utils::read.csv(file)
  expect_named(back, names(annotation_columns))
  expect_identical(back$supporting, c("CD3E; G0", "CD3E; G1", "CD3E; G2"))
  expect_identical(back$label[2], "CD4-positive, alpha-beta T cell")
  expect_identical(back$n_cells, found$n_cells)
  utils::write.table(found, file, sep = "\t")
  expect_identical(utils::read.delim(file)$supporting, back$supporting)
  # Elsewhere they stay lists, and cells and columns are replaced as in any data frame.
  found[2, "label"] <- "mine"
  found["n_cells"] <- 1:3
  found[found$label == "mine", ] <- found[1, ]
  expect_identical(found$label[2], found$label[1])
  expect_identical(found$n_cells, c(1L, 1L, 3L))
  expect_s3_class(found, "cellferry_annotations")
  expect_type(lapply(found, identity)$supporting, "list")
  flat <- as.data.frame(found)
  expect_s3_class(flat, "data.frame", exact = TRUE)
  expect_identical(flat$supporting, c("CD3E; G0", "CD3E; G0", "CD3E; G2"))
  expect_false(any(vapply(flat, is.list, NA)))
})

test_that("a long table is printed by its head", {
  found <- Annotations(labelled_object(json = small_json(clusters = as.character(0:43))))
  lines <- capture.output(print(found))
  expect_length(lines, 14)
  expect_identical(lines[12], "# ... 34 more (print it with n = Inf)")
  expect_length(capture.output(print(found, n = Inf)), 47)
  expect_length(capture.output(print(found, n = 3)), 7)
  expect_error(print(found, n = 0), class = "cellferry_invalid_option_error")
})

test_that("labels of cells are printed once, and labels are counted as labels", {
  found <- new_annotations(cells_json(), "cell_type_cell")
  expect_match(capture.output(print(found))[1], "^n_cells  label ")
  merged <- suppressWarnings(merge(labelled_object(), small_object()))
  found <- suppressMessages(Annotations(merged))
  expect_identical(grep("labels:", capture.output(print(found)), value = TRUE), "# 3 labels: 3 ok")
})
