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
