test_that("LocalEngine() has the options of the registry and their defaults", {
  skip_without_backend()
  registered <- describe_engine("local")$options
  expect_identical(names(formals(LocalEngine)), names(registered))
  ours <- lapply(formals(LocalEngine), eval)
  for (name in names(registered)) {
    expect_equal(ours[[name]], registered[[name]], info = name)
  }
})

test_that("an engine is a name and named options", {
  expect_identical(Engine("local", n_genes = 5)$options, list(n_genes = 5))
  expect_error(Engine("local", 5), class = "cellferry_unknown_option_error")
  expect_error(Engine(1), class = "cellferry_invalid_option_error")
})

test_that("an engine and a name with options give the same answer", {
  skip_without_backend()
  local_home()
  object <- small_object()
  label <- function(...) {
    suppressMessages(AnnotateClusters(object, small_markers(), ...))$cell_type_confidence
  }
  by_name <- label(n_genes = 5)
  expect_identical(label(engine = LocalEngine(n_genes = 5)), by_name)
  expect_identical(label(engine = Engine("local", n_genes = 5L)), by_name)
  expect_false(identical(label(), by_name))
  expect_error(label(n_genes = 2.5), class = "cellferry_invalid_option_error")
  expect_error(label(knowledge_only = TRUE), class = "cellferry_invalid_option_error")
})

test_that("LLMEngine() has the options of the registry and their defaults", {
  skip_without_backend()
  registered <- describe_engine("llm")$options
  expect_identical(names(formals(LLMEngine)), names(registered))
  ours <- lapply(formals(LLMEngine), eval)
  for (name in names(registered)) {
    expect_equal(ours[[name]], registered[[name]], info = name)
  }
})

test_that("a language model labels a Seurat object", {
  skip_without_backend()
  local_home()
  server <- local_model_server()
  engine <- LLMEngine(
    provider = "openai", model = "m", base_url = server$url, n_genes = 20, temperature = 0
  )
  object <- small_object()
  found <- suppressMessages(AnnotateClusters(object, small_markers(), engine = engine))
  expect_true(all(Annotations(found)$engine == "llm"))
  expect_identical(ncol(found), ncol(object))
  expect_match(requests(server)[[1]]$user, "Cells in this cluster: ")
  by_name <- suppressMessages(AnnotateClusters(
    ReadMarkers(blood_lists()),
    engine = "llm", provider = server$url, model = "m", species = "human"
  ))
  expect_identical(by_name$label, c("B cell", "T cell", "Monocyte"))
})

test_that("llm_configs of CyteType can be given as lists", {
  skip_without_backend()
  local_home()
  server <- local_model_server()
  engine <- LLMEngine(llm_configs = list(list(
    provider = "openai", name = "m", apiKey = "sk-canary", baseUrl = server$url,
    modelSettings = list(temperature = 0, max_tokens = 4096)
  )))
  expect_false(grepl("canary", format(engine), fixed = TRUE))
  found <- AnnotateClusters(
    ReadMarkers(blood_lists()),
    engine = engine, species = "human", verbose = FALSE
  )
  expect_identical(found$status, rep("ok", 3))
  expect_identical(requests(server)[[1]]$key, "Bearer sk-canary")
})

test_that("what an engine finished is not asked again by ResumeAnnotation()", {
  skip_without_backend()
  local_home()
  server <- local_model_server()
  withr::local_envvar(MY_TEST_KEY = "sk-1")
  object <- small_object()
  partial <- suppressMessages(AnnotateClusters(
    object, small_markers(),
    engine = "llm", provider = "openai", model = "m", base_url = server$url,
    api_key_env = "MY_TEST_KEY", max_tokens = 4500, max_workers = 1
  ))
  status <- Annotations(partial)$status
  expect_true("skipped" %in% status)
  expect_identical(ListRuns()$status, "unfinished")
  before <- length(requests(server))
  whole <- suppressMessages(ResumeAnnotation(object))
  later <- requests(server)[-seq_len(before)]
  tokens <- function(found) unique(vapply(found, function(request) request$token, ""))
  expect_length(intersect(tokens(later), tokens(requests(server)[seq_len(before)])), 0)
  expect_gt(sum(Annotations(whole)$status != "skipped"), sum(status != "skipped"))
})

test_that("the genes of a panel are given beside a marker table", {
  skip_without_backend()
  markers <- list(a = c("CD79A", "MS4A1", "CD79B", "BANK1"))
  panel <- withr::local_tempfile(fileext = ".txt", lines = c("gene", unlist(markers), "CD3D"))
  of <- function(measured) {
    found <- AnnotateClusters(
      ReadMarkers(markers), engine = LocalEngine(measured = measured), verbose = FALSE
    )
    Annotations(found)[, c("label", "confidence")]
  }
  expect_identical(of(panel), of(c(markers$a, "CD3D")))
  expect_error(of(c("LYZ", "EPCAM")), "marker table", class = "cellferry_invalid_option_error")
})
