library(testthat)
library(cellferry)

test_check("cellferry")
