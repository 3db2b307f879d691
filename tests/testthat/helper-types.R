# One column of every type that metadata can have, with every kind of missing value, in an order
# and with values that depend on the seed.
every_type <- function(seed, n = 40) {
  withr::local_seed(seed)
  some <- function(values) sample(values, n, replace = TRUE)
  whole <- .Machine$integer.max
  zones <- c("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland")
  moments <- c(
    NA, 0, 1700000000, 1700000000.25, 1720000000.123456, -86400, 4e9, stats::runif(5, 1e8, 2e9)
  )
  frame <- list(
    real = some(c(1 / 3, NA, NaN, Inf, -Inf, 1e-300, -0, 0, stats::rnorm(5))),
    real_whole = some(c(1, 2, 3e9, NA)),
    integer = some(c(1L, NA, -3L, whole, -whole, 0L)),
    integer_full = sample.int(100L, n, replace = TRUE),
    logical = some(c(TRUE, FALSE, NA)),
    logical_full = some(c(TRUE, FALSE)),
    logical_none = rep(NA, n),
    text = some(c("x", NA, "\u00e9\u4e2d", "", "NA", "nan", "a \"b\" \\ \n c", "1.0")),
    factor = factor(some(c("b", NA, "a")), levels = c("b", "unused", "a")),
    factor_number = factor(some(c("10", "2", "0")), levels = c("0", "2", "10", "1e5")),
    factor_full = factor(some(c("x y", "\u00fc", "NA"))),
    factor_empty = factor(rep(NA_character_, n)),
    ordered = factor(some(c("low", "high", NA)), levels = c("low", "mid", "high"), ordered = TRUE),
    date = structure(some(c(0, -1, 19000, 20000, NA)), class = "Date"),
    date_integer = structure(some(c(0L, -1L, 19000L, 20000L, NA)), class = "Date"),
    moment = .POSIXct(some(moments)),
    moment_session = .POSIXct(some(moments), tz = ""),
    moment_zone = .POSIXct(some(moments), tz = sample(zones, 1)),
    moment_integer = structure(some(c(0L, 1700000000L, NA)), class = c("POSIXct", "POSIXt")),
    integer64 = integer64_of(some(c(0, 1, -1, 2^40, -2^40, NA)))
  )
  frame <- frame[sample(length(frame))]
  structure(frame, class = "data.frame", row.names = paste0("cell", seq_len(n)))
}

# bit64::as.integer64() without bit64: the bits of a 64-bit integer in a double.
integer64_of <- function(x) {
  missing <- is.na(x)
  x[missing] <- 0
  low <- x %% 2^32
  high <- ((x - low) / 2^32) %% 2^32
  high[missing] <- 2^31
  signed <- function(u) as.integer(ifelse(u > 2^31 - 1, u - 2^32, u))
  # -2^31 is R's NA_integer_, which has those very bits.
  halves <- suppressWarnings(rbind(signed(low), signed(high)))
  bits <- writeBin(as.vector(halves), raw(), endian = "little")
  values <- readBin(bits, "double", length(x), endian = "little")
  structure(values, class = "integer64")
}

# identical() to the last bit, which NaN and integer64 need.
expect_same_bits <- function(actual, expected, info = NULL) {
  testthat::expect_identical(names(actual), names(expected), info = info)
  for (name in names(expected)) {
    same <- identical(actual[[name]], expected[[name]], num.eq = FALSE, single.NA = FALSE)
    testthat::expect_true(same, info = paste(info, name))
  }
}
