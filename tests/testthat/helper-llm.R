# A server of the Python tests, for as long as a test runs; the file with what it prints, of which
# the first line is its address.
local_test_server <- function(name, arguments, frame = parent.frame()) {
  script <- testthat::test_path("..", "python", "support", name)
  testthat::skip_if_not(file.exists(script), "The test server is not part of this package")
  said <- withr::local_tempfile(.local_envir = frame)
  python <- reticulate::py_config()$python
  pid_file <- withr::local_tempfile(.local_envir = frame)
  command <- paste(
    "env -u LD_LIBRARY_PATH", shQuote(python), shQuote(script), arguments,
    ">", shQuote(said), "& echo $! >", shQuote(pid_file)
  )
  system(command)
  withr::defer(tools::pskill(as.integer(readLines(pid_file))), envir = frame)
  # A port that another suite still uses is waited for.
  for (i in 1:1000) {
    if (file.exists(said) && length(readLines(said, warn = FALSE))) break
    Sys.sleep(0.1)
  }
  said
}

# The model server, its address and its log.
local_model_server <- function(delay = 0, port = 0, frame = parent.frame()) {
  log <- withr::local_tempfile(.local_envir = frame)
  arguments <- paste("--delay", delay, "--port", port, "--log", shQuote(log))
  said <- local_test_server("llm_server.py", arguments, frame)
  list(url = paste0(readLines(said), "/v1"), log = log)
}

requests <- function(server) {
  lapply(readLines(server$log), function(line) jsonlite::fromJSON(line, simplifyVector = FALSE))
}

blood_lists <- function() {
  list(a = c("CD79A", "MS4A1", "CD79B"), b = c("CD3D", "CD3E", "TRAC"), c = c("LYZ", "CD14"))
}
