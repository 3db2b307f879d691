test_that("arguments of the wrong kind are named", {
  object <- small_object()
  expect_messages(check_text(c("a", "b"), "key"), "argument-text")
  expect_messages(check_text(NA_character_, "tissue", null = TRUE), "argument-missing")
  expect_messages(check_flag("yes", "overwrite"), "argument-flag")
  expect_messages(check_count(1.5, "n"), "argument-count")
  for (odd in list(NA, NaN, 0, "1", factor(1), 1:2, NULL, TRUE)) {
    expect_error(check_count(odd, "n"), "whole number", class = "cellferry_invalid_option_error")
  }
  for (fine in list(1, 3L, 1e12, Inf)) expect_silent(check_count(fine, "n"))
  expect_silent(check_count(0, "n", least = 0))
  for (odd in list(NA, NULL, 1, c(TRUE, FALSE))) {
    expect_error(check_flag(odd, "f"), "TRUE or FALSE", class = "cellferry_invalid_option_error")
  }
  for (odd in list("", NULL, character(), factor("a"), c(a = NA_character_))) {
    expect_error(check_text(odd, "t"), "of text", class = "cellferry_invalid_option_error")
  }
  expect_silent(check_texts(character(), "t"))
  expect_error(
    AnnotateClusters(object, key = 1), "`key`",
    class = "cellferry_invalid_option_error"
  )
  expect_error(
    AnnotateClusters(object, overwrite = NA), "`overwrite`",
    class = "cellferry_invalid_option_error"
  )
  expect_error(
    AnnotateClusters(object, engine = 1), "`engine`",
    class = "cellferry_invalid_option_error"
  )
})

test_that("names in `...` are options or errors with the nearest name", {
  dots <- function(...) {
    check_dots(list(...), "AnnotateClusters", "local", c("n_genes", "rank"))
  }
  expect_silent(dots(n_genes = 1, rank = "a"))
  expect_messages(dots(group_by = "a"), "unknown-option-verb")
  expect_messages(dots(n_gene = 1), "unknown-option-engine")
  expect_messages(dots(something_else = 1), "unknown-option-none")
  expect_messages(dots(1), "unknown-option-unnamed")
  expect_messages(dots(rank = 1, rank = 2), "option-twice")
  expect_error(
    check_dots(list(n_genes = 1), "AnnotateClusters", "local"), "when the engine is made",
    class = "cellferry_unknown_option_error"
  )
})
