canary <- "canary-7f3a91-secret"

test_that("names of secrets are told from other names", {
  secret <- c(
    "auth_token", "api_key", "apiKey", "key", "awsSecretAccessKey", "awsAccessKeyId", "password",
    "client.secret"
  )
  plain <- c("rank_key", "coordinates_key", "group_key", "max_tokens", "n_top_genes", "keys")
  expect_true(all(is_secret(secret)))
  expect_false(any(is_secret(plain)))
})

test_that("an engine shows and saves no secret, also not one in a list", {
  engine <- CyteTypeEngine(
    auth_token = canary, rank_key = "mine",
    llm_configs = list(list(provider = "openai", name = "m", apiKey = canary))
  )
  shown <- c(
    format(engine), capture.output(print(engine)), capture.output(str(engine)),
    capture.output(print(unclass(engine))), capture.output(str(unclass(engine))),
    capture.output(dput(engine)), deparse(engine)
  )
  expect_false(any(grepl(canary, shown, fixed = TRUE)))
  expect_match(format(engine), "rank_key = \"mine\"", fixed = TRUE)
  expect_match(format(engine), "apiKey = <hidden>", fixed = TRUE)
  file <- withr::local_tempfile()
  saveRDS(engine, file, compress = FALSE)
  bytes <- readBin(file, "raw", file.size(file))
  expect_length(grepRaw(canary, bytes, fixed = TRUE), 0)
})

test_that("a secret is found again in its session and in no other", {
  secret <- hide_secret(canary)
  expect_identical(reveal_secret(secret), canary)
  expect_identical(json_value(secret), jsonlite::unbox(canary))
  secret$number <- "of another session"
  expect_error(reveal_secret(secret), class = "cellferry_credentials_required_error")
  expect_identical(hide_secrets(list(auth_token = secret))$auth_token, secret)
})
