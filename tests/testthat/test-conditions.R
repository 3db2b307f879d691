test_that("what only R can meet has codes of its own", {
  expect_false(any(names(r_error_codes) %in% names(error_codes)))
})

test_that("every code that R uses is in the table", {
  calls <- lapply(ls(asNamespace("cellferry")), function(name) {
    found <- get(name, asNamespace("cellferry"))
    if (is.function(found)) find_calls(body(found), c("cellferry_stop", "cellferry_warn"))
  })
  calls <- unlist(calls, recursive = FALSE)
  used <- unlist(lapply(calls, function(call) if (is.character(call[[2]])) call[[2]]))
  expect_gt(length(used), 15)
  expect_true(all(used %in% names(c(error_codes, r_error_codes, warning_codes))))
})

test_that("conditions name the verb and never its arguments", {
  secret <- "sk-secret"
  cnd <- tryCatch(AnnotateClusters(1, api_key = "sk-secret"), error = identity)
  expect_identical(conditionCall(cnd), quote(AnnotateClusters()))
  expect_s3_class(cnd, c("cellferry_unsupported_object_error", "cellferry_error"), exact = FALSE)
  expect_false(any(grepl(secret, unlist(lapply(cnd, deparse)), fixed = TRUE)))
  cnd <- tryCatch(do.call(AnnotateClusters, list(1, api_key = secret)), error = identity)
  expect_false(any(grepl(secret, unlist(lapply(cnd, deparse)), fixed = TRUE)))
})

test_that("a condition knows the page of its code", {
  cnd <- tryCatch(AnnotateClusters(1), error = identity)
  expect_match(cnd$page, "/docs/errors.md#unsupported_object$")
})

test_that("the files for Seurat can be sourced without this package and without rlang", {
  folder <- withr::local_tempdir()
  functions <- c(
    "cellferry_stop", "cellferry_condition", "verb_call", "public_verbs", "nearest_name",
    "did_you_mean", "listing", "page_of_code"
  )
  file <- file.path(folder, "conditions.R")
  for (name in functions) {
    code <- deparse(get(name, asNamespace("cellferry")))
    cat(name, " <- ", paste(code, collapse = "\n"), "\n", file = file, sep = "", append = TRUE)
  }
  out <- run_r(c(
    "requireNamespace <- function(...) FALSE",
    sprintf("source(%s)", deparse(file)),
    "cnd <- tryCatch(cellferry_stop('group_missing', 'No.', 'Do.'), error = identity)",
    "cat(class(cnd), conditionMessage(cnd), sep = '|')"
  ))
  expect_identical(
    out, c("cellferry_group_missing_error|cellferry_error|error|condition|No.", "i Do.")
  )
})

test_that("the nearest name ignores dots, underscores and case", {
  expect_identical(nearest_name("group_by", c("key", "group.by")), "group.by")
  expect_identical(nearest_name("GroupBy", c("key", "group.by")), "group.by")
  expect_identical(nearest_name("n_gene", c("n_genes", "rank")), "n_genes")
  expect_null(nearest_name("entirely different", c("key", "group.by")))
  expect_null(nearest_name("a", character()))
})
