# The model server, its address and its log.
local_model_server <- function(delay = 0, port = 0, frame = parent.frame()) {
  log <- withr::local_tempfile(.local_envir = frame)
  arguments <- c("--delay", delay, "--port", port, "--log", log)
  said <- local_test_server("llm_server.py", arguments, frame)
  list(url = paste0(readLines(said), "/v1"), log = log)
}

requests <- function(server) {
  lapply(readLines(server$log), function(line) jsonlite::fromJSON(line, simplifyVector = FALSE))
}

blood_lists <- function() {
  list(a = c("CD79A", "MS4A1", "CD79B"), b = c("CD3D", "CD3E", "TRAC"), c = c("LYZ", "CD14"))
}
