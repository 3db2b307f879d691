test_that("LocalEngine() has the options of the registry and their defaults", {
  skip_without_backend()
  registered <- describe_backend()$engines$local
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
  registered <- describe_backend()$engines$llm
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

test_that("a key is in the request and in no object, file, message or condition", {
  skip_without_backend()
  home <- local_home()
  server <- local_model_server()
  key <- "sk-canary-0123456789"
  folder <- withr::local_tempdir()
  engine <- LLMEngine(
    provider = "openai", model = "m", base_url = server$url, api_key = key,
    output_name = file.path(folder, "x")
  )
  told <- testthat::capture_messages(
    found <- AnnotateClusters(ReadMarkers(blood_lists()), engine = engine, species = "human")
  )
  expect_identical(requests(server)[[1]]$key, paste("Bearer", key))
  saved <- withr::local_tempfile()
  saveRDS(list(engine, found), saved, compress = FALSE)
  dput(engine, file.path(folder, "dput"))
  shown <- c(
    told, format(engine), capture.output(print(engine)), capture.output(str(engine)),
    capture.output(print(unclass(engine))), capture.output(str(unclass(engine)))
  )
  cnd <- tryCatch(
    AnnotateClusters(1, engine = "llm", api_key = key),
    error = identity
  )
  shown <- c(shown, conditionMessage(cnd), deparse(conditionCall(cnd)))
  expect_false(any(grepl(key, shown, fixed = TRUE)))
  files <- c(saved, list.files(c(home, folder), recursive = TRUE, full.names = TRUE))
  expect_gt(length(files), 6)
  for (file in files) {
    bytes <- readBin(file, raw(), file.size(file))
    bytes[bytes == as.raw(0)] <- as.raw(32)
    expect_false(grepl(key, rawToChar(bytes), fixed = TRUE, useBytes = TRUE), info = file)
  }
})

test_that("an engine that was saved has no key in another session, and asks", {
  skip_without_backend()
  local_home()
  withr::local_envvar(OPENAI_API_KEY = NA)
  engine <- LLMEngine(provider = "openai", model = "m", api_key = "sk-1")
  copy <- unserialize(serialize(engine, NULL))
  copy$options$api_key$handle <- "h-of-another-session"
  expect_error(
    AnnotateClusters(ReadMarkers(blood_lists()), engine = copy, species = "human"),
    class = "cellferry_credentials_required_error"
  )
})

test_that("a key that is missing is asked for once and not kept", {
  skip_without_backend()
  local_home()
  server <- local_model_server()
  asked <- character()
  withr::local_options(cellferry.ask_key = function(prompt) {
    asked <<- c(asked, prompt)
    "sk-asked"
  })
  withr::local_envvar(MY_TEST_KEY = NA)
  engine <- LLMEngine(
    provider = "openai", model = "m", base_url = server$url, api_key_env = "MY_TEST_KEY"
  )
  markers <- ReadMarkers(blood_lists())
  found <- AnnotateClusters(markers, engine = engine, species = "human", verbose = FALSE)
  expect_identical(found$status, rep("ok", 3))
  expect_length(asked, 1)
  expect_match(asked, "not stored")
  expect_identical(requests(server)[[1]]$key, "Bearer sk-asked")
})

test_that("a key that is set after Python has started is found", {
  skip_without_backend()
  local_home()
  server <- local_model_server()
  withr::local_envvar(MY_TEST_KEY = "sk-late")
  AnnotateClusters(
    ReadMarkers(blood_lists()),
    engine = "llm", provider = "openai", model = "m", base_url = server$url,
    api_key_env = "MY_TEST_KEY", species = "human", verbose = FALSE
  )
  expect_identical(requests(server)[[1]]$key, "Bearer sk-late")
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

test_that("no secret is shown", {
  engine <- Engine("x", api_key = "sk-1234", auth_token = "sk-1234", secret = "sk-1234", rank = 5)
  shown <- c(
    format(engine), capture.output(print(engine)), capture.output(str(engine)),
    capture.output(str(list(engine))), capture.output(print(list(engine)))
  )
  expect_false(any(grepl("sk-1234", shown, fixed = TRUE)))
  expect_match(format(engine), "api_key = <hidden>", fixed = TRUE)
  expect_match(format(engine), "rank = 5", fixed = TRUE)
  expect_match(format(Engine("x", max_tokens = 9)), "max_tokens = 9", fixed = TRUE)
})
