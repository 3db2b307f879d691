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
  messages <- testthat::capture_messages(
    found <- AnnotateClusters(ReadMarkers(blood_lists()), engine = engine, species = "human")
  )
  expect_identical(requests(server)[[1]]$key, paste("Bearer", key))
  saved <- withr::local_tempfile()
  saveRDS(list(engine, found), saved, compress = FALSE)
  dput(engine, file.path(folder, "dput"))
  shown <- c(
    messages, format(engine), capture.output(print(engine)), capture.output(str(engine)),
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
  prompts <- character()
  withr::local_options(cellferry.ask_key = function(prompt) {
    prompts <<- c(prompts, prompt)
    "sk-asked"
  })
  withr::local_envvar(MY_TEST_KEY = NA)
  engine <- LLMEngine(
    provider = "openai", model = "m", base_url = server$url, api_key_env = "MY_TEST_KEY"
  )
  markers <- ReadMarkers(blood_lists())
  found <- AnnotateClusters(markers, engine = engine, species = "human", verbose = FALSE)
  expect_identical(found$status, rep("ok", 3))
  expect_length(prompts, 1)
  expect_match(prompts, "not stored")
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
