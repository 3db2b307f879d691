test_that("progress is drawn and never signals, whatever arrives", {
  event <- charToRaw("{\"kind\":\"progress\",\"done\":1,\"total\":3,\"unit\":\"cluster\"}")
  shown <- capture.output(progress_line(event), type = "message")
  expect_match(shown, "Annotating: 1 of 3 clusters", all = FALSE)
  for (odd in list(raw(0), charToRaw("{"), charToRaw("{}"), NULL)) {
    expect_silent(progress_line(odd))
  }
})
