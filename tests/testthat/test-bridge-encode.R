round_trip <- function(frame) {
  outgoing <- new_outgoing()
  bytes <- to_json_bytes(list(frame = pack_frame(outgoing, frame, lists = TRUE)))
  unpack_frame(from_json_bytes(bytes)$frame, outgoing$buffers)
}

test_that("a frame of every kind of column comes back identical", {
  frame <- data.frame(
    real = c(1 / 3, NA, NaN, Inf, -Inf, 1e-300),
    integer = c(1L, NA, -3L, .Machine$integer.max, 0L, 5L),
    logical = c(TRUE, NA, FALSE, TRUE, FALSE, NA),
    text = c("x", NA, "\u00e9\u4e2d", "", "NA", "a \"b\" \\ \n c"),
    category = factor(c("b", NA, "a", "b", "b", "a"), levels = c("b", "unused", "a"))
  )
  frame$texts <- list("a", c("a", "b"), character(), NA_character_, "\u00e9", "d")
  expect_identical(round_trip(frame), frame)
  expect_identical(round_trip(frame[0, ]), frame[0, ])
  expect_identical(round_trip(frame[2, ])$text, NA_character_)
})

test_that("every type of metadata comes back identical, bit by bit", {
  for (seed in 1:20) {
    frame <- every_type(seed)
    expect_same_bits(round_trip(frame), frame)
  }
  frame <- every_type(1)
  expect_same_bits(round_trip(frame[0, ]), frame[0, ])
})

test_that("duplicated column names and a single row survive", {
  frame <- data.frame(a = "x", a = "y", check.names = FALSE)
  expect_identical(round_trip(frame), frame)
})

test_that("options keep their type", {
  json <- function(x) rawToChar(to_json_bytes(list(x = json_value(x))))
  expect_identical(json(30), "{\"x\":30}")
  expect_identical(json(30L), "{\"x\":30}")
  expect_identical(json(0.1), "{\"x\":{\"$double\":\"0.10000000000000001\"}}")
  expect_identical(json(Inf), "{\"x\":{\"$double\":\"Inf\"}}")
  expect_identical(json(-Inf), "{\"x\":{\"$double\":\"-Inf\"}}")
  expect_identical(json(NaN), "{\"x\":{\"$double\":\"NaN\"}}")
  expect_identical(json(3e9), "{\"x\":{\"$double\":\"3000000000\"}}")
  expect_identical(json(TRUE), "{\"x\":true}")
  expect_identical(json(NA), "{\"x\":null}")
  expect_identical(json(NULL), "{\"x\":null}")
  expect_identical(json("a"), "{\"x\":\"a\"}")
  expect_identical(json(I("a")), "{\"x\":[\"a\"]}")
  expect_identical(json(c("a", "b")), "{\"x\":[\"a\",\"b\"]}")
  expect_identical(json(list(a = 1, b = list("c"))), "{\"x\":{\"a\":1,\"b\":[\"c\"]}}")
  expect_error(json_value(mean), class = "cellferry_invalid_option_error")
})

test_that("text without a mark is taken as UTF-8 in the C locale", {
  out <- run_r(
    c(
      "x <- rawToChar(as.raw(c(0xc3, 0xa9)))",
      "cat(identical(charToRaw(cellferry:::as_utf8(x)), charToRaw(x)), Encoding(x))"
    ),
    "LC_ALL=C"
  )
  expect_identical(out[length(out)], "TRUE unknown")
})

test_that("values are rounded to float32 where no more is kept", {
  outgoing <- new_outgoing()
  expect_identical(pack_single(outgoing, c(0.1, 2^24 + 1, NA))$type, jsonlite::unbox("<f4"))
  back <- readBin(outgoing$buffers[[1]], "double", 3, size = 4, endian = "little")
  expect_equal(back[1], 0.1, tolerance = 1e-7)
  expect_false(back[1] == 0.1)
  expect_identical(back[2], 2^24)
  expect_true(is.na(back[3]))
})
