# Run the testthat suite of the installed package; one row per test_that() goes to a CSV.
out <- commandArgs(TRUE)[[1]]
results <- testthat::test_dir(
  "tests/testthat",
  package = "cellferry", load_package = "installed",
  reporter = "summary", stop_on_failure = FALSE, stop_on_warning = FALSE
)
results <- as.data.frame(results)
# What broke first in each test, for the closing lines.
results$result <- vapply(results$result, function(found) {
  broken <- Filter(function(x) inherits(x, c("expectation_failure", "expectation_error")), found)
  if (length(broken)) conditionMessage(broken[[1]]) else NA_character_
}, "")
utils::write.csv(results, out, row.names = FALSE)
