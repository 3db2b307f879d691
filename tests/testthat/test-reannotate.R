test_that("one cluster is asked again with the remark, in the object and in the table", {
  skip_without_backend()
  local_home()
  server <- local_model_server()
  engine <- LLMEngine(provider = "openai", model = "m", base_url = server$url)
  object <- known_cells()
  object$two <- rep(c("a", "b"), length.out = ncol(object))
  markers <- list(a = c("CD79A", "MS4A1", "CD79B"), b = c("CD3D", "CD3E", "TRAC"))
  labelled <- AnnotateClusters(
    object, markers, engine, group.by = "two", key = "type", species = "human", verbose = FALSE
  )
  n <- length(requests(server))
  again <- Reannotate(labelled, "a", "Sorted for plasma cells.", verbose = FALSE)
  asked <- utils::tail(requests(server), -n)
  expect_identical(unique(vapply(asked, `[[`, "", "label")), "B cell")
  said <- "Earlier answer: \"B cell\". Sorted for plasma cells."
  expect_match(asked[[1]]$user, said, fixed = TRUE)
  expect_identical(again$type, labelled$type)
  expect_identical(Annotations(again)$label, c("B cell", "T cell"))
  table <- Reannotate(NULL, "b", "Not sorted.", verbose = FALSE)
  expect_identical(table$label, c("B cell", "T cell"))
  expect_error(
    Reannotate(labelled, "nine", "x", verbose = FALSE), "no cluster \"nine\"",
    class = "cellferry_invalid_option_error"
  )
})

test_that("an engine without a model takes no remarks", {
  skip_without_backend()
  local_home()
  labelled <- AnnotateClusters(small_object(), small_markers(), verbose = FALSE)
  cluster <- Annotations(labelled)$cluster[1]
  expect_error(
    Reannotate(labelled, cluster, "x", verbose = FALSE), "takes no remarks",
    class = "cellferry_engine_needs_error"
  )
})

test_that("the model may ask for genes of an object of R", {
  skip_without_backend()
  local_home()
  server <- local_model_server()
  engine <- LLMEngine(
    provider = "openai", model = "m", base_url = server$url, evidence_rounds = 1
  )
  object <- known_cells()
  object$two <- rep(c("a", "b"), length.out = ncol(object))
  markers <- list(a = c("CD79A", "MS4A1", "CD79B"), b = c("CD3D", "CD3E", "TRAC"))
  labelled <- AnnotateClusters(
    object, markers, engine, group.by = "two", species = "human", verbose = FALSE
  )
  expect_identical(Annotations(labelled)$label, c("B cell", "T cell"))
  expect_match(requests(server)[[1]]$user, "Ask with `evidence`", fixed = TRUE)
})
