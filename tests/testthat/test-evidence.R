test_that("supporting markers are a list for DotPlot(), no gene twice", {
  object <- labelled_object()
  expect_identical(
    SupportingMarkers(object),
    list("type 0" = c("CD3E", "G0"), "type 1" = "G1", "type 2" = "G2")
  )
  expect_identical(SupportingMarkers(object, n = 1)[["type 0"]], "CD3E")
  expect_identical(SupportingMarkers(Annotations(object)), SupportingMarkers(object))
  expect_error(SupportingMarkers(object, n = 0), class = "cellferry_invalid_option_error")
})

test_that("supporting markers have the names of the object's genes", {
  json <- jsonlite::fromJSON(small_json(), simplifyVector = FALSE)
  json$provenance$gene_names <- list(CD3E = "ENSG00000198851")
  json <- jsonlite::toJSON(json, auto_unbox = TRUE, null = "null")
  found <- SupportingMarkers(labelled_object(json = json))
  expect_identical(found[["type 0"]], c("ENSG00000198851", "G0"))
})

test_that("supporting markers of an object with Ensembl identifiers are its genes", {
  skip_without_backend()
  local_home()
  genes <- c(
    MS4A1 = "ENSG00000156738", CD79A = "ENSG00000105369", CD79B = "ENSG00000007312",
    CD19 = "ENSG00000177455", CD3D = "ENSG00000167286", CD3E = "ENSG00000198851",
    CD3G = "ENSG00000160654", CD2 = "ENSG00000116824"
  )
  values <- kronecker(matrix(c(5, 0, 0, 5), 2), matrix(1, 4, 10))
  values <- rbind(values, matrix(1, 300, 20))
  dimnames(values) <- list(c(genes, sprintf("ENSG9%010d", 1:300)), paste0("cell", 1:20))
  object <- suppressWarnings(SeuratObject::CreateSeuratObject(values))
  object <- SeuratObject::SetAssayData(object, new.data = methods::as(values, "CsparseMatrix"))
  object$group <- rep(c("b", "t"), each = 10)
  markers <- data.frame(
    cluster = rep(c("b", "t"), each = 4), gene = genes, avg_log2FC = 4, pct.1 = 1, pct.2 = 0
  )
  labelled <- suppressMessages(AnnotateClusters(object, markers, group.by = "group"))
  supporting <- unlist(SupportingMarkers(labelled))
  expect_gt(length(supporting), 0)
  expect_true(all(supporting %in% rownames(labelled)))
  # What people read stays in symbols.
  expect_true("MS4A1" %in% Annotations(labelled)$supporting[[1]])
})

test_that("clusters without a label have no supporting markers", {
  json <- gsub("\"ok\"", "\"unknown\"", as.character(small_json()))
  expect_identical(SupportingMarkers(labelled_object(json = json)), list())
})

test_that("Markers() are those stored with the annotations", {
  found <- Markers(labelled_object())
  expect_identical(found$gene, c("CD3E", "LYZ"))
  expect_identical(found$avg_log2FC, c(1.5, NA))
  expect_identical(levels(found$cluster), c("0", "1", "2"))
})

test_that("the report is one file", {
  skip_without_backend()
  local_home()
  file <- withr::local_tempfile(fileext = ".html")
  object <- suppressMessages(AnnotateClusters(small_object(), small_markers()))
  expect_identical(
    normalizePath(AnnotationReport(object, file)), normalizePath(file)
  )
  text <- paste(readLines(file, encoding = "UTF-8", warn = FALSE), collapse = "\n")
  for (label in Annotations(object)$label) {
    expect_match(text, label, fixed = TRUE)
  }
  expect_false(grepl("src=\"http", text, fixed = TRUE))
  AnnotationReport(Annotations(object), file)
  expect_true(file.exists(file))
})
