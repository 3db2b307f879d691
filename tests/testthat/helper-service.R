# A Python server in a process of its own, for as long as a test runs; the file with what it
# prints, of which the first line has its address. An error says what it complains of.
begun_server <- function(arguments, frame, variables = list()) {
  said <- withr::local_tempfile(.local_envir = frame)
  complained <- withr::local_tempfile(.local_envir = frame)
  begun <- reticulate::py_run_string(paste(
    "def begun(arguments, said, complained, variables):",
    "    import os, subprocess",
    "    kept = {k: v for k, v in os.environ.items() if k != 'LD_LIBRARY_PATH'}",
    "    with open(said, 'wb') as out, open(complained, 'wb') as errors:",
    "        return subprocess.Popen(",
    "            arguments, stdin=subprocess.PIPE, stdout=out, stderr=errors,",
    "            env={**kept, **dict(variables)})",
    sep = "\n"
  ), local = TRUE)$begun
  python <- reticulate::py_config()$python
  process <- begun(c(python, arguments), said, complained, variables)
  withr::defer(
    {
      process$kill()
      process$wait()
    },
    envir = frame
  )
  text <- function(file) paste(utils::tail(readLines(file, warn = FALSE), 5), collapse = "\n")
  until <- Sys.time() + 100
  # A port that another suite still uses is waited for.
  while (Sys.time() < until && is.null(process$poll())) {
    if (any(grepl("http", readLines(said, warn = FALSE), fixed = TRUE))) {
      return(said)
    }
    Sys.sleep(0.1)
  }
  stop(
    "The server of the tests did not begin: ", paste(arguments, collapse = " "),
    "\nIts status: ", process$poll(), "\nIt said: ", text(said), "\nIt complained: ",
    text(complained), "\nLoad: ", text("/proc/loadavg")
  )
}

# One of the servers of the Python tests.
local_test_server <- function(name, arguments, frame = parent.frame()) {
  script <- testthat::test_path("..", "python", "support", name)
  testthat::skip_if_not(file.exists(script), "The test server is not part of this package")
  begun_server(c(script, arguments), frame)
}

# The scripted server of the CyteType protocol; its address.
fault_server <- function(faults = "[]", frame = parent.frame()) {
  readLines(local_test_server("fault_server.py", faults, frame))[1]
}

seen <- function(url) {
  connection <- url(paste0(url, "/_seen"))
  on.exit(close(connection))
  jsonlite::parse_json(paste(readLines(connection, warn = FALSE), collapse = ""))
}

mend <- function(url) {
  connection <- url(paste0(url, "/_mend"))
  on.exit(close(connection))
  invisible(readLines(connection, warn = FALSE))
}

# Another Python process with the core; its output as lines.
run_python <- function(code) {
  file <- withr::local_tempfile(lines = code, fileext = ".py")
  with_clean_library_path(suppressWarnings(system2(
    reticulate::py_config()$python, shQuote(file),
    stdout = TRUE, stderr = TRUE, env = paste0("PYTHONPATH=", core_folder())
  )))
}

# `cellferry serve` in a process of its own; its address.
served <- function(frame = parent.frame()) {
  jobs <- withr::local_tempdir(.local_envir = frame)
  code <- "import os; os.dup2(1, 2); from cellferry.cli import main; main()"
  said <- begun_server(
    c("-c", code, "serve", "--port", "0", "--data", jobs), frame,
    list(PYTHONPATH = core_folder())
  )
  text <- readLines(said, warn = FALSE)
  regmatches(text, regexpr("http://[0-9.:]+", text))[1]
}
