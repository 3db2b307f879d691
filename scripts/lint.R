# lintr over R/ and tests/; any lint is an error.
found <- c(lintr::lint_dir("R"), lintr::lint_dir("tests/testthat"))
if (length(found) > 0) {
  print(found)
  quit(status = 1)
}
