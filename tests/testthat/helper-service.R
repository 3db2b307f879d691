# The scripted server of the Python tests, in a process of its own.
fault_server <- function(faults = "[]", frame = parent.frame()) {
  script <- testthat::test_path("..", "python", "support", "fault_server.py")
  testthat::skip_if_not(file.exists(script), "The server of the Python tests is not here")
  address <- withr::local_tempfile(.local_envir = frame)
  # Not a local file: it must outlive the test until the shell has seen it.
  stop_file <- tempfile("stop")
  # The server ends with its standard input, which a shell keeps open until the file is there.
  # R takes its folder away when it ends, perhaps before that.
  input <- sprintf(
    "while [ -d '%s' ] && [ ! -e '%s' ]; do sleep 0.1; done", dirname(stop_file), stop_file
  )
  command <- sprintf(
    "(%s) 2> /dev/null | %s %s %s > %s 2> /dev/null", input,
    shQuote(reticulate::py_config()$python), shQuote(script), shQuote(faults), shQuote(address)
  )
  with_clean_library_path(system2(
    "sh", c("-c", shQuote(command)),
    wait = FALSE, stdout = FALSE, stderr = FALSE
  ))
  withr::defer(file.create(stop_file), envir = frame)
  for (i in 1:200) {
    url <- if (file.exists(address)) readLines(address, warn = FALSE)
    if (length(url)) {
      return(url)
    }
    Sys.sleep(0.1)
  }
  stop("The server of the tests did not start.")
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
  folder <- withr::local_tempdir(.local_envir = frame)
  said <- file.path(folder, "said")
  script <- file.path(folder, "serve.sh")
  writeLines(sprintf(
    "PYTHONPATH=%s exec %s -c '%s' serve --data %s --port 0 > %s 2>&1 < /dev/null",
    shQuote(core_folder()), shQuote(reticulate::py_config()$python),
    "import os; print(os.getpid(), flush=True); from cellferry.cli import main; main()",
    shQuote(file.path(folder, "jobs")), shQuote(said)
  ), script)
  with_clean_library_path(system2("sh", shQuote(script), wait = FALSE, stdout = FALSE))
  for (i in 1:300) {
    text <- if (file.exists(said)) readLines(said, warn = FALSE)
    address <- regmatches(text, regexpr("http://[0-9.:]+", text))
    if (length(address)) {
      withr::defer(tools::pskill(as.integer(text[1])), envir = frame)
      return(address[1])
    }
    Sys.sleep(0.1)
  }
  stop("cellferry serve did not start: ", paste(text, collapse = "\n"))
}
